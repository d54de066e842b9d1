/**
 * Works `direct`, `subnet` and `relayed`: TCP over each of the ways that a packet may go.
 *
 *     a ══════════════ b                        direct
 *     a ══════════════ b ──── 192.168.67.10     subnet: routed by b, which hides a behind its own address
 *     a ──── relay ──── b                       relayed: UDP of both dropped
 */

import { until } from '../../../test/netns/child.ts';
import type { Figures } from '../control/rows.ts';
import { cpuSeconds, iperf, roundTripOf } from '../measure.ts';
import { directPair, withBench } from './members.ts';
import type { Contender, Sizes } from './rows.ts';
import { arrivesWhole, oneStream, serveIperf } from './streams.ts';

const SUBNET = '192.168.67.0/24';
const DEVICE = '192.168.67.10';
const CHANGED_MS = 30_000;
const WARM_UP_SECONDS = 1;

export function measureDirect(contender: Contender, sizes: Sizes): Promise<Figures> {
  return withBench(async (bench) => {
    const { b, line } = await directPair(bench, contender);
    await arrivesWhole(line, b.host, sizes.hashedBytes);
    const pingMs = await roundTripOf(line);
    await serveIperf(line, b.host);
    const one = await oneStream(line, sizes.tcpSeconds);
    const { end } = await iperf(line, sizes.tcpSeconds, ['-P', '4']);
    return { pingMs, ...one, gbps4: end.sum_received.bits_per_second / 1e9 };
  });
}

export function measureSubnet(contender: Contender, sizes: Sizes): Promise<Figures> {
  return withBench(async (bench) => {
    const { a, b, line } = await directPair(bench, contender);
    const { network, server } = bench.mesh;
    const device = await network.device('device', b.station);
    await b.cli(['set', `--advertise-routes=${SUBNET}`]);
    await a.cli(['set', '--accept-routes']);
    await server.approveRoutes('b', SUBNET);
    const reached = async (): Promise<boolean> => {
      const argv = ['ping', '-n', '-c', '1', '-W', '1', DEVICE];
      return (await a.host.run(argv, { check: false })).code === 0;
    };
    await until('the LAN host is reached', reached, CHANGED_MS);
    const routed = { ...line, address: DEVICE };
    await arrivesWhole(routed, device, sizes.hashedBytes);
    await serveIperf(routed, device);
    return oneStream(routed, sizes.tcpSeconds);
  });
}

export function measureRelayed(contender: Contender, sizes: Sizes): Promise<Figures> {
  return withBench(async (bench) => {
    const { a, b, line } = await directPair(bench, contender);
    const { network, server } = bench.mesh;
    await Promise.all([network.dropUdp(a.station), network.dropUdp(b.station)]);
    const relayed = async (): Promise<boolean> => (await a.ping(line.address, 2)) === 'relay';
    await until('they talk through the relay', relayed, CHANGED_MS);
    await arrivesWhole(line, b.host, sizes.hashedBytes / 4);
    await serveIperf(line, b.host);
    await oneStream(line, WARM_UP_SECONDS);
    const before = cpuSeconds(server.child.pid);
    const one = await oneStream(line, sizes.tcpSeconds);
    const relayCpuPerGb = (cpuSeconds(server.child.pid) - before) / (one.bytes / 1e9);
    return { ...one, relayCpuPerGb };
  });
}
