import t from 'tap';
import { Forwarder } from '../../../src/node/names/forwarder.ts';
import { rcodeOf } from '../../../src/protocol/dns/answer.ts';
import { RCODE, TYPE } from '../../../src/protocol/dns/constants.ts';
import type { DnsQuery } from '../../../src/protocol/dns/query.ts';
import { readQuery } from '../../../src/protocol/dns/query.ts';
import type { ResolverAddress } from '../../../src/protocol/dns/resolver-address.ts';
import { parseResolver } from '../../../src/protocol/dns/resolver-address.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { ask } from '../dns/asking.ts';
import type { Resolver } from './world.ts';
import { address, code, cut, settle, World } from './world.ts';

const [A, B, C] = ['192.0.2.53', '192.0.2.54', '192.0.2.55'];
const resolvers = (...texts: readonly (string | undefined)[]): ResolverAddress[] =>
  texts.map((text) => must(parseResolver(text ?? '')));

const says =
  (last: number, ttl?: number): Resolver =>
  (query) => [{ message: address(query, last, ttl) }];
const silent: Resolver = () => [];

function question(name: string, type: number = TYPE.A): DnsQuery {
  const reading = readQuery(ask(name, type));
  if (reading.kind !== 'query') throw new Error(reading.kind);
  return reading.query;
}

interface Scene {
  readonly world: World;
  readonly forwarder: Forwarder;
  readonly counters: Map<string, number>;
  /** The last byte of the address answered, the code of another answer, or nothing; and when it came. */
  ask(name: string, ...to: readonly (string | undefined)[]): Promise<[what: string, atMs: number]>;
}

function scene(who: Readonly<Record<string, Resolver>>): Scene {
  const world = new World();
  for (const [text, resolver] of Object.entries(who)) world.resolvers.set(text, resolver);
  const counters = new Map<string, number>();
  const forwarder = new Forwarder(world.env, world.network, (reason) =>
    counters.set(reason, (counters.get(reason) ?? 0) + 1),
  );
  return {
    world,
    forwarder,
    counters,
    ask: async (name, ...to) => {
      const start = world.clock.now();
      let result: [string, number] | undefined;
      const asking = forwarder.ask(question(name), resolvers(...to)).then((found) => {
        const rcode = found && rcodeOf(found.message);
        const what = rcode === 0 ? String(found?.message.at(-1)) : `code ${rcode}`;
        result = [found === undefined ? 'nothing' : what, world.clock.now() - start];
      });
      for (let ms = 0; ms < 10_000 && result === undefined; ms += 100) await world.pass(100);
      await asking;
      return must(result);
    },
  };
}

t.test('forward: the first resolver answers, and no other is asked', async (t) => {
  const { world, ask } = scene({ [A]: says(1), [B]: says(2) });
  t.same(await ask('www.test', A, B), ['1', 0]);
  t.equal(world.asked.length, 1);
  t.equal(world.open, 0);
  t.equal(world.clock.pending, 0, 'no timer stays');
});

t.test('forward: a silent resolver costs 800 ms once, then it is asked last', async (t) => {
  const { ask } = scene({ [A]: silent, [B]: says(2) });
  t.same(await ask('one.test', A, B), ['2', 800]);
  t.same(await ask('two.test', A, B), ['2', 0]);
});

t.test('forward: a late answer still counts while the next one is asked', async (t) => {
  const late: Resolver = (query) => [{ message: address(query, 1), afterMs: 1000 }];
  const { ask, world } = scene({ [A]: late, [B]: silent });
  t.same(await ask('www.test', A, B), ['1', 1000]);
  t.equal(world.open, 0);
});

t.test('forward: one that refuses, fails or is not there is passed over at once', async (t) => {
  const refuses: Resolver = (query) => [{ message: code(query, RCODE.REFUSED) }];
  const { ask } = scene({ [A]: refuses, [B]: () => 'refused', [C]: says(3) });
  t.same(await ask('www.test', A, B, C), ['3', 0]);
});

t.test('forward: where all fail, the failure that was heard is the answer', async (t) => {
  const fails: Resolver = (query) => [{ message: code(query, RCODE.SERVFAIL) }];
  const { ask, world } = scene({ [A]: fails, [B]: () => 'refused' });
  t.same(await ask('www.test', A, B), ['code 2', 0]);
  t.equal(world.asked.length, 2, 'nobody is asked twice after a no');
});

t.test('forward: that a name does not exist is an answer, and kept', async (t) => {
  const { ask, world } = scene({ [A]: (query) => [{ message: code(query, RCODE.NXDOMAIN) }] });
  t.same(await ask('www.test', A, B), ['code 3', 0]);
  t.equal(world.asked.length, 1);
});

t.test('forward: nobody answers: two rounds, and the end after 4.5 s', async (t) => {
  const { ask, world } = scene({});
  t.same(await ask('www.test', A, B), ['nothing', 4500]);
  t.same(
    world.asked.map(({ resolver, at }) => [resolver, at]),
    [
      [A, 0],
      [B, 800],
      [A, 1600],
      [B, 2400],
    ],
  );
  t.equal(world.open, 0);
});

t.test('forward: an answer cut short is fetched by TCP, or stays the answer', async (t) => {
  const whole: Resolver = (query, transport) =>
    transport === 'tcp' ? [{ message: address(query, 9) }] : [{ message: cut(query) }];
  const { ask } = scene({ [A]: whole });
  t.same(await ask('big.test', A), ['9', 0]);
  const { world, forwarder } = scene({
    [A]: (query, transport) => (transport === 'tcp' ? 'refused' : [{ message: cut(query) }]),
  });
  const found = must(await forwarder.ask(question('big.test'), resolvers(A)));
  t.equal((found.message[2] ?? 0) & 0x02, 0x02, 'TC is passed on');
  t.equal(world.open, 0);
});

t.test('forward: forged answers are counted and cost nothing but patience', async (t) => {
  const forged: Resolver = (query) => [
    { message: address({ ...query, id: query.id ^ 1 }, 66) },
    { message: address({ ...question('other.test'), id: query.id }, 66) },
    { message: Uint8Array.of(1, 2, 3) },
    { message: address(query, 1), afterMs: 50 },
  ];
  const { ask, counters } = scene({ [A]: forged });
  t.same(await ask('www.test', A), ['1', 50]);
  t.equal(counters.get('dns: answer to another question'), 2);
  t.equal(counters.get('dns: malformed answer'), 1);
});

t.test('forward: ids are spread over their 65,536', async (t) => {
  const { world, forwarder } = scene({ [A]: says(1, 0) });
  for (let i = 0; i < 500; i++) await forwarder.ask(question(`n${i}.test`), resolvers(A));
  const ids = new Set(world.asked.map(({ query }) => query.id));
  t.ok(ids.size > 490, `${ids.size} of 500 differ`);
});

t.test('forward: many who ask one thing are one question, within bounds', async (t) => {
  const { world, forwarder, counters } = scene({ [A]: silent });
  const same = Array.from({ length: 100 }, () => forwarder.ask(question('one.test'), resolvers(A)));
  const others = Array.from({ length: 300 }, (_, i) =>
    forwarder.ask(question(`n${i}.test`), resolvers(A)),
  );
  await settle();
  t.equal(world.asked.length, 256);
  t.equal(world.open, 256);
  t.equal(counters.get('dns: too many wait for one answer'), 36);
  t.equal(counters.get('dns: too many questions under way'), 45);
  await world.pass(6000);
  t.same([...new Set(await Promise.all([...same, ...others]))], [undefined]);
  t.equal(world.open, 0);
  t.equal(forwarder.underWay, 0);
});

t.test('cache: answers age, end, and never outlast five minutes', async (t) => {
  const { world, ask, forwarder } = scene({ [A]: says(1, 100), [B]: says(2, 1e6) });
  await ask('a.test', A);
  await world.pass(40_000);
  const found = must(await forwarder.ask(question('A.test'), resolvers(A)));
  t.equal(found.resolver, undefined);
  t.equal(new DataView(found.message.buffer).getUint32(found.message.length - 10), 60);
  await world.pass(60_000);
  await ask('a.test', A);
  t.equal(world.asked.length, 2, 'asked again when it was over');
  await ask('b.test', B);
  await world.pass(299_000);
  await ask('b.test', B);
  t.equal(world.asked.length, 3);
  await world.pass(1000);
  await ask('b.test', B);
  t.equal(world.asked.length, 4);
});

t.test('cache: bounded by count and bytes, and void after a change', async (t) => {
  const { forwarder, world } = scene({ [A]: says(1) });
  for (let i = 0; i < 1500; i++) await forwarder.ask(question(`n${i}.test`), resolvers(A));
  t.equal(forwarder.cached, 1024);
  forwarder.forget();
  t.equal(forwarder.cached, 0);
  await forwarder.ask(question('n1499.test'), resolvers(A));
  t.equal(world.asked.length, 1501);
});

t.test('forward: a thousand odd resolvers leave nothing open', async (t) => {
  const random = seeded(4);
  for (let round = 0; round < 1000; round++) {
    const any: Resolver = (query) => {
      const kind = random.below(5);
      if (kind === 0) return 'refused';
      const afterMs = random.below(3000);
      const message = [
        address(query, 1),
        code(query, RCODE.SERVFAIL),
        cut(query),
        new Uint8Array(3),
      ];
      return kind === 1
        ? []
        : Array.from({ length: kind }, () => ({ message: random.pick(message), afterMs }));
    };
    const world = new World();
    for (const text of [A, B, C]) world.resolvers.set(text ?? '', any);
    const forwarder = new Forwarder(world.env, world.network, () => {});
    let over = false;
    void forwarder.ask(question('x.test'), resolvers(A, B, C)).then(() => {
      over = true;
    });
    for (let step = 0; step < 100; step++) {
      world.clock.runTo(world.clock.now() + 100);
      await null;
      await null;
      await null;
    }
    await settle();
    if (!over || world.open !== 0 || forwarder.underWay !== 0 || world.clock.pending > 0)
      return t.fail(
        `round ${round}: over ${over}, ${world.open} open, ${world.clock.pending} timers`,
      );
  }
  return t.pass('1,000 rounds');
});
