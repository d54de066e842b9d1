/**
 * Work `stream`: one TCP stream between two stock clients through a relay, UDP between them dropped; the
 * relay is ours or stock derper, and our server makes the map in either case. All share the machine's cores.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HUB } from '../../../test/interop/control/network.ts';
import { usage } from '../../../test/load/process.ts';
import type { Child } from '../../../test/netns/child.ts';
import { until } from '../../../test/netns/child.ts';
import { prepareDerper } from './derper.ts';
import { withMesh } from './mesh.ts';
import type { Contender, Figures, Sizes } from './rows.ts';

const DERPER_PORT = 8443;
const DERPER_STUN_PORT = 3479;
const WARM_UP_SECONDS = 2;

/** The part of iperf3's report that is used here. */
interface IperfReport {
  readonly end: {
    readonly sum_received: { readonly bytes: number; readonly bits_per_second: number };
  };
}

export async function measureStream(contender: Contender, sizes: Sizes): Promise<Figures> {
  let derper: Child | undefined;
  return withMesh(
    async (network) => {
      if (contender !== 'derper') return undefined;
      const { argv, map } = await prepareDerper(network.folder, HUB, DERPER_PORT, DERPER_STUN_PORT);
      derper = network.hub.start(argv, { name: 'derper' });
      const file = join(network.folder, 'derp-map.json');
      writeFileSync(file, JSON.stringify(map));
      return file;
    },
    async ({ network, server, authKey, client }) => {
      const [a, b] = [await client('a'), await client('b')];
      await Promise.all([a.up(authKey), b.up(authKey)]);
      await Promise.all([network.dropUdp(a.station), network.dropUdp(b.station)]);
      await until(
        'they talk through the relay',
        async () => (await a.ping('b', 2)) === 'relay',
        30_000,
      );
      const address = await b.ip4();
      await b.host.start(['iperf3', '-s', '-B', address, '--forceflush']).says(/listening/);
      const stream = async (seconds: number): Promise<IperfReport['end']['sum_received']> => {
        const argv = ['iperf3', '-J', '-c', address, '-t', String(seconds)];
        const { stdout } = await a.host.run(argv, { timeoutMs: (seconds + 20) * 1000 });
        return (JSON.parse(stdout) as IperfReport).end.sum_received;
      };
      await stream(WARM_UP_SECONDS);
      const { pid } = derper ?? server.child;
      const before = usage(pid).cpuSeconds;
      const { bytes, bits_per_second } = await stream(sizes.streamSeconds);
      const cpuSeconds = usage(pid).cpuSeconds - before;
      return { gbps: bits_per_second / 1e9, cpuPerGb: cpuSeconds / (bytes / 1e9) };
    },
  );
}
