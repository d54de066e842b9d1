/**
 * The store's database, synchronous, within its worker.
 *
 *     open: is it there -> is it ours, whole, not newer than we -> copy, migrate -> good copy -> rows
 *     commit: BEGIN IMMEDIATE, rows, log, COMMIT (WAL, one fsync), or ROLLBACK and the reason
 *
 * The lock is exclusive and kept: a second program on the same file is refused, and no shared memory is
 * needed. On a file system that is read-only at the start, a private copy is read instead and commits are
 * refused, each after another try at the real file.
 *
 * Source: sqlite.org/wal.html, sqlite.org/pragma.html.
 */

import { accessSync, constants, copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { StatementSync } from 'node:sqlite';
import { DatabaseSync } from 'node:sqlite';
import { ConfigError, NetError } from '../base/errors.ts';
import type { Commit, LogRow, Row } from './port.ts';
import {
  checkOurs,
  checkWhole,
  Damage,
  migrate,
  prepareConnection,
  sumOf,
  versionOf,
} from './schema.ts';
import type { WhenMissing } from './store-files.ts';
import { ensureFile, goodPath, hasFreshCopy, putAside, replaceWhole } from './store-files.ts';

/** Result codes of SQLite, without the extension in their upper bits. */
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

export interface DatabaseOptions {
  /** In a folder that exists. */
  readonly path: string;
  readonly migrations: readonly string[];
  readonly whenMissing: WhenMissing;
}

interface Statements {
  readonly put: StatementSync;
  readonly drop: StatementSync;
  readonly log: StatementSync;
}

export class Database {
  readonly #options: DatabaseOptions;
  #database: DatabaseSync;
  #statements: Statements | undefined;
  /** A private copy is open instead of the file, which cannot be written. */
  #copyFolder: string | undefined;
  readonly notices: string[] = [];

  /**
   * @throws ConfigError where a person must act, and its text says how
   * @throws NetError where another try may succeed
   */
  constructor(options: DatabaseOptions) {
    this.#options = options;
    const { path } = options;
    if (isReadOnly(path)) {
      this.#copyFolder = mkdtempSync(join(tmpdir(), 'postern-store-'));
      this.#database = openCopy(path, this.#copyFolder, options.migrations);
      this.notices.push(`store: ${path} is on a read-only file system; changes are refused`);
      return;
    }
    if (ensureFile(path, options.whenMissing))
      this.notices.push(`store: ${path} was restored from ${goodPath(path)}`);
    this.#database = this.#openFile();
  }

  rows(): readonly Row[] {
    return this.#database
      .prepare('SELECT kind, key, body FROM row ORDER BY kind, key')
      .all() as unknown as Row[];
  }

  /** @throws NetError; nothing has changed then */
  commit({ rows, log }: Commit): void {
    if (this.#copyFolder !== undefined) this.#leaveCopy();
    const database = this.#database;
    const { put, drop, log: append } = this.#prepared();
    try {
      database.exec('BEGIN IMMEDIATE');
      for (const { kind, key, body } of rows)
        if (body === null) drop.run(kind, key);
        else put.run(kind, key, body, sumOf({ kind, key, body }));
      for (const { at, body } of log) append.run(at, body);
      database.exec('COMMIT');
    } catch (error) {
      // Some errors have rolled back already.
      if (database.isTransaction) database.exec('ROLLBACK');
      throw new NetError(`store: not saved: ${(error as Error).message}`, { cause: error });
    }
  }

  log(limit: number, before: number): readonly (LogRow & { readonly id: number })[] {
    return this.#database
      .prepare('SELECT id, at, body FROM log WHERE id < ? ORDER BY id DESC LIMIT ?')
      .all(before, limit) as unknown as (LogRow & { readonly id: number })[];
  }

  /** @throws NetError where it cannot be written; the copy before it still stands */
  keepCopy(): void {
    const { path } = this.#options;
    if (this.#copyFolder !== undefined || hasFreshCopy(path)) return;
    try {
      replaceWhole(goodPath(path), (to) => vacuumInto(this.#database, to));
    } catch (error) {
      throw new NetError(`store: no copy made: ${(error as Error).message}`, { cause: error });
    }
  }

  close(): void {
    this.#database.close();
    if (this.#copyFolder !== undefined) rmSync(this.#copyFolder, { recursive: true, force: true });
  }

  #openFile(): DatabaseSync {
    const { path, migrations } = this.#options;
    let database: DatabaseSync | undefined;
    try {
      database = new DatabaseSync(path, { allowExtension: false });
      prepareConnection(database);
      checkOurs(database, path, migrations.length);
      checkWhole(database);
      this.#migrate(database);
      return database;
    } catch (error) {
      database?.close();
      throw openError(path, error);
    }
  }

  #migrate(database: DatabaseSync): void {
    const { path, migrations } = this.#options;
    const version = versionOf(database);
    if (version > 0 && version < migrations.length) {
      const copy = `${path}.before-v${migrations.length}`;
      replaceWhole(copy, (to) => vacuumInto(database, to));
      this.notices.push(
        `store: migrated from version ${version} to ${migrations.length}; as it was: ${copy}`,
      );
    }
    migrate(database, migrations);
  }

  #prepared(): Statements {
    this.#statements ??= {
      put: this.#database.prepare(
        'INSERT OR REPLACE INTO row (kind, key, body, sum) VALUES (?, ?, ?, ?)',
      ),
      drop: this.#database.prepare('DELETE FROM row WHERE kind = ? AND key = ?'),
      log: this.#database.prepare('INSERT INTO log (at, body) VALUES (?, ?)'),
    };
    return this.#statements;
  }

  /** Nothing was committed since the copy was made, so the file is what we know. */
  #leaveCopy(): void {
    const { path } = this.#options;
    if (isReadOnly(path)) throw new NetError(`store: not saved: ${path} is read-only`);
    const file = this.#openFile();
    this.close();
    this.#database = file;
    this.#statements = undefined;
    this.#copyFolder = undefined;
  }
}

/** @returns the copy of a file that cannot be written, in a folder that can, in today's form */
function openCopy(path: string, folder: string, migrations: readonly string[]): DatabaseSync {
  const copy = join(folder, 'copy');
  let database: DatabaseSync | undefined;
  try {
    copyFileSync(path, copy);
    if (existsSync(`${path}-wal`)) copyFileSync(`${path}-wal`, `${copy}-wal`);
    database = new DatabaseSync(copy, { allowExtension: false });
    checkOurs(database, path, migrations.length);
    checkWhole(database);
    migrate(database, migrations);
    return database;
  } catch (error) {
    database?.close();
    rmSync(folder, { recursive: true, force: true });
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(
      `store: ${path} is on a read-only file system and cannot be read: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

function openError(path: string, error: unknown): Error {
  if (error instanceof ConfigError) return error;
  const { message } = error as Error;
  if (error instanceof Damage) return putAside(path, message);
  switch (((error as { errcode?: number }).errcode ?? 0) & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return putAside(path, message);
    case SQLITE_BUSY:
      return new ConfigError(`store: another program has ${path} open; one server owns it`);
    default:
      return new NetError(`store: cannot open ${path}: ${message}`, { cause: error });
  }
}

function isReadOnly(path: string): boolean {
  if (!existsSync(path)) return false;
  try {
    accessSync(dirname(path), constants.W_OK);
    accessSync(path, constants.W_OK);
    return false;
  } catch {
    return true;
  }
}

const vacuumInto = (database: DatabaseSync, path: string): void =>
  void database.prepare('VACUUM INTO ?').run(path);
