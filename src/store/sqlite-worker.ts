/**
 * The store's worker: SQLite waits for the disk, and nothing else should. It gets `SqliteStart` as worker
 * data, answers once with what it found, and then each request in turn.
 *
 *     worker                                   main thread (sqlite-store.ts)
 *     opened rows, notices | failed      ->
 *                                        <-    commit | log | copy | close
 *     done id, result | failed id        ->
 */

import { parentPort, workerData } from 'node:worker_threads';
import { BugError, ConfigError } from '../base/errors.ts';
import { Database } from './database.ts';
import type { Commit, LogRow, Row } from './port.ts';
import type { WhenMissing } from './store-files.ts';

export interface SqliteStart {
  readonly path: string;
  readonly migrations: readonly string[];
  readonly whenMissing: WhenMissing;
}

export type SqliteRequest =
  | { readonly type: 'commit'; readonly id: number; readonly commit: Commit }
  | { readonly type: 'log'; readonly id: number; readonly limit: number; readonly before: number }
  | { readonly type: 'copy'; readonly id: number }
  | { readonly type: 'close'; readonly id: number };

/** What `log` answers with; the others answer with nothing. */
export type LogLines = readonly (LogRow & { readonly id: number })[];

export type SqliteAnswer =
  | { readonly type: 'opened'; readonly rows: readonly Row[]; readonly notices: readonly string[] }
  | { readonly type: 'done'; readonly id: number; readonly result: LogLines | undefined }
  /** id 0: it could not be opened. */
  | {
      readonly type: 'failed';
      readonly id: number;
      /** A person must act; else another try may succeed. */
      readonly byPerson: boolean;
      readonly text: string;
    };

if (parentPort === null) throw new BugError('this file is the entry of a worker');
const port = parentPort;
const answer = (message: SqliteAnswer): void => port.postMessage(message);

const failed = (id: number, error: unknown): void =>
  answer({
    type: 'failed',
    id,
    byPerson: error instanceof ConfigError,
    text: (error as Error).message,
  });

function open(): Database | undefined {
  try {
    return new Database(workerData as SqliteStart);
  } catch (error) {
    failed(0, error);
    return undefined;
  }
}

function perform(database: Database, request: SqliteRequest): LogLines | undefined {
  switch (request.type) {
    case 'commit':
      database.commit(request.commit);
      return undefined;
    case 'log':
      return database.log(request.limit, request.before);
    case 'copy':
      database.keepCopy();
      return undefined;
    case 'close':
      database.close();
      return undefined;
  }
}

const database = open();
if (database !== undefined) {
  answer({ type: 'opened', rows: database.rows(), notices: database.notices });
  try {
    database.keepCopy();
  } catch {
    // A full disk: the copy before it still stands, and whoever asks for one next is told.
  }
  port.on('message', (request: SqliteRequest) => {
    try {
      answer({ type: 'done', id: request.id, result: perform(database, request) });
    } catch (error) {
      failed(request.id, error);
    }
  });
}
