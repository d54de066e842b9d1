/**
 * The rows: what is measured of our node and of stock tailscaled in its place, and what must come out. One work
 * may serve several rows.
 *
 *     direct    two members with a direct path: hashed bytes, pings, one stream, four     ours, stock, mixed
 *     subnet    the same to a LAN host behind the second, by an approved and accepted route
 *     relayed   UDP between them dropped, both over our server's relay
 *     start     a member and others that join after it: `up`, then the first ping to each
 *     rest      one of ours and one stock beside simulated members: memory, CPU, bytes written, no traffic
 *     carried   memory after some gigabytes
 *
 * Everything shares the machine's cores: server, relay, both members and who makes the traffic. No figure
 * without whole bytes: a transfer whose hashes differ fails the run of its work.
 */

import type { Bound, FigureSpec, RowSpec } from '../control/rows.ts';

export type Work = 'direct' | 'subnet' | 'relayed' | 'start' | 'rest' | 'carried';

export type RowName =
  | 'tcp1'
  | 'tcp4'
  | 'cpu'
  | 'to-stock'
  | 'from-stock'
  | 'subnet'
  | 'relayed'
  | 'ping'
  | 'memory'
  | 'carried'
  | 'idle'
  | 'written'
  | 'up'
  | 'cold';

/** Who sends and who receives: two of ours, two stock ones, ours to stock, stock to ours. */
export type Contender = 'ours' | 'stock' | 'to-stock' | 'from-stock';

export interface Sizes {
  readonly rounds: number;
  readonly tcpSeconds: number;
  readonly hashedBytes: number;
  /** Others that a member of `start` meets. */
  readonly others: number;
  /** Members beside the one that rests. */
  readonly peers: number;
  readonly idleSeconds: number;
  /** In which written bytes are counted. */
  readonly restSeconds: number;
  readonly carriedBytes: number;
}

export const FULL: Sizes = {
  rounds: 3,
  tcpSeconds: 4,
  hashedBytes: 100e6,
  others: 5,
  peers: 20,
  idleSeconds: 300,
  restSeconds: 600,
  carriedBytes: 10e9,
};

export const QUICK: Sizes = {
  rounds: 1,
  tcpSeconds: 2,
  hashedBytes: 20e6,
  others: 3,
  peers: 20,
  idleSeconds: 30,
  restSeconds: 60,
  carriedBytes: 1e9,
};

const figure = (name: string, unit: string, digits: number): FigureSpec => ({ name, unit, digits });
const gbps = (name: string): FigureSpec => figure(name, 'Gbit/s', 2);
const cpu = (name: string): FigureSpec => figure(name, 'CPU s/GB', 2);
const megabytes = (name: string): FigureSpec => figure(name, 'MB', 1);

type Row = RowSpec<Contender, Work>;

const row = (
  work: Work,
  main: FigureSpec,
  bounds: readonly Bound<Contender>[],
  more: Partial<Row> = {},
): Row => ({ work, figure: main, beside: {}, bounds, ...more });

const notMore: Bound<Contender> = { against: 'stock', atMost: 1 };
const asFast: readonly Bound<Contender>[] = [{ against: 'stock', atLeast: 1 }];
const bothCpu = { sender: cpu('cpuPerGb'), receiver: cpu('receiverCpuPerGb') };
const sizes = { PSS: megabytes('pssMb'), RSS: megabytes('rssMb') };

export const ROWS: Readonly<Record<RowName, Row>> = {
  tcp1: row('direct', gbps('gbps1'), [{ against: 'stock', atLeast: 1.6 }]),
  tcp4: row('direct', gbps('gbps4'), [{ against: 'stock', atLeast: 1.6 }]),
  cpu: row('direct', cpu('cpuPerGb'), [], { beside: { receiver: cpu('receiverCpuPerGb') } }),
  'to-stock': row('direct', gbps('gbps1'), asFast, { subject: 'to-stock' }),
  'from-stock': row('direct', gbps('gbps1'), asFast, { subject: 'from-stock' }),
  subnet: row('subnet', gbps('gbps1'), [{ against: 'stock', atLeast: 1.4 }], { beside: bothCpu }),
  relayed: row('relayed', figure('gbps1', 'Gbit/s', 3), [{ against: 'stock', atLeast: 1.3 }], {
    beside: { ...bothCpu, relay: cpu('relayCpuPerGb') },
  }),
  ping: row('direct', figure('pingMs', 'ms', 3), [{ against: 'stock', atMost: 1.1 }]),
  memory: row('rest', megabytes('anonymousMb'), [{ atMost: 50 }], { beside: sizes }),
  carried: row('carried', megabytes('anonymousMb'), [{ atMost: 60 }], { beside: sizes }),
  idle: row('rest', figure('idlePercent', '% CPU', 3), [{ atMost: 0.1 }, notMore]),
  written: row('rest', figure('written', 'bytes', 0), [{ atMost: 4000 }]),
  up: row('start', figure('upMs', 'ms', 0), [notMore], {
    beside: { 'a verb that asks': figure('verbMs', 'ms', 0) },
  }),
  cold: row('start', figure('coldMs', 'ms', 1), [notMore], {
    beside: { longest: figure('coldMostMs', 'ms', 1) },
  }),
};
