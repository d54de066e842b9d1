/** Traffic over a line: bytes that are hashed at both ends, then streams that are timed. */

import { join } from 'node:path';
import { NODE } from '../../../test/interop/control/mesh.ts';
import type { Host } from '../../../test/netns/lab.ts';
import type { Figures } from '../control/rows.ts';
import type { Line } from '../measure.ts';
import { iperf } from '../measure.ts';

const TRAFFIC = join(import.meta.dirname, '../../../test/netns/traffic.ts');
const LEAST_BYTES_A_SECOND = 1e6;
const MARGIN_MS = 10_000;

/** @throws Error where what arrives at `to` is not what was sent */
export async function arrivesWhole(line: Line, to: Host, bytes: number): Promise<void> {
  const { from, address } = line;
  const server = to.start([NODE, TRAFFIC, 'receive', address], { name: 'receive' });
  const [, port = ''] = await server.says(/^port (\d+)$/m);
  const timeoutMs = MARGIN_MS + (bytes / LEAST_BYTES_A_SECOND) * 1000;
  const argv = [NODE, TRAFFIC, 'send', address, port, String(bytes)];
  const { stdout } = await from.run(argv, { timeoutMs });
  const [, count, received] = await server.says(/^received (\d+) (\w+)$/m);
  const sent = /^sent (\w+)$/m.exec(stdout)?.[1];
  if (Number(count) !== bytes || sent !== received)
    throw new Error(`${count} of ${bytes} bytes arrived, hashed ${received}, sent ${sent}`);
}

/** Answers iperf3 at the line's address, for as long as the lab lives. */
export async function serveIperf({ address }: Line, to: Host): Promise<void> {
  await to.start(['iperf3', '-s', '-B', address, '--forceflush']).says(/listening/);
}

/** One stream, and the CPU that it took of both ends. */
export async function oneStream(line: Line, seconds: number): Promise<Figures & { bytes: number }> {
  const { end, senderCpu, receiverCpu } = await iperf(line, seconds, []);
  const { bytes, bits_per_second } = end.sum_received;
  const gigabytes = bytes / 1e9;
  return {
    bytes,
    gbps1: bits_per_second / 1e9,
    cpuPerGb: senderCpu / gigabytes,
    receiverCpuPerGb: receiverCpu / gigabytes,
  };
}
