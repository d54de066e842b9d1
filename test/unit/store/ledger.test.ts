import t from 'tap';
import { NetError } from '../../../src/base/errors.ts';
import { MAX_WAITING } from '../../../src/store/ledger.ts';
import type { Commit, CommitPort } from '../../../src/store/port.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import type { Counts } from './open-store.ts';
import { countLedger, countsOf, raise } from './open-store.ts';

/** A disk on which each commit stays under way until the test lets it come down, or fail. */
class HeldDisk implements CommitPort {
  readonly commits: Commit[] = [];
  #settle: PromiseWithResolvers<void> | undefined;

  commit(commit: Commit): Promise<void> {
    this.commits.push(commit);
    this.#settle = Promise.withResolvers();
    return this.#settle.promise;
  }

  async land(error?: Error): Promise<void> {
    await turn();
    const { resolve, reject } = must(this.#settle, 'a commit under way');
    if (error === undefined) resolve();
    else reject(error);
    await turn();
  }
}

const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

/** What became of a promise, as far as it is known now. */
function watched(promise: Promise<unknown>): { is: string } {
  const state = { is: 'waiting' };
  promise.then(
    () => {
      state.is = 'done';
    },
    (error: Error) => {
      state.is = error.message;
    },
  );
  return state;
}

t.test('ledger: what came during a commit goes into the next one, whole', async (t) => {
  const disk = new HeldDisk();
  const ledger = countLedger(disk);
  const seen: string[] = [];
  ledger.subscribe((model, events) => seen.push(`${events} a=${model['a']}`));
  const first = watched(ledger.change(raise('a')));
  await turn();
  const later = [raise('a'), raise('b'), raise('a')].map((one) => watched(ledger.change(one)));
  await disk.land();
  t.equal(first.is, 'done');
  t.same(seen, ['a=1 a=1'], 'only what is on the disk is published');
  t.same(
    later.map(({ is }) => is),
    ['waiting', 'waiting', 'waiting'],
  );
  await disk.land();
  t.same(
    later.map(({ is }) => is),
    ['done', 'done', 'done'],
  );
  t.same(seen.slice(1), ['a=2 a=2', 'b=1 a=2', 'a=3 a=3'], 'each in its order');
  t.equal(disk.commits.length, 2);
  t.same(countsOf(must(disk.commits[1]).rows), { a: 3, b: 1 }, 'one row for each that differs');
  t.equal(disk.commits[1]?.log.length, 3, 'but each line of the log');
});

t.test(
  'ledger: a failed commit takes back what was built on it, and each caller hears',
  async (t) => {
    const disk = new HeldDisk();
    const ledger = countLedger(disk);
    const published: Counts[] = [];
    ledger.subscribe((model) => published.push(model));
    const inIt = watched(ledger.change(raise('a')));
    await turn();
    const onTop = watched(ledger.change(raise('a')));
    await disk.land(new NetError('store: not saved: database or disk is full'));
    t.equal(inIt.is, 'store: not saved: database or disk is full');
    t.match(onTop.is, 'an earlier change could not be saved: store: not saved');
    t.same(published, []);
    t.same(ledger.model, {});
    const next = ledger.change(raise('a'));
    await disk.land();
    t.equal((await next).value, 1, 'the next one begins where the disk is');
    t.same(ledger.model, { a: 1 });
  },
);

t.test('ledger: a stalled disk holds back acknowledgements, not readers', async (t) => {
  const disk = new HeldDisk();
  const ledger = countLedger(disk, { a: 1 });
  const stalled = watched(ledger.change(raise('a')));
  await turn();
  t.equal(ledger.model['a'], 1);
  t.equal(ledger.waiting, 1);
  t.equal(stalled.is, 'waiting');
  await disk.land();
  t.equal(stalled.is, 'done');
  t.equal(ledger.waiting, 0);
});

t.test('ledger: a refusal is told after the changes that it saw', async (t) => {
  const disk = new HeldDisk();
  const ledger = countLedger(disk);
  const change = ledger.change(raise('a'));
  const refusal = ledger.change((model) => ({ ok: false, saw: model['a'] }));
  const told = watched(refusal);
  await turn();
  t.equal(told.is, 'waiting');
  await disk.land();
  await change;
  t.same(await refusal, { ok: false, saw: 1 });
  t.same(await ledger.change(() => ({ ok: false })), { ok: false });
  t.equal(disk.commits.length, 1, 'and costs no commit');
});

t.test('ledger: a change that throws, or comes too late, changes nothing', async (t) => {
  const disk = new HeldDisk();
  const ledger = countLedger(disk);
  const broken = ledger.change(() => {
    throw new TypeError('a fault in a change');
  });
  await t.rejects(broken, TypeError);
  const change = ledger.change(raise('a'));
  const closing = watched(ledger.close());
  await t.rejects(ledger.change(raise('a')), NetError);
  t.equal(closing.is, 'waiting', 'what was asked before is still done');
  await disk.land();
  t.equal((await change).value, 1);
  t.equal(closing.is, 'done');
});

t.test('ledger: more changes than may wait are refused, and the others are not lost', async (t) => {
  const disk = new HeldDisk();
  const ledger = countLedger(disk);
  const changes = Array.from({ length: MAX_WAITING }, () => ledger.change(raise('a')));
  await t.rejects(ledger.change(raise('a')), /10000 changes wait for the disk/);
  await disk.land();
  await Promise.all(changes);
  t.equal(ledger.model['a'], MAX_WAITING);
});

t.test('ledger: whatever fails, what is told, published and stored agree', async (t) => {
  const random = seeded(7);
  const stored = new Map<string, string>();
  const disk: CommitPort = {
    commit: async ({ rows }) => {
      for (let turns = random.below(3); turns > 0; turns--) await turn();
      if (random.below(4) === 0) throw new NetError('store: not saved');
      for (const { key, body } of rows) stored.set(key, must(body));
    },
  };
  const ledger = countLedger(disk);
  const told: Record<string, number> = {};
  const changes: Promise<void>[] = [];
  for (let round = 0; round < 1000; round++) {
    const name = random.pick(['a', 'b', 'c']);
    const change = ledger.change(raise(name)).then(
      ({ value }) => {
        // Each acknowledged value follows the one before it: nothing was lost between the two.
        if (value !== (told[name] ?? 0) + 1) throw new Error(`round ${round}: ${name}=${value}`);
        told[name] = value;
      },
      (error: unknown) => {
        if (!(error instanceof NetError)) throw error;
      },
    );
    changes.push(change);
    if (random.below(3) === 0) await turn();
  }
  await Promise.all(changes);
  t.same(ledger.model, told);
  t.same(Object.fromEntries([...stored].map(([key, body]) => [key, JSON.parse(body)])), told);
});
