import t from 'tap';
import { Health } from '../../../src/base/health.ts';
import { lineLog } from '../../../src/base/log.ts';
import type { Model } from '../../../src/control/registry/model.ts';
import { emptyModel } from '../../../src/control/registry/model.ts';
import { createUser } from '../../../src/control/registry/users.ts';
import { Upkeep } from '../../../src/control/upkeep/upkeep.ts';
import { must } from '../../must.ts';
import { World } from '../control/world.ts';
import { Network, START } from '../coordinator/network.ts';

const BY = { kind: 'user', name: 'root', from: 'control.sock' } as const;
const LOOK_MS = 10_000;
const HOUR_MS = 3_600_000;
const EPHEMERAL_MS = 300_000;

class Kept extends Network {
  readonly health: Health = new Health(lineLog(() => {}, 'error'));
  copies = 0;
  readonly upkeep: Upkeep;

  constructor(model: Model, floor?: number) {
    super(model, floor);
    this.upkeep = new Upkeep({
      coordinator: this.coordinator,
      env: this.env,
      clock: this.networkClock,
      health: this.health,
      ephemeralMillis: EPHEMERAL_MS,
      keepCopy: async () => {
        this.copies++;
      },
      diskRefuses: () => this.diskRefused,
    });
  }

  /** As `pass`, with what is asynchronous in between. */
  async live(millis: number): Promise<void> {
    const until = this.clock.now() + millis;
    while (this.clock.now() < until) {
      this.pass(Math.min(LOOK_MS / 2, until - this.clock.now()));
      await new Promise((done) => setImmediate(done));
    }
  }

  /** Kinds of the rows written since the last call. */
  kinds(): readonly string[] {
    return this.written.splice(0).map(({ kind }) => kind);
  }

  get codes(): readonly string[] {
    return this.health.items().map(({ code }) => code);
  }
}

function withNodes(ephemeral: boolean): { kept: Kept; ids: readonly number[] } {
  const world = new World();
  const alice = world.user('alice');
  const ids = [1, 2].map((n) => world.join(n, alice, { ephemeral }).id);
  return { kept: new Kept(world.model), ids };
}

t.test(
  'upkeep: an ephemeral node goes when it was away for the time, one that is back or not ephemeral stays',
  async (t) => {
    const { kept, ids } = withNodes(true);
    const [a, b] = [must(ids[0]), must(ids[1])];
    const there = (): readonly number[] =>
      [...kept.coordinator.network.model.nodes.entries()].map(([id]) => id).sort();
    const sessions = [a, b].map((id) => kept.coordinator.connect(id));
    await kept.live(10 * EPHEMERAL_MS);
    t.same(there(), [a, b], 'connected for long');
    for (const [i, id] of [a, b].entries())
      kept.coordinator.disconnect(id, must(sessions[i]), 'silent');
    await kept.live(EPHEMERAL_MS - LOOK_MS);
    t.same(there(), [a, b], 'away for less');
    kept.coordinator.connect(b);
    await kept.live(2 * LOOK_MS);
    t.same(there(), [b]);
    await kept.upkeep.close();

    const { kept: lasting } = withNodes(false);
    await lasting.live(10 * EPHEMERAL_MS);
    t.equal(lasting.coordinator.network.model.nodes.size, 2);
    await lasting.upkeep.close();
  },
);

t.test('upkeep: the time that the server was away is not counted as absence', async (t) => {
  const { kept } = withNodes(true);
  const session = kept.coordinator.connect(1);
  kept.coordinator.disconnect(1, session, 'silent');
  await kept.upkeep.close();
  const { model } = kept.coordinator.network;

  const later = new Kept(model, START - 1);
  later.jumpMillis = 30 * 24 * HOUR_MS;
  const again = new Kept(model, START - 1);
  for (const one of [later, again]) {
    await one.live(EPHEMERAL_MS - LOOK_MS);
    t.equal(one.coordinator.network.model.nodes.size, 2);
    await one.live(2 * LOOK_MS);
    t.equal(one.coordinator.network.model.nodes.size, 0);
    await one.upkeep.close();
  }
});

t.test(
  'upkeep: a new disco key is remembered at once, an endpoint within ten minutes',
  async (t) => {
    const { kept, ids } = withNodes(false);
    const [a, b] = ids as [number, number];
    kept.coordinator.connect(a);
    kept.coordinator.said(a, { discoKey: `discokey:${'1'.repeat(64)}` });
    kept.coordinator.said(b, { homeDerp: 900 });
    await new Promise((done) => setImmediate(done));
    t.same(kept.kinds(), ['remembered', 'remembered']);
    kept.coordinator.said(a, { homeDerp: 900 });
    await undefined;
    await undefined;
    // While that is being stored.
    kept.coordinator.said(b, { discoKey: `discokey:${'2'.repeat(64)}` });
    await new Promise((done) => setImmediate(done));
    t.same(kept.kinds(), ['remembered', 'remembered']);
    await kept.live(LOOK_MS);
    t.same(kept.kinds(), []);
    kept.coordinator.said(a, { endpoints: ['192.0.2.1:41641'] });
    await kept.live(9 * 60_000);
    t.same(kept.kinds(), []);
    await kept.live(2 * 60_000);
    t.same(kept.kinds(), ['remembered']);
    await kept.upkeep.close();
  },
);

t.test(
  'upkeep: ten hours of an idle network write the time once an hour, and as many copies are asked for',
  async (t) => {
    const { kept, ids } = withNodes(false);
    for (const id of ids) {
      kept.coordinator.connect(id);
      kept.coordinator.said(id, { discoKey: `discokey:${'2'.repeat(64)}`, homeDerp: 900 });
    }
    await kept.live(LOOK_MS);
    kept.kinds();
    await kept.live(10 * HOUR_MS);
    t.same(kept.kinds(), Array(10).fill('counters'));
    t.equal(kept.copies, 10);
    await kept.upkeep.close();
  },
);

t.test('upkeep: the end remembers what is live, and the time, and leaves no timer', async (t) => {
  const { kept, ids } = withNodes(false);
  await kept.live(LOOK_MS);
  kept.coordinator.said(must(ids[0]), { endpoints: ['192.0.2.1:41641'] });
  kept.kinds();
  await kept.live(1000);
  await kept.upkeep.close();
  t.same(kept.kinds().toSorted(), ['counters', 'remembered']);
  t.equal(kept.coordinator.network.model.counters.latest, START + LOOK_MS + 1000);
  await kept.live(HOUR_MS);
  t.same(kept.kinds(), []);
});

t.test(
  'upkeep: a disk that refused is tried at each look, until it takes something again',
  async (t) => {
    const kept = new Kept(emptyModel(new World().model.settings));
    kept.diskFull = true;
    const change = kept.coordinator.change(BY, (model, context) =>
      createUser(model, { login: 'alice' }, context),
    );
    await t.rejects(change, { name: 'NetError' });
    await kept.live(10 * 60_000);
    t.equal(kept.diskRefused, true);
    t.equal(kept.written.length, 0);
    kept.diskFull = false;
    await kept.live(LOOK_MS);
    t.equal(kept.diskRefused, false);
    t.same(kept.kinds(), ['counters']);
    await kept.live(10 * 60_000);
    t.same(kept.kinds(), [], 'and then it is left alone');
    await kept.upkeep.close();
  },
);

t.test('upkeep: a clock that jumps is said while it does not fit', async (t) => {
  const { kept } = withNodes(false);
  await kept.live(LOOK_MS);
  t.same(kept.codes, []);
  for (const years of [-1, 1]) {
    kept.jumpMillis = years * 365 * 24 * HOUR_MS;
    await kept.live(LOOK_MS);
    t.same(kept.codes, ['clock']);
    t.match(must(kept.health.items()[0]).text, years < 0 ? /31536000 s behind/ : /s ahead of/);
    kept.jumpMillis = 0;
    await kept.live(LOOK_MS);
    t.same(kept.codes, []);
  }
  kept.jumpMillis = 365 * 24 * HOUR_MS;
  kept.confirmed = true;
  await kept.live(LOOK_MS);
  t.same(kept.codes, [], 'a time server says that it is right');
  await kept.upkeep.close();
});
