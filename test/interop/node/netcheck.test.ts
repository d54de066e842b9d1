/**
 * What a node finds out about its place, at the server's own STUN and at stock derper's, whose one socket serves
 * both families: the same as a stock client in the same place says.
 */

import { loginServerFor, NatNetwork } from './nat-network.ts';
import { UNDER_TEST } from './ours.ts';
import { withTwoRelays } from './relays.ts';
import { membersTest, ONE_WAY } from './suite.ts';

const PLACES = ['port-restricted', 'hard', 'blocked', 'ipv6'] as const;
/** Of a public address and port. */
const ADDRESS = /^.+(?=:\d+$)/;

interface Report {
  readonly UDP: boolean;
  readonly IPv6: boolean;
  readonly MappingVariesByDestIP: boolean | null;
  readonly GlobalV4: string;
  readonly GlobalV6: string;
  readonly RegionLatency: Readonly<Record<string, number>>;
}

membersTest(
  'netcheck: a place is seen as a stock client sees it',
  ONE_WAY,
  { prepare: withTwoRelays, timeoutMs: 150_000 },
  async (t, members, [mine, theirs]) => {
    const nats = await NatNetwork.create(members.network);
    for (const place of PLACES) {
      const station = await nats.site(place, place);
      const loginServer = loginServerFor(place, members.mesh.server.url);
      const reports: Report[] = [];
      for (const kind of [theirs, mine]) {
        const client = await members.joined(kind, `${kind}-${place}`, station, { loginServer });
        const format = kind === 'ours' && UNDER_TEST === 'ours' ? '--json' : '--format=json';
        const { stdout } = await client.cli(['netcheck', format], 30_000);
        reports.push(JSON.parse(stdout));
        await client.stop();
      }
      const [stock, ours] = reports.map(comparable);
      t.same(ours, stock, `${place}: ${JSON.stringify(stock)}`);
    }
  },
);

function comparable(report: Report): object {
  const { UDP, IPv6, MappingVariesByDestIP, GlobalV4, GlobalV6, RegionLatency } = report;
  return {
    ...{ UDP, IPv6, varies: MappingVariesByDestIP ?? null },
    seen: [GlobalV4, GlobalV6].map((endpoint) => ADDRESS.exec(endpoint)?.[0] ?? ''),
    regions: Object.keys(RegionLatency ?? {}).sort(),
  };
}
