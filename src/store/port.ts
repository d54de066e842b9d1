/**
 * What a store is: rows that it keeps and does not understand, and a log that only grows. SQLite fits it
 * (sqlite-store.ts); a database of a fleet may, since every operation is asynchronous and commits are whole.
 */

export interface Row {
  readonly kind: string;
  readonly key: string;
  /** JSON; null: there is no such row any more. */
  readonly body: string | null;
}

/** One line of the log of who did what. */
export interface LogRow {
  /** Unix milliseconds. */
  readonly at: number;
  readonly body: string;
}

export interface Commit {
  /** At most one for each kind and key. */
  readonly rows: readonly Row[];
  readonly log: readonly LogRow[];
}

export interface CommitPort {
  /**
   * All of it or nothing; when the promise resolves, it survives a power cut.
   *
   * @throws NetError, after which nothing has changed and the next commit may succeed
   */
  commit(commit: Commit): Promise<void>;
}

export interface Store extends CommitPort {
  /** What was stored when it was opened. */
  readonly rows: readonly Row[];
  /** What a person should know: a migration, a disk that cannot be written. */
  readonly notices: readonly string[];
  /** Lines of the log, the newest first. @param before only those with a smaller number */
  readLog(limit: number, before?: number): Promise<readonly (LogRow & { readonly id: number })[]>;
  /** Keeps a copy to fall back on, where something was committed since the last one. */
  keepCopy(): Promise<void>;
  close(): Promise<void>;
}
