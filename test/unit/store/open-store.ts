/** The SQLite store in its real worker, and a ledger of numbers by name on top, for tests. */

import { Worker } from 'node:worker_threads';
import { Ledger } from '../../../src/store/ledger.ts';
import type { CommitPort, Row } from '../../../src/store/port.ts';
import type { SqliteOptions } from '../../../src/store/sqlite-store.ts';
import { SqliteStore } from '../../../src/store/sqlite-store.ts';

const WORKER = new URL('../../../src/store/sqlite-worker.ts', import.meta.url);

export const openStore = (
  path: string,
  {
    onWorker = () => {},
    ...more
  }: Partial<Pick<SqliteOptions, 'whenMissing' | 'migrations'>> & {
    onWorker?: (worker: Worker) => void;
  } = {},
): Promise<SqliteStore> =>
  SqliteStore.open({
    path,
    startWorker: (workerData) => {
      const worker = new Worker(WORKER, { workerData });
      onWorker(worker);
      return worker;
    },
    ...more,
  });

export type Counts = Readonly<Record<string, number>>;

export const countsOf = (rows: readonly Row[]): Counts =>
  Object.fromEntries(rows.map(({ key, body }) => [key, JSON.parse(body ?? 'null')]));

export function countLedger(store: CommitPort, model: Counts = {}): Ledger<Counts, string> {
  return new Ledger({ model, store, rowsBetween });
}

/** Raises a count by one; the event is its name, the log line what it became. */
export function raise(name: string): (counts: Counts) => Raised {
  return (counts) => {
    const value = (counts[name] ?? 0) + 1;
    const model = { ...counts, [name]: value };
    return { ok: true, model, events: [`${name}=${value}`], audit: { at: value, name }, value };
  };
}

export interface Raised {
  readonly ok: true;
  readonly model: Counts;
  readonly events: readonly string[];
  readonly audit: { readonly at: number; readonly name: string };
  readonly value: number;
}

function rowsBetween(before: Counts, after: Counts): Row[] {
  return Object.entries(after)
    .filter(([key, value]) => before[key] !== value)
    .map(([key, value]) => ({ kind: 'count', key, body: JSON.stringify(value) }));
}
