/** A router that opens ports for who asks: Debian's miniupnpd, at a NAT that is hard for everybody else. */

import { until } from '../../netns/child.ts';
import type { Host } from '../../netns/lab.ts';
import { NatNetwork } from './nat-network.ts';
import { UNDER_TEST } from './ours.ts';
import { reach } from './reach.ts';
import { withTwoRelays } from './relays.ts';
import { membersTest, ONE_WAY, PAIRS } from './suite.ts';

/** UPnP comes after 8 s of the other protocols. */
const OPEN_MS = 20_000;
const MOST_MS = 10_000;

for (const upnpAlone of [false, true])
  membersTest(
    `port-mapping: a member behind a router of ${upnpAlone ? 'UPnP alone' : 'all protocols'} is reached by the port that it opens, which ends with the member`,
    upnpAlone ? PAIRS : ONE_WAY,
    { prepare: withTwoRelays, timeoutMs: 150_000 },
    async (t, members, [mine, theirs]) => {
      const nats = await NatNetwork.create(members.network);
      const { station, router } = await nats.mappedSite('mapped', upnpAlone);
      const a = await members.joined(mine, 'mapped', station);
      const b = await members.joined(theirs, 'hard', await nats.site('hard', 'hard'));
      const port = await until('the router has a port open', () => openPort(router), OPEN_MS);
      const opened = new RegExp(`^1\\.1\\.1\\.\\d+:${port}$`);
      if (mine === 'ours' && UNDER_TEST === 'ours') {
        const report = JSON.parse((await a.cli(['netcheck', '--json'])).stdout);
        t.match(report, { UPnP: upnpAlone || null, PortMapping: opened });
        const { stdout } = await a.cli(['netcheck']);
        t.match(
          stdout,
          new RegExp(
            `^ *mapping +${upnpAlone ? 'UPnP' : 'NAT-PMP, PCP'}: 1\\.1\\.1\\.\\d+:${port}$`,
            'm',
          ),
        );
      }
      const { connectedMs, directMs } = await reach(b, await a.ip4(), MOST_MS);
      t.ok(connectedMs !== undefined, `connected after ${connectedMs} ms`);
      t.ok(directMs !== undefined, `directly after ${directMs} ms`);
      const { Peer } = await b.status();
      const seen = Object.values(Peer ?? {}).find(({ HostName }) => HostName === 'mapped');
      t.match(seen?.CurAddr, opened, 'by that very port');
      await a.stop();
      t.equal(await openPort(router), undefined, 'the port is closed again');
    },
  );

/** That leads inside. */
async function openPort(router: Host): Promise<string | undefined> {
  const chain = ['inet', 'lab-mapper', 'prerouting_miniupnpd'];
  const { stdout } = await router.run(['nft', 'list', 'chain', ...chain]);
  return / dport (\d+) dnat /.exec(stdout)?.[1];
}
