/**
 * The rows: what is measured of whom, and what must come out. One work may serve several rows.
 *
 *     relay                CPU for the same frames at a fixed rate, ours beside derper
 *     stream               TCP of two stock clients through the relay, UDP between them dropped
 *     up, seen             a stock client on a private address: `up` to Running; a change at another one
 *     join, join-cpu       the load program against both servers: until the last has its map; the server's CPU
 *     change               one node moves: until each of the others is told
 *     memory, -100, -1000  anonymous memory at rest, and with as many nodes
 *     written              to the disk by a server at rest with 50 nodes
 *
 * A bound with `against` is on the ratio of medians, ours over theirs.
 */

export type Work = 'relay' | 'stream' | 'clients' | 'memory' | 'load' | 'idle';

export type RowName =
  | 'relay'
  | 'stream'
  | 'up'
  | 'seen'
  | 'join'
  | 'join-cpu'
  | 'change'
  | 'memory'
  | 'memory-100'
  | 'memory-1000'
  | 'written';

export type Contender = 'ours' | 'derper' | 'headscale';

/** By name; what a figure means stands at its work. */
export type Figures = Readonly<Record<string, number>>;

export interface Sizes {
  readonly rounds: number;
  /** Of the load; the names of rows are those of the full form. */
  readonly nodes: number;
  /** Of its change. */
  readonly repeats: number;
  readonly idleSeconds: number;
  readonly relaySeconds: number;
  readonly streamSeconds: number;
}

export const FULL: Sizes = {
  rounds: 3,
  nodes: 1000,
  repeats: 20,
  idleSeconds: 600,
  relaySeconds: 8,
  streamSeconds: 8,
};

export const QUICK: Sizes = {
  rounds: 1,
  nodes: 300,
  repeats: 20,
  idleSeconds: 60,
  relaySeconds: 4,
  streamSeconds: 4,
};

/** @typeParam C who is measured; these shapes serve the node's bench too */
export interface Bound<C extends string = Contender> {
  readonly against?: C;
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface FigureSpec {
  readonly name: string;
  readonly unit: string;
  readonly digits: number;
}

export interface RowSpec<C extends string = Contender, W extends string = Work> {
  readonly work: W;
  /** Who must reach the bounds; default the first that is measured, which is ours. */
  readonly subject?: C;
  readonly figure: FigureSpec;
  readonly beside: Readonly<Record<string, FigureSpec>>;
  readonly bounds: readonly Bound<C>[];
}

const figure = (name: string, unit: string, digits: number): FigureSpec => ({ name, unit, digits });

const memory = (work: Work, name: string, atMost: number): RowSpec => ({
  work,
  figure: figure(name, 'MB', 1),
  beside: {},
  bounds: [{ atMost }],
});

export const ROWS: Readonly<Record<RowName, RowSpec>> = {
  relay: {
    work: 'relay',
    figure: figure('cpuPerGb', 'CPU s/GB', 2),
    beside: { arrived: figure('arrivedPercent', '%', 1) },
    bounds: [{ against: 'derper', atMost: 0.65 }],
  },
  stream: {
    work: 'stream',
    figure: figure('gbps', 'Gbit/s', 3),
    beside: { CPU: figure('cpuPerGb', 'CPU s/GB', 2) },
    bounds: [{ against: 'derper', atLeast: 1.2 }],
  },
  up: {
    work: 'clients',
    figure: figure('upMs', 'ms', 0),
    beside: { longest: figure('upMostMs', 'ms', 0) },
    bounds: [{ atMost: 400 }],
  },
  seen: {
    work: 'clients',
    figure: figure('seenMs', 'ms', 0),
    beside: { longest: figure('seenMostMs', 'ms', 0) },
    bounds: [{ atMost: 60 }],
  },
  join: {
    work: 'load',
    figure: figure('joinSeconds', 's', 1),
    beside: {
      'all see all': figure('joinConverged', 's', 1),
      'come back': figure('reconnectSeconds', 's', 1),
      'sent in maps': figure('joinMb', 'MB', 0),
      'streams ended': figure('streamsEnded', '', 0),
      'nodes lost': figure('lost', '', 1),
    },
    bounds: [{ against: 'headscale', atMost: 0.5 }],
  },
  'join-cpu': {
    work: 'load',
    figure: figure('joinCpuSeconds', 'CPU s', 1),
    beside: {},
    bounds: [{ against: 'headscale', atMost: 0.5 }],
  },
  change: {
    work: 'load',
    figure: figure('changeP99', 'ms', 0),
    beside: { median: figure('changeMedian', 'ms', 0) },
    bounds: [{ atMost: 200 }, { against: 'headscale', atMost: 1 }],
  },
  memory: memory('memory', 'atRestMb', 45),
  'memory-100': memory('memory', 'with100Mb', 60),
  'memory-1000': {
    ...memory('load', 'anonymousMb', 120),
    beside: { PSS: figure('pssMb', 'MB', 1), RSS: figure('rssMb', 'MB', 1) },
  },
  written: {
    work: 'idle',
    figure: figure('written', 'bytes', 0),
    beside: { CPU: figure('cpuPercent', '%', 2) },
    bounds: [{ atMost: 10_000 }],
  },
};
