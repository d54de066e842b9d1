/**
 * The model as rows, and back: what a store keeps without understanding it.
 *
 *     kind        key              body (JSON)
 *     user        3                User
 *     node        7                MeshNode
 *     auth-key    2                AuthKey, with the hash alone
 *     device      7/nas            LanDevice
 *     record      nas.example A …  ExtraRecord
 *     rest        100.64.0.9       since when
 *     remembered  7                Remembered
 *     primary     10.0.0.0/24      node id
 *     settings    -                Settings
 *     counters    -                Counters
 *
 * `rowsBetween` compares two models, so a change needs no list of what it touched. Indexes are made anew at
 * load, approvals are not kept.
 */

import { ConfigError } from '../../base/errors.ts';
import type { UnixMillis } from '../../base/time.ts';
import { putAuthKey, putDevice, putNode, putRecord, putUser } from './edit.ts';
import type {
  AuthKey,
  Counters,
  ExtraRecord,
  LanDevice,
  MeshNode,
  Model,
  Remembered,
  Settings,
  User,
} from './model.ts';
import { emptyModel } from './model.ts';
import type { Key, PersistentMap } from './persistent-map.ts';

export interface Row {
  readonly kind: string;
  readonly key: string;
  /** null: there is no such row any more. */
  readonly body: string | null;
}

const ONLY = '-';

/** What a store that has `before` must write to have `after`. */
export function rowsBetween(before: Model, after: Model): readonly Row[] {
  const rows: Row[] = [];
  const table = <K extends Key, V>(
    kind: string,
    from: PersistentMap<K, V>,
    to: PersistentMap<K, V>,
  ): void => {
    for (const { key, after } of to.changedSince(from)) rows.push(row(kind, String(key), after));
  };
  table('user', before.users, after.users);
  table('node', before.nodes, after.nodes);
  table('auth-key', before.authKeys, after.authKeys);
  table('device', before.devices, after.devices);
  table('record', before.records, after.records);
  table('rest', before.rests, after.rests);
  table('remembered', before.remembered, after.remembered);
  table('primary', before.primaries, after.primaries);
  if (!sameJson(before.settings, after.settings)) rows.push(row('settings', ONLY, after.settings));
  if (!sameJson(before.counters, after.counters)) rows.push(row('counters', ONLY, after.counters));
  return rows;
}

/**
 * The model that rows stand for.
 *
 * @param settings where the rows have none, as at the first start
 * @throws ConfigError for a row that this program cannot have written
 */
export function modelOf(rows: readonly Row[], settings: Settings): Model {
  const one = <T>(kind: string): T | undefined => {
    const found = rows.find((row) => row.kind === kind);
    return found && (parsed(found) as T);
  };
  const stored = one<Settings>('settings');
  const empty = emptyModel({ ...settings, ...stored });
  const counters: Counters = { ...empty.counters, ...one<Counters>('counters') };
  return rows.reduce(withRow, { ...empty, counters });
}

function withRow(model: Model, row: Row): Model {
  const body = parsed(row);
  switch (row.kind) {
    case 'user':
      return putUser(model, body as User);
    case 'node':
      return putNode(model, body as MeshNode);
    case 'auth-key':
      return putAuthKey(model, body as AuthKey);
    case 'device':
      return putDevice(model, body as LanDevice);
    case 'record':
      return putRecord(model, body as ExtraRecord);
    case 'rest':
      return { ...model, rests: model.rests.set(row.key, body as UnixMillis) };
    case 'remembered':
      return {
        ...model,
        remembered: model.remembered.set(Number(row.key), body as Remembered),
      };
    case 'primary':
      return { ...model, primaries: model.primaries.set(row.key, body as number) };
    case 'settings':
    case 'counters':
      return model;
    default:
      throw new ConfigError(`registry: the store has rows '${row.kind}', which are not known here`);
  }
}

function parsed({ kind, key, body }: Row): unknown {
  try {
    return JSON.parse(body ?? '');
  } catch {
    throw new ConfigError(`registry: row ${kind} ${key} of the store is no JSON`);
  }
}

const row = (kind: string, key: string, value: unknown): Row => ({
  kind,
  key,
  body: value === undefined ? null : JSON.stringify(value),
});

const sameJson = (a: unknown, b: unknown): boolean =>
  a === b || JSON.stringify(a) === JSON.stringify(b);
