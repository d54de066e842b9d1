/**
 * The form of the store's database: whose it is, which version it has, whether it is whole, and the way from
 * an earlier form.
 *
 *     application_id   `Post`          user_version   how many steps of migrations.ts it has taken
 *     row.sum          CRC-32 of kind, key and body, each ended by a zero byte
 *
 * SQLite finds a page that makes no sense, but not a changed letter in a row; the sum does.
 */

import type { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { ConfigError } from '../base/errors.ts';

/** Another program's database is not ours to migrate. */
const APPLICATION_ID = 0x506f7374;

/** The database does not hold what was written to it. */
export class Damage extends Error {}

export function prepareConnection(database: DatabaseSync): void {
  database.enableDefensive(true);
  database.exec(`
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA trusted_schema = OFF;
    PRAGMA journal_size_limit = 4194304;
  `);
}

/** @throws with SQLite's own words */
export function checkWhole(database: DatabaseSync): void {
  const found = database.prepare('PRAGMA quick_check(1)').get() as { quick_check: string };
  if (found.quick_check !== 'ok') throw new Damage(found.quick_check.replaceAll(/\s+/g, ' '));
  if (versionOf(database) === 0) return;
  for (const row of summedRows(database))
    if (row.sum !== sumOf(row))
      throw new Damage(`row ${row.kind} ${row.key} is not as it was written`);
}

export function checkOurs(database: DatabaseSync, path: string, newest: number): void {
  const version = pragma(database, 'user_version');
  const id = pragma(database, 'application_id');
  const empty = database.prepare('SELECT 1 FROM sqlite_schema').get() === undefined;
  if (!empty && id !== APPLICATION_ID)
    throw new ConfigError(`store: ${path} is a database of another program`);
  if (version > newest)
    throw new ConfigError(
      `store: ${path} has version ${version}, and this program knows ${newest}: it was written by a newer one. Start that one, or put ${path}.before-v${version} in its place`,
    );
}

/** Takes every step that the file has not taken, each whole or not at all. */
export function migrate(database: DatabaseSync, migrations: readonly string[]): void {
  for (let version = versionOf(database); version < migrations.length; version++) {
    database.exec(`BEGIN IMMEDIATE;\n${migrations[version]};\n`);
    const sum = database.prepare('UPDATE row SET sum = ? WHERE kind = ? AND key = ?');
    for (const row of summedRows(database))
      if (row.sum !== sumOf(row)) sum.run(sumOf(row), row.kind, row.key);
    database.exec(`
      PRAGMA application_id = ${APPLICATION_ID};
      PRAGMA user_version = ${version + 1};
      COMMIT;
    `);
  }
}

export const versionOf = (database: DatabaseSync): number => pragma(database, 'user_version');

export function sumOf({ kind, key, body }: Omit<SummedRow, 'sum'>): number {
  return crc32(`${kind}\0${key}\0${body}\0`);
}

interface SummedRow {
  readonly kind: string;
  readonly key: string;
  readonly body: string;
  readonly sum: number;
}

const summedRows = (database: DatabaseSync): readonly SummedRow[] =>
  database.prepare('SELECT kind, key, body, sum FROM row').all() as unknown as SummedRow[];

const pragma = (database: DatabaseSync, name: string): number =>
  Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0] as number;
