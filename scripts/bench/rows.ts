/**
 * The rows: what is asked of each, of whom it is measured, and what must come out.
 *
 * `subject` is the contender that must reach something (ours, unless the row says otherwise); a bound with
 * `against` is on the ratio of medians, subject over that contender, one without is on the subject's own
 * median. Figures in `beside` are shown under the row's main one, and may be bounded as well.
 */

import type { ContenderName } from './contenders.ts';
import { median } from './median.ts';
import type { Measure, Run } from './runs.ts';

export type RowName =
  | 'bytes'
  | 'tcp1'
  | 'tcp4'
  | 'cpu'
  | 'udp200'
  | 'ping'
  | 'memory'
  | 'growth'
  | 'filter'
  | 'idle'
  | 'handshakes'
  | 'aead';

export interface Figure {
  readonly unit: string;
  readonly digits: number;
  of(run: Run): number | undefined;
}

export interface Bound {
  /** One of `beside`; absent: the row's own figure. */
  readonly figure?: string;
  readonly against?: ContenderName;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** Also of all others that were measured. */
  readonly everyone?: true;
}

export interface RowSpec {
  readonly subject: ContenderName;
  /** Others that are measured; those in bounds always, the rest only in the full form. */
  readonly others: readonly ContenderName[];
  readonly needs: readonly Measure[];
  readonly figure: Figure;
  readonly beside: Readonly<Record<string, Figure>>;
  readonly bounds: readonly Bound[];
  /** Means nothing where today's wireguard-go runs without its offloads. */
  readonly offloads: boolean;
  /** What stands for several runs. */
  readonly summary: (values: readonly number[]) => number;
}

/** Of the filter row. */
export const FILTER_RULES = 100;
/** Of the udp200 row. */
export const OFFERED_PER_SECOND = 125_000;

const HASHED_MB = 100;
/** With the filter off, CPU is a tenth lower at most. */
const FILTER_SHARE = 0.1;
/** What a process that sleeps prints as 0.0. */
const IDLE_PERCENT = 0.049;

const gbps = (of: (run: Run) => number | undefined): Figure => ({ unit: 'Gbit/s', digits: 2, of });
const cpu = (of: (run: Run) => number | undefined): Figure => ({ unit: 'CPU s/GB', digits: 2, of });
const megabytes = (of: (run: Run) => number | undefined): Figure => ({ unit: 'MB', digits: 1, of });

const row = (spec: Partial<RowSpec> & Pick<RowSpec, 'needs' | 'figure' | 'bounds'>): RowSpec => ({
  subject: 'ours',
  others: ['current', 'debian'],
  beside: {},
  offloads: false,
  summary: median,
  ...spec,
});

export const ROWS: Readonly<Record<RowName, RowSpec>> = {
  bytes: row({
    needs: ['bytes'],
    figure: {
      unit: 'MB whole',
      digits: 0,
      of: ({ bytes }) => (bytes === undefined ? undefined : bytes ? HASHED_MB : 0),
    },
    // One broken transfer is not made good by two whole ones.
    summary: (values) => Math.min(...values),
    bounds: [{ atLeast: HASHED_MB, everyone: true }],
  }),
  tcp1: row({
    needs: ['tcp1'],
    figure: gbps(({ tcp1 }) => tcp1?.gbps),
    bounds: [
      { against: 'current', atLeast: 1.6 },
      { against: 'debian', atLeast: 5 },
    ],
    offloads: true,
  }),
  tcp4: row({
    needs: ['tcp4'],
    figure: gbps(({ tcp4 }) => tcp4?.gbps),
    bounds: [
      { against: 'current', atLeast: 1.6 },
      { against: 'debian', atLeast: 5 },
    ],
    offloads: true,
  }),
  cpu: row({
    needs: ['tcp1'],
    figure: cpu(({ tcp1 }) => tcp1?.senderCpuPerGb),
    beside: { receiver: cpu(({ tcp1 }) => tcp1?.receiverCpuPerGb) },
    bounds: [{ against: 'current', atMost: 0.6 }],
    offloads: true,
  }),
  udp200: row({
    needs: ['udp'],
    figure: { unit: 'CPU s', digits: 2, of: ({ udp }) => udp?.senderCpuSeconds },
    beside: {
      loss: { unit: '%', digits: 2, of: ({ udp }) => udp?.lossPercent },
      offered: { unit: '/s', digits: 0, of: ({ udp }) => udp?.offeredPerSecond },
    },
    bounds: [
      { against: 'current', atMost: 0.4 },
      { figure: 'loss', atMost: 1 },
    ],
  }),
  ping: row({
    needs: ['ping'],
    figure: { unit: 'ms', digits: 3, of: ({ ping }) => ping },
    bounds: [{ against: 'current', atMost: 1.15 }],
  }),
  memory: row({
    needs: ['tcp1', 'memory'],
    figure: megabytes(({ memory }) => memory?.anonymousMb),
    beside: {
      PSS: megabytes(({ memory }) => memory?.pssMb),
      RSS: megabytes(({ memory }) => memory?.rssMb),
    },
    bounds: [{ atMost: 45 }, { figure: 'RSS', atMost: 95 }],
  }),
  growth: row({
    needs: ['growth'],
    others: [],
    figure: megabytes(({ growth }) => growth),
    bounds: [{ atMost: 3 }],
  }),
  filter: row({
    subject: 'rules',
    others: ['unfiltered'],
    needs: ['tcp1'],
    figure: cpu(({ tcp1 }) => tcp1?.receiverCpuPerGb),
    beside: { sender: cpu(({ tcp1 }) => tcp1?.senderCpuPerGb) },
    bounds: [
      { against: 'unfiltered', atMost: 1 / (1 - FILTER_SHARE) },
      { figure: 'sender', against: 'unfiltered', atMost: 1 / (1 - FILTER_SHARE) },
    ],
  }),
  idle: row({
    needs: ['idle'],
    others: ['current'],
    figure: { unit: '% CPU', digits: 2, of: ({ idle }) => idle },
    bounds: [{ atMost: IDLE_PERCENT }],
  }),
  handshakes: row({
    needs: ['handshakes'],
    others: ['current'],
    figure: {
      unit: '/CPU s',
      digits: 0,
      of: ({ handshakes }) => handshakes?.perCpuSecond,
    },
    beside: { clock: { unit: '/s', digits: 0, of: ({ handshakes }) => handshakes?.perSecond } },
    bounds: [{ against: 'current', atLeast: 1 }],
  }),
  aead: row({
    others: ['raw', 'evp', 'node'],
    needs: ['tcp1'],
    figure: gbps(({ tcp1 }) => tcp1?.gbps),
    beside: { sender: cpu(({ tcp1 }) => tcp1?.senderCpuPerGb) },
    bounds: [],
  }),
};

/** How a person is told who a contender is. */
export const TITLES: Readonly<Record<ContenderName, string>> = {
  ours: 'ours',
  current: 'current',
  debian: 'debian',
  raw: 'raw',
  evp: 'evp',
  node: 'node',
  rules: `${FILTER_RULES} rules`,
  unfiltered: 'no filter',
};
