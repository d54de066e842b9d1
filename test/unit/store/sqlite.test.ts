import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual, promisify } from 'node:util';
import type { Worker } from 'node:worker_threads';
import t from 'tap';
import { ConfigError } from '../../../src/base/errors.ts';
import { MIGRATIONS } from '../../../src/store/migrations.ts';
import type { SqliteStore } from '../../../src/store/sqlite-store.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { countLedger, countsOf, openStore, raise } from './open-store.ts';

const ROUNDS = 30;

const script = (name: string): string => new URL(name, import.meta.url).pathname;

const count = (key: string, value: number) => ({
  rows: [{ kind: 'count', key, body: JSON.stringify(value) }],
  log: [{ at: value, body: JSON.stringify({ key, value }) }],
});

/** The file as it was left, without its lock. */
function inspected<T>(path: string, look: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(path);
  try {
    return look(database);
  } finally {
    database.close();
  }
}

/** A store that has been written and closed. */
async function filled(path: string): Promise<void> {
  const store = await openStore(path);
  for (let i = 0; i < 50; i++) await store.commit(count(`key ${i}`, i));
  await store.keepCopy();
  await store.close();
}

const rejection = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => new Error('it was opened'),
    (error: Error) => error,
  );

t.test(
  'sqlite: rows, removals and the log come back, in files that the owner alone may read',
  async (t) => {
    const path = join(t.testdir({}), 'deeper/control.db');
    let store: SqliteStore = await openStore(path);
    t.same(store.rows, []);
    await store.commit(count('a', 1));
    await store.commit(count('b', 2));
    await store.commit({ ...count('a', 3), log: [] });
    await store.commit({ rows: [{ kind: 'count', key: 'b', body: null }], log: [] });
    t.same(
      (await store.readLog(10)).map(({ at }) => at),
      [2, 1],
    );
    t.same(
      (await store.readLog(10, 2)).map(({ id }) => id),
      [1],
    );
    await store.close();
    await store.close();
    await t.rejects(store.commit(count('a', 4)), /it is closed/);
    store = await openStore(path);
    t.same(store.rows, [{ kind: 'count', key: 'a', body: '3' }]);
    await store.close();
    for (const file of readdirSync(dirname(path)))
      t.equal(statSync(join(dirname(path), file)).mode & 0o777, 0o600, file);
  },
);

t.test('sqlite: a commit is whole or not at all, and the next one goes on', async (t) => {
  const store = await openStore(join(t.testdir({}), 'control.db'));
  const good = count('a', 1).rows;
  const bad = [{ kind: 'count', key: 'b', body: 'no JSON' }];
  await t.rejects(store.commit({ rows: [...good, ...bad], log: [] }), /not saved/);
  await store.commit(count('c', 3));
  await store.close();
  const again = await openStore(join(t.testdirName, 'control.db'));
  t.same(countsOf(again.rows), { c: 3 });
  await again.close();
});

t.test('sqlite: two programs cannot have one file', async (t) => {
  const path = join(t.testdir({}), 'control.db');
  const store = await openStore(path);
  const second = await rejection(openStore(path));
  t.type(second, ConfigError);
  t.match(second.message, 'another program has');
  await store.commit(count('a', 1));
  await store.close();
});

t.test('sqlite: kill -9 at any moment loses nothing acknowledged', async (t) => {
  const random = seeded(11);
  const killed: number[] = [];
  for (let round = 0; round < 8; round++) {
    const path = join(t.testdir({}), 'control.db');
    const last = random.below(200);
    const acknowledged = await killedAfter(path, last, random.below(3000));
    const store = await openStore(path);
    const counts = countsOf(store.rows);
    await store.close();
    const lost = acknowledged.filter((i) => counts[`change ${i}`] !== 1);
    if (lost.length > 0) return t.same(lost, [], `round ${round}, killed after ${last}`);
    killed.push(acknowledged.length);
  }
  t.comment(`acknowledged before the kill, and there: ${killed.join(', ')}`);
  return t.ok(killed.every((acks) => acks > 0));
});

t.test('sqlite: every earlier form is brought to today with what is in it', async (t) => {
  // Forms to come, so that the way from each is walked: today's has no step behind it yet.
  const steps = [
    ...MIGRATIONS,
    `UPDATE row SET body = json_object('value', json(body)) WHERE kind = 'count'`,
    `UPDATE row SET kind = 'counter' WHERE kind = 'count'`,
  ];
  for (let version = 1; version <= steps.length; version++) {
    const path = join(t.testdir({}), 'control.db');
    const old = await openStore(path, { migrations: steps.slice(0, version) });
    const kind = version === 3 ? 'counter' : 'count';
    const body = version === 1 ? '7' : '{"value":7}';
    await old.commit({ rows: [{ kind, key: 'a', body }], log: [{ at: 1, body: '{}' }] });
    await old.close();
    const now = await openStore(path, { migrations: steps });
    t.same(now.rows, [{ kind: 'counter', key: 'a', body: '{"value":7}' }], `from ${version}`);
    t.equal((await now.readLog(5)).length, 1);
    await now.close();
    const copy = `${path}.before-v3`;
    t.equal(existsSync(copy), version < 3, 'what was migrated is kept as it was');
    if (version < 3)
      t.same(
        inspected(copy, (database) => database.prepare('SELECT kind, body FROM row').get()),
        { kind, body },
      );
  }
});

t.test('sqlite: a step that fails leaves the form before it', async (t) => {
  const path = join(t.testdir({}), 'control.db');
  await filled(path);
  const broken = [...MIGRATIONS, 'DELETE FROM row; UPDATE nowhere SET x = 1'];
  t.match((await rejection(openStore(path, { migrations: broken }))).message, 'nowhere');
  const store = await openStore(path);
  t.equal(store.rows.length, 50);
  await store.close();
});

t.test(
  'sqlite: a file of a newer program, or of another one, is refused and left alone',
  async (t) => {
    const path = join(t.testdir({}), 'control.db');
    const newer = await openStore(path, { migrations: [...MIGRATIONS, 'SELECT 1'] });
    await newer.close();
    const before = readFileSync(path);
    const refused = await rejection(openStore(path));
    t.type(refused, ConfigError);
    t.match(refused.message, /has version 2, and this program knows 1: it was written by a newer/);
    t.ok(readFileSync(path).equals(before));

    const foreign = join(t.testdirName, 'other.db');
    inspected(foreign, (database) => database.exec('CREATE TABLE theirs (x)'));
    t.match((await rejection(openStore(foreign))).message, 'a database of another program');
  },
);

t.test('sqlite: a damaged file is named, put aside and never replaced by itself', async (t) => {
  const path = join(t.testdir({}), 'control.db');
  await filled(path);
  const garbage = readFileSync(path).fill(0x5a, 100, 4096);
  writeFileSync(path, garbage);

  const named = await rejection(openStore(path));
  t.type(named, ConfigError);
  t.match(named.message, /control\.db is damaged .*put aside as .*control\.db\.damaged-1/);
  t.match(named.message, /The last good copy, .*control\.db\.good, is of 20.*--store restore/);
  t.ok(readFileSync(`${path}.damaged-1`).equals(garbage), 'a person can still look at it');

  const again = await rejection(openStore(path));
  t.match(again.message, /control\.db is missing, but .*damaged-1/);
  t.notOk(existsSync(path), 'no empty one has taken its place');

  const restored = await openStore(path, { whenMissing: 'restore' });
  t.equal(restored.rows.length, 50);
  t.match(restored.notices, ['restored from']);
  await restored.close();

  writeFileSync(path, '');
  t.match((await rejection(openStore(path))).message, /control\.db is empty, but .*damaged-1/);

  writeFileSync(path, 'no database at all, but long enough to have a header'.repeat(20));
  t.match((await rejection(openStore(path))).message, 'control.db.damaged-2');
  const anew = await openStore(path, { whenMissing: 'new' });
  t.same(anew.rows, []);
  await anew.close();
});

t.test('sqlite: a file damaged anywhere is refused, or gives what it held', async (t) => {
  const origin = join(t.testdir({}), 'control.db');
  await filled(origin);
  const whole = readFileSync(origin);
  const held = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`key ${i}`, i]));
  const random = seeded(12);
  let refused = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const path = join(t.testdirName, `${round}/control.db`);
    mkdirSync(dirname(path));
    const at = random.below(whole.length);
    const until = Math.min(whole.length, at + random.pick([1, 30, 900]));
    const damaged = Buffer.from(whole).fill(0x37, at, until);
    writeFileSync(path, random.below(4) === 0 ? whole.subarray(0, at) : damaged);
    const opened = await openStore(path).catch((error: Error) => error);
    if (opened instanceof Error) {
      if (!/is damaged|is empty|of another program/.test(opened.message))
        return t.fail(`round ${round}: ${opened.message}`);
      refused++;
      continue;
    }
    const same = isDeepStrictEqual(countsOf(opened.rows), held);
    await opened.close();
    if (!same) return t.fail(`round ${round}: opened with other rows`);
  }
  t.comment(`${refused} of ${ROUNDS} refused, the others whole`);
  return t.ok(refused > 0);
});

t.test(
  'sqlite: a full or read-only disk refuses changes, keeps readers, and recovers by itself',
  async (t) => {
    const folder = t.testdir({});
    const run = promisify(execFile);
    const args = ['-m', process.execPath, script('./full-disk.ts'), folder];
    if (process.getuid?.() !== 0) args.unshift('-r');
    const { stdout } = await run('unshare', args);
    t.match(JSON.parse(stdout), {
      before: 'saved',
      full: /NetError: store: not saved: database or disk is full/,
      'read while full': 1,
      'log while full': 1,
      'space again': 'saved',
      'notices at a read-only start': 1,
      'read at a read-only start': 2,
      'change at a read-only start': /NetError: store: not saved: .* is read-only/,
      'writable again': 'saved',
      'at last': 3,
    });
  },
);

t.test('sqlite: a worker that dies fails what waits and what comes, and says so', async (t) => {
  const path = join(t.testdir({}), 'control.db');
  const workers: Worker[] = [];
  const store = await openStore(path, { onWorker: (worker) => workers.push(worker) });
  const ledger = countLedger(store);
  await ledger.change(raise('a'));
  await must(workers[0]).terminate();
  await t.rejects(ledger.change(raise('a')), /store: its worker/);
  t.same(ledger.model, { a: 1 });
  const again = await openStore(path);
  t.same(countsOf(again.rows), { a: 1 });
  await again.close();
});

/** The numbers that a killed process had printed: SIGKILL comes a little after number `last`. */
async function killedAfter(path: string, last: number, spinMicros: number): Promise<number[]> {
  const child = spawn(process.execPath, [script('./killed-writer.ts'), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk;
    if (!text.includes(`\n${last}\n`)) return;
    const until = process.hrtime.bigint() + BigInt(spinMicros) * 1000n;
    while (process.hrtime.bigint() < until);
    child.kill('SIGKILL');
  });
  await new Promise((done) => child.on('close', done));
  const whole = text.slice(0, text.lastIndexOf('\n'));
  return whole.split('\n').slice(1).map(Number);
}
