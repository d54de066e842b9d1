/**
 * One measurement each, of a running pair. CPU is what the tunnel's process used while the measurement ran,
 * utime + stime of all its threads from /proc/PID/stat: counted in ticks of 10 ms, and far less shaken by a
 * busy machine than throughput is.
 *
 * Offloads are seen by their effect: the mean size of what side `a` read from its TUN device, and of what it
 * put on the cable. With TSO and GSO these are tens of kilobytes, without them at most one MTU.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Host } from '../../test/netns/lab.ts';
import type { Pair } from '../../test/netns/pair.ts';
import { transfer } from '../../test/netns/pair.ts';
import { median } from './median.ts';
import { OFFERED_PER_SECOND } from './rows.ts';

/** USER_HZ, the same on all machines that we know (proc(5)). */
const TICKS_PER_SECOND = 100;
const NANOSECONDS = 1e9;

/** Payload of the datagrams. */
const DATAGRAM_BYTES = 200;

const HASHED_BYTES = 100e6;
const PINGS = 50;
const PING_INTERVAL_MS = 10;

export interface Tcp {
  readonly gbps: number;
  readonly retransmits: number;
  /** CPU s per 10^9 bytes received. */
  readonly senderCpuPerGb: number;
  readonly receiverCpuPerGb: number;
  readonly tunPacketBytes: number;
  readonly cablePacketBytes: number;
}

export interface Udp {
  readonly lossPercent: number;
  /** What iperf3 really offered; a busy machine leaves it too little time. */
  readonly offeredPerSecond: number;
  readonly senderCpuSeconds: number;
  readonly receiverCpuSeconds: number;
}

/** Of side `a`, in units of 10^6 bytes, as the bounds are. */
export interface Memory {
  readonly anonymousMb: number;
  readonly pssMb: number;
  readonly rssMb: number;
}

/** Where traffic begins and goes to, and whose CPU it costs. */
export interface Line {
  readonly from: Host;
  /** Where iperf3 or whoever answers pings is. */
  readonly address: string;
  readonly pids: readonly [sender: number, receiver: number];
}

const lineOf = ({ a, b }: Pair): Line => ({
  from: a.host,
  address: b.inner[0],
  pids: [a.tunnel.pid, b.tunnel.pid],
});

/** CPU seconds of a process since it began. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the program's name in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The iperf3 server of side `b`, for as long as the pair lives. */
export async function serveIperf({ b }: Pair): Promise<void> {
  await b.host.start(['iperf3', '-s', '-B', b.inner[0], '--forceflush']).says(/listening/);
}

/** `seconds` of TCP from `a` to `b`. */
export async function tcp(pair: Pair, streams: number, seconds: number): Promise<Tcp> {
  const sizes = await watchSizes(pair);
  const { end, senderCpu, receiverCpu } = await iperf(lineOf(pair), seconds, ['-P', `${streams}`]);
  const gigabytes = end.sum_received.bytes / 1e9;
  return {
    gbps: end.sum_received.bits_per_second / 1e9,
    retransmits: end.sum_sent.retransmits ?? 0,
    senderCpuPerGb: senderCpu / gigabytes,
    receiverCpuPerGb: receiverCpu / gigabytes,
    ...(await sizes()),
  };
}

/** `seconds` of datagrams at the fixed rate. */
export async function udp(pair: Pair, seconds: number): Promise<Udp> {
  const args = [
    '-u',
    '-l',
    `${DATAGRAM_BYTES}`,
    '-b',
    `${OFFERED_PER_SECOND * DATAGRAM_BYTES * 8}`,
  ];
  const { end, senderCpu, receiverCpu } = await iperf(lineOf(pair), seconds, args);
  return {
    lossPercent: end.sum.lost_percent,
    offeredPerSecond: end.sum.packets / end.sum.seconds,
    senderCpuSeconds: senderCpu,
    receiverCpuSeconds: receiverCpu,
  };
}

/** Median round trip of 50, in milliseconds. */
export function roundTripMs(pair: Pair): Promise<number> {
  return roundTripOf(lineOf(pair));
}

export async function roundTripOf({ from, address }: Line): Promise<number> {
  const { stdout } = await from.run(
    ['ping', '-n', '-c', `${PINGS}`, '-i', `${PING_INTERVAL_MS / 1000}`, '-W', '1', address],
    { check: false },
  );
  const times = [...stdout.matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms));
  if (times.length < PINGS) throw new Error(`${PINGS - times.length} pings of ${PINGS} lost`);
  return median(times);
}

/** Whether 10^8 bytes over TCP arrive as they were sent: iperf3 does not look at what it receives. */
export async function bytesArrive({ a, b }: Pair): Promise<boolean> {
  const sent = await transfer(a, b, b.inner[0], HASHED_BYTES);
  return sent.bytes === HASHED_BYTES && sent.sentSha256 === sent.receivedSha256;
}

export function memory({ a }: Pair): Memory {
  const text = readFileSync(`/proc/${a.tunnel.pid}/smaps_rollup`, 'utf8');
  const megabytes = (field: string): number => {
    const found = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text);
    if (!found) throw new Error(`smaps_rollup: no ${field} in ${text}`);
    return (Number(found[1]) * 1024) / 1e6;
  };
  return {
    anonymousMb: megabytes('Pss_Anon'),
    pssMb: megabytes('Pss'),
    rssMb: megabytes('Rss'),
  };
}

/** Percent of one core, of the busier end, over `seconds` without traffic. */
export async function idlePercent({ a, b }: Pair, seconds: number): Promise<number> {
  const pids = [a.tunnel.pid, b.tunnel.pid];
  const before = pids.map(runSeconds);
  const began = performance.now();
  await pause(seconds * 1000);
  const elapsed = (performance.now() - began) / 1000;
  return Math.max(...pids.map((pid, i) => runSeconds(pid) - (before[i] ?? 0))) * (100 / elapsed);
}

/** CPU seconds of the threads alive, to the nanosecond: ticks are too coarse for a process that sleeps. */
export function runSeconds(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks)
    .map((task) => Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]))
    .reduce((sum, nanoseconds) => sum + nanoseconds / NANOSECONDS, 0);
}

/** The part of iperf3's report that is used here. */
export interface IperfEnd {
  readonly sum_sent: { readonly retransmits?: number };
  readonly sum_received: { readonly bytes: number; readonly bits_per_second: number };
  readonly sum: {
    readonly packets: number;
    readonly lost_percent: number;
    readonly seconds: number;
  };
}

/** IPv4 traffic of `seconds`, and the CPU seconds that it took of both. */
export async function iperf(
  { from, address, pids }: Line,
  seconds: number,
  args: readonly string[],
): Promise<{ end: IperfEnd; senderCpu: number; receiverCpu: number }> {
  const before = pids.map(cpuSeconds);
  const { stdout } = await from.run(
    ['iperf3', '-4', '-J', '-c', address, '-t', `${seconds}`, ...args],
    { timeoutMs: (seconds + 20) * 1000 },
  );
  const [senderCpu = 0, receiverCpu = 0] = pids.map((pid, i) => cpuSeconds(pid) - (before[i] ?? 0));
  const { end } = JSON.parse(stdout) as { end: IperfEnd };
  return { end, senderCpu, receiverCpu };
}

async function watchSizes({
  a,
  cable,
}: Pair): Promise<() => Promise<Pick<Tcp, 'tunPacketBytes' | 'cablePacketBytes'>>> {
  const read = () =>
    Promise.all([a.tunnel.interface, cable.a.interface].map((name) => sent(a.host, name)));
  const before = await read();
  return async () => {
    const after = await read();
    const [tunPacketBytes = 0, cablePacketBytes = 0] = after.map(({ bytes, packets }, i) => {
      const old = before[i] ?? { bytes: 0, packets: 0 };
      return (bytes - old.bytes) / Math.max(1, packets - old.packets);
    });
    return { tunPacketBytes, cablePacketBytes };
  };
}

async function sent(host: Host, iface: string): Promise<{ bytes: number; packets: number }> {
  const { stdout } = await host.run(['ip', '-j', '-s', 'link', 'show', 'dev', iface]);
  const [link] = JSON.parse(stdout) as { stats64: { tx: { bytes: number; packets: number } } }[];
  if (link === undefined) throw new Error(`ip: nothing about ${iface}`);
  return link.stats64.tx;
}
