import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import t from 'tap';
import { NetError } from '../../../src/base/errors.ts';
import type { FilePort, ReadDocument } from '../../../src/store/safe-file.ts';
import { disk, MAX_DOCUMENT_BYTES, SafeFile } from '../../../src/store/safe-file.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

/** A document of version 2; version 1 held the number alone. */
interface Count {
  readonly count: number;
}

const read: ReadDocument<Count> = (body, version) => {
  if (version === 1) return { count: body as number };
  if (version !== 2) throw new Error(`version ${version} is not known`);
  return body as Count;
};

const open = (path: string, files: FilePort = disk): Promise<SafeFile<Count>> =>
  SafeFile.open({ path, version: 2, read, files });

/** `disk` as it stands after a power cut in operation number `cutAt`, of whose text `keptBytes` came down. */
function cut(cutAt: number, keptBytes = 0): FilePort {
  let operation = 0;
  const step = async (action: () => Promise<void>, partly = () => {}): Promise<void> => {
    if (operation++ < cutAt) return action();
    if (operation === cutAt + 1) partly();
    throw new Error('power cut');
  };
  return {
    create: (path, text) =>
      step(
        () => disk.create(path, text),
        () => writeFileSync(path, text.slice(0, keptBytes)),
      ),
    rename: (from, to) => step(() => disk.rename(from, to)),
    syncFolder: (path) => step(() => disk.syncFolder(path)),
    makeFolder: (path) => step(() => disk.makeFolder(path)),
    read: disk.read,
  };
}

t.test('write: a document comes back, in a file that its owner alone may read', async (t) => {
  const path = `${t.testdir({})}/deep/er/count`;
  const file = await open(path);
  t.equal(file.value, undefined);
  t.same(file.problems, [], 'a first start is no problem');
  await file.write({ count: 1 });
  await file.write({ count: 2 });
  t.same((await open(path)).value, { count: 2 });
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(statSync(dirname(path)).mode & 0o777, 0o700);
  t.same(readdirSync(dirname(path)).sort(), ['count', 'count.previous']);
});

t.test('write: many at once are written in order', async (t) => {
  const path = `${t.testdir({})}/count`;
  const file = await open(path);
  await Promise.all(Array.from({ length: 20 }, (_, count) => file.write({ count })));
  t.same((await open(path)).value, { count: 19 });
  t.match(readFileSync(`${path}.previous`, 'utf8'), /"count":18/);
});

t.test('cut: at any operation and byte, the old or the new document is there', async (t) => {
  let cuts = 0;
  for (let operation = 0; operation < 5; operation++)
    for (let kept = 0; kept < (operation === 1 ? 120 : 1); kept++) {
      const path = `${t.testdir({})}/count`;
      const before = await open(path);
      await before.write({ count: 1 });
      await before.write({ count: 2 });
      const failing = await open(path, cut(operation, kept));
      const failed = await failing.write({ count: 3 }).then(
        () => false,
        (error) => error instanceof NetError,
      );
      const found = (await open(path)).value?.count ?? 0;
      if (!failed || (found !== 2 && found !== 3))
        return t.fail(`operation ${operation}, ${kept} bytes: found ${found}, failed ${failed}`);
      // What was found can be built upon.
      const after = await open(path);
      await after.write({ count: 4 });
      if ((await open(path)).value?.count !== 4) return t.fail(`operation ${operation}: stuck`);
      cuts++;
    }
  return t.pass(`${cuts} cuts`);
});

t.test('cut: a write that failed may be tried again by the same process', async (t) => {
  for (let operation = 0; operation < 5; operation++) {
    const path = `${t.testdir({})}/count`;
    await (await open(path)).write({ count: 1 });
    let files = cut(operation);
    const file = await open(path, {
      create: (...args) => files.create(...args),
      rename: (...args) => files.rename(...args),
      syncFolder: (...args) => files.syncFolder(...args),
      makeFolder: (...args) => files.makeFolder(...args),
      read: disk.read,
    });
    await t.rejects(file.write({ count: 2 }), NetError);
    files = disk;
    await file.write({ count: 3 });
    t.same((await open(path)).value, { count: 3 }, `operation ${operation}`);
  }
});

t.test('read: a file cut at any byte falls back to the previous one and says so', async (t) => {
  const path = `${t.testdir({})}/count`;
  const file = await open(path);
  await file.write({ count: 1 });
  await file.write({ count: 2 });
  const whole = readFileSync(path);
  const previous = readFileSync(`${path}.previous`);
  for (let length = 0; length < whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length));
    const found = await open(path);
    if (found.value?.count !== 1 || !found.problems.join().includes('previous copy is used'))
      return t.same(found, { value: { count: 1 } }, `${length} bytes`);
    if (!readFileSync(`${path}.damaged`).equals(whole.subarray(0, length)))
      return t.fail(`${length} bytes: the damaged copy was not kept`);
    // The good copy is still the previous one after the next write.
    await found.write({ count: 3 });
    if (!readFileSync(`${path}.previous`).equals(previous)) return t.fail(`${length} bytes`);
  }
  return t.pass(`${whole.length} lengths`);
});

t.test('read: any flipped bit, foreign content, version or size is noticed', async (t) => {
  const random = seeded(31);
  const path = `${t.testdir({})}/count`;
  const file = await open(path);
  await file.write({ count: 1 });
  await file.write({ count: 2 });
  const whole = readFileSync(path);
  for (let round = 0; round < 300; round++) {
    const bytes = Buffer.from(whole);
    const at = random.below(bytes.length);
    bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
    writeFileSync(path, bytes);
    const { value } = await open(path);
    if (value?.count !== 1) return t.same(value, { count: 1 }, `round ${round}, byte ${at}`);
  }
  for (const content of [
    Buffer.alloc(whole.length, 0xff),
    Buffer.alloc(MAX_DOCUMENT_BYTES + 10, 0x20),
    Buffer.from(whole.toString().replace('state 2', 'state 3')),
    Buffer.concat([whole, whole]),
  ]) {
    writeFileSync(path, content);
    t.same((await open(path)).value, { count: 1 });
  }
  return t.pass('300 flipped bits');
});

t.test('read: both copies damaged give no value, and both problems', async (t) => {
  const path = `${t.testdir({ count: 'x', 'count.previous': '' })}/count`;
  const file = await open(path);
  t.equal(file.value, undefined);
  t.equal(file.problems.length, 2);
  await file.write({ count: 5 });
  t.same((await open(path)).value, { count: 5 });
});

t.test('read: a document of an older version is migrated by its reader', async (t) => {
  const path = `${t.testdir({})}/count`;
  const old = await SafeFile.open({ path, version: 1, read: Number, files: disk });
  await old.write(7);
  t.same((await open(path)).value, { count: 7 });
});

t.test('read: a file that cannot be read now is left in its place', async (t) => {
  const path = `${t.testdir({})}/count`;
  await (await open(path)).write({ count: 1 });
  const busy: FilePort = {
    ...disk,
    read: () => Promise.reject(Object.assign(new Error('too many open files'), { code: 'EMFILE' })),
  };
  const file = await open(path, busy);
  t.equal(file.value, undefined);
  t.match(file.problems[0], /too many open files/);
  t.same((await open(path)).value, { count: 1 });
});

t.test('write: a full or forbidden disk is a NetError, and the old document stands', async (t) => {
  const path = `${t.testdir({})}/count`;
  const file = await open(path);
  await file.write({ count: 1 });
  const full = await open(path, {
    ...disk,
    create: () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' })),
  });
  await t.rejects(full.write({ count: 2 }), { name: 'NetError', message: /no space/ });
  t.same(full.value, { count: 1 });
  // Real: /proc takes no files, not even from root.
  const nowhere = await open('/proc/postern/count');
  await t.rejects(nowhere.write({ count: 2 }), NetError);
  t.same((await open(path)).value, { count: 1 });
  t.equal(existsSync(`${path}.damaged`), false);
  await t.rejects(
    must(file as unknown as SafeFile<unknown>).write('x'.repeat(MAX_DOCUMENT_BYTES)),
    /too large/,
  );
});
