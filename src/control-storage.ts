/**
 * `postern control`'s storage: the SQLite file in its worker, the ledger over it, and a health item while the
 * disk refuses.
 */

import type { Worker } from 'node:worker_threads';
import { ConfigError, NetError } from './base/errors.ts';
import type { Health } from './base/health.ts';
import type { RegistryEvent } from './control/registry/change.ts';
import type { Model } from './control/registry/model.ts';
import { DEFAULT_SETTINGS } from './control/registry/model.ts';
import { modelOf, rowsBetween } from './control/registry/rows.ts';
import { Ledger } from './store/ledger.ts';
import type { CommitPort } from './store/port.ts';
import { SqliteStore } from './store/sqlite-store.ts';
import type { SqliteStart } from './store/sqlite-worker.ts';
import type { WhenMissing } from './store/store-files.ts';

export const STORE_FILE = 'control.db';

export interface Storage {
  readonly ledger: Ledger<Model, RegistryEvent>;
  readonly store: SqliteStore;
  /** Whether nothing had ever been stored before this start. */
  readonly fresh: boolean;
  /** Whether the last commit failed. */
  refuses(): boolean;
  /** Everything asked for is settled and on the disk. */
  close(): Promise<void>;
}

export interface StorageOptions {
  readonly folder: string;
  readonly whenMissing: WhenMissing;
  readonly health: Health;
  startWorker(start: SqliteStart): Worker;
}

/** @throws ConfigError where a person must act, NetError where another try may succeed */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { folder, whenMissing, health, startWorker } = options;
  const path = `${folder}/${STORE_FILE}`;
  const store = await SqliteStore.open({
    path,
    startWorker,
    ...(whenMissing === undefined ? {} : { whenMissing }),
  });
  for (const text of store.notices)
    health.raise({
      code: 'store-notice',
      severity: 'notice',
      text,
      remedy: 'nothing; for your eyes',
    });
  const watched = new WatchedCommits(store, path, health);
  let model: Model;
  try {
    model = modelOf(store.rows, DEFAULT_SETTINGS);
  } catch (error) {
    await store.close();
    throw new ConfigError(`${path}: ${(error as Error).message}`, { cause: error });
  }
  const ledger = new Ledger<Model, RegistryEvent>({ model, store: watched, rowsBetween });
  return {
    ledger,
    store,
    fresh: store.rows.length === 0,
    refuses: () => watched.failed,
    close: async () => {
      await ledger.close();
      await store.close();
    },
  };
}

class WatchedCommits implements CommitPort {
  failed = false;
  readonly #store: CommitPort;
  readonly #path: string;
  readonly #health: Health;

  constructor(store: CommitPort, path: string, health: Health) {
    this.#store = store;
    this.#path = path;
    this.#health = health;
  }

  async commit(commit: Parameters<CommitPort['commit']>[0]): Promise<void> {
    try {
      await this.#store.commit(commit);
    } catch (error) {
      this.failed = true;
      if (error instanceof NetError)
        this.#health.raise({
          code: 'store-refuses',
          severity: 'error',
          text: `no change can be saved: ${error.message}`,
          remedy: `make room on the disk of ${this.#path}; what is connected stays connected`,
        });
      throw error;
    }
    this.failed = false;
    this.#health.lower('store-refuses');
  }
}
