/**
 * What a stranger on the Internet finds open: the ports that the node says of itself, and no other (A17, A19).
 *
 *     nmap of every TCP and UDP port, from another host, with no NAT between
 *     TCP     `open`
 *     UDP     all but `closed`: who listens in silence looks like who is filtered
 */

import { join } from 'node:path';
import { unpackPackages } from '../../../scripts/debian.ts';
import type { Host } from '../../netns/lab.ts';
import { UNDER_TEST } from './ours.ts';
import { membersTest, ONE_WAY } from './suite.ts';

const SCAN_MS = 90_000;
const WIREGUARD = 'udp/41641';

membersTest(
  'scan: from outside the open ports are those that status --ports says',
  ONE_WAY,
  { timeoutMs: 240_000 },
  async (t, members, [kind]) => {
    const a = await members.joined(kind, 'a');
    const stranger = await members.network.lab.host('stranger');
    const cable = await members.network.lab.link(stranger, members.network.hub, {
      a: ['10.88.0.200/24', 'fd88::200/64'],
    });
    await members.network.hub.ip(`link set ${cable.b.interface} master br0`);
    // Else the kernel says only once a second that a port is closed.
    await a.host.sysctl('net.ipv4.icmp_ratelimit', 0);
    for (const limit of ['icmp_msgs_per_sec', 'icmp_msgs_burst'])
      await a.host.sysctl(`net.ipv4.${limit}`, 1_000_000);
    const found = await scan(stranger, a.station.address);
    t.same(found, [WIREGUARD], 'one socket, which answers nobody that it does not know');
    if (UNDER_TEST !== 'ours') return;
    const { stdout } = await a.cli(['status', '--ports', '--json']);
    const { ports } = JSON.parse(stdout) as { readonly ports: readonly Port[] };
    const reachable = ports.filter(({ address }) =>
      ['0.0.0.0', '::', a.station.address].includes(address),
    );
    const said = new Set(reachable.map(({ protocol, port }) => `${protocol}/${port}`));
    t.same([...said].sort(), found, 'and the node says the same');
  },
);

interface Port {
  readonly protocol: string;
  readonly port: number;
  /** Of this machine; what is bound to an address of the mesh is not open to the outside. */
  readonly address: string;
}

/** `tcp/22` and so on, in order. */
async function scan(from: Host, address: string): Promise<readonly string[]> {
  const { root, env } = await unpackPackages();
  const nmap = [join(root, 'usr/bin/nmap'), '--datadir', join(root, 'usr/share/nmap')];
  // Debian leads to this one by an alternative, which only an installation sets up.
  const libraries = `${env['LD_LIBRARY_PATH']}`
    .split(':')
    .flatMap((folder) => [folder, join(folder, 'blas')])
    .join(':');
  const quick = ['-Pn', '-n', '-T5', '--max-retries', '3', '--min-rate', '5000', '-p-', '-oG', '-'];
  const open: string[] = [];
  for (const how of ['-sS', '-sU']) {
    const { stdout } = await from.run([...nmap, how, ...quick, address], {
      timeoutMs: SCAN_MS,
      env: { LD_LIBRARY_PATH: libraries },
    });
    for (const [, port, protocol] of stdout.matchAll(/\b(\d+)\/open(?:\|filtered)?\/(tcp|udp)\//g))
      open.push(`${protocol}/${port}`);
  }
  return open.sort();
}
