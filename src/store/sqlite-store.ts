/**
 * The store's main-thread half: the port of port.ts over the worker that has SQLite (sqlite-worker.ts).
 *
 *     opening ──opened──> open ──close──> closed
 *        └──failed──> the reason            └── the worker ended by itself: each request fails, and says so
 */

import { dirname } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { ConfigError, NetError } from '../base/errors.ts';
import { MIGRATIONS } from './migrations.ts';
import type { Commit, Row, Store } from './port.ts';
import { disk } from './safe-file.ts';
import type { LogLines, SqliteAnswer, SqliteRequest, SqliteStart } from './sqlite-worker.ts';
import type { WhenMissing } from './store-files.ts';

export interface SqliteOptions {
  /** The database file; its folder is made. */
  readonly path: string;
  /** Starts sqlite-worker.ts with this as its worker data. */
  startWorker(start: SqliteStart): Worker;
  /** A person's word for this start (store-files.ts). */
  readonly whenMissing?: WhenMissing;
  /** Those of migrations.ts but for tests. */
  readonly migrations?: readonly string[];
}

interface Waiting {
  readonly resolve: (result: LogLines | undefined) => void;
  readonly reject: (error: Error) => void;
}

type Unnumbered<T> = T extends unknown ? Omit<T, 'id'> : never;

export class SqliteStore implements Store {
  readonly rows: readonly Row[];
  readonly notices: readonly string[];
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #ended: string | undefined;

  private constructor(worker: Worker, rows: readonly Row[], notices: readonly string[]) {
    this.#worker = worker;
    this.rows = rows;
    this.notices = notices;
    worker.on('message', (answer: SqliteAnswer) => this.#settle(answer));
    worker.on('error', (error) => this.#end(`its worker failed: ${(error as Error).message}`));
    worker.on('exit', () => this.#end('its worker has ended'));
  }

  /**
   * @throws ConfigError where a person must act: a damaged file, one of a newer program, one in use
   * @throws NetError where another try may succeed
   */
  static async open(options: SqliteOptions): Promise<SqliteStore> {
    const { path, whenMissing, migrations = MIGRATIONS } = options;
    await makeFolder(dirname(path));
    const worker = options.startWorker({ path, migrations, whenMissing });
    const first = await firstAnswer(worker);
    if (first.type !== 'opened') await worker.terminate();
    if (first.type === 'failed')
      throw first.byPerson ? new ConfigError(first.text) : new NetError(first.text);
    if (first.type !== 'opened') throw new NetError(`store: the worker began with ${first.type}`);
    return new SqliteStore(worker, first.rows, first.notices);
  }

  async commit(commit: Commit): Promise<void> {
    await this.#ask({ type: 'commit', commit });
  }

  async readLog(limit: number, before: number = Number.MAX_SAFE_INTEGER): Promise<LogLines> {
    return (await this.#ask({ type: 'log', limit, before })) ?? [];
  }

  async keepCopy(): Promise<void> {
    await this.#ask({ type: 'copy' });
  }

  /** What was asked before is done first. Closing twice is closing once. */
  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const closing = this.#ask({ type: 'close' });
    this.#ended = 'it is closed';
    await closing;
    await this.#worker.terminate();
  }

  #ask(request: Unnumbered<SqliteRequest>): Promise<LogLines | undefined> {
    if (this.#ended !== undefined) return Promise.reject(new NetError(`store: ${this.#ended}`));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...request, id });
    });
  }

  #settle(answer: SqliteAnswer): void {
    if (answer.type === 'opened') return;
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.type === 'done') waiting?.resolve(answer.result);
    else waiting?.reject(new NetError(answer.text));
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    for (const { reject } of this.#waiting.values()) reject(new NetError(`store: ${this.#ended}`));
    this.#waiting.clear();
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await disk.makeFolder(path);
  } catch (error) {
    throw new ConfigError(`store: there is no folder ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function firstAnswer(worker: Worker): Promise<SqliteAnswer> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) =>
      reject(new NetError(`store: the worker ended at once, with ${code}`)),
    );
  });
}
