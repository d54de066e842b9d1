import t from 'tap';
import { NodePrivate } from '../../../src/base/keys.ts';
import { must } from '../../must.ts';
import { mapOf, Stand, settle, type TestNode, type TestRelay } from './stand.ts';

const HOME = 900;
const OTHER = 901;
/** A handshake initiation, as far as a relay link looks at it. */
const HANDSHAKE = `\x01\0\0\0${'h'.repeat(144)}`;

interface Pair {
  readonly stand: Stand;
  readonly relay: TestRelay;
  readonly other: TestRelay;
  readonly a: TestNode;
  readonly b: TestNode;
}

/** Two nodes at home in region 900; 901 has a relay too. */
async function pair(): Promise<Pair> {
  const stand = new Stand();
  const [relay, other] = [stand.relay('one'), stand.relay('two')];
  const [a, b] = [stand.node(), stand.node()];
  for (const node of [a, b]) {
    node.relays.setRegions(mapOf({ [HOME]: ['one'], [OTHER]: ['two'] }));
    node.relays.setHome(HOME);
  }
  await settle();
  return { stand, relay, other, a, b };
}

t.test('relays: packets arrive whole, in order, and many share a write', async (t) => {
  const { a, b } = await pair();
  const sent = Array.from({ length: 200 }, (_, i) => `${i} ${'x'.repeat(i * 7)}`);
  for (const text of sent) a.say(HOME, b, text);
  await settle();
  t.same(b.texts(), sent);
  t.same(must(b.heard[0]).from, a.public);
  const { writes, packetsOut } = a.relays.counters();
  t.equal(packetsOut, 200);
  // 200 packets are 147 kB in segments of 64 kB; NotePreferred was a write too.
  t.ok(writes <= 5, `${writes} writes`);
  t.ok(b.batches <= b.relays.counters().reads, 'one end of a batch for each read');
});

t.test('relays: flush writes at once, without waiting for the end of the turn', async (t) => {
  const { a, b } = await pair();
  const before = a.relays.counters().writes;
  a.say(HOME, b, 'now');
  t.equal(a.relays.counters().writes, before);
  a.relays.flush();
  t.equal(a.relays.counters().writes, before + 1);
  await settle();
  t.same(b.texts(), ['now']);
});

t.test('relays: another region is dialled on demand, and let go of after a minute', async (t) => {
  const { stand, other, a, b } = await pair();
  b.relays.setHome(OTHER);
  await settle();
  t.equal(other.clients, 1);
  a.say(OTHER, b, 'first');
  await settle();
  t.same(b.texts(), ['first'], 'what waited for the connection arrives');
  await stand.live(50_000);
  b.say(OTHER, a, 'answer');
  await stand.live(50_000);
  t.equal(a.state(OTHER), 'connected', 'what comes is a use too');
  await stand.live(20_000);
  t.equal(a.state(OTHER), 'idle');
  t.equal(a.state(HOME), 'connected', 'home is never let go of');
  t.equal(a.changes.at(-1), '901 lost not in use');
});

t.test(
  'relays: a region that leaves the map ends, and what is sent to it is refused',
  async (t) => {
    const { other, a, b } = await pair();
    a.say(OTHER, b, 'x');
    await settle();
    t.equal(other.clients, 1);
    a.relays.setRegions(mapOf({ [HOME]: ['one'] }));
    await settle();
    t.equal(other.clients, 0);
    t.equal(a.changes.at(-1), '901 lost the region is no longer in the map');
    t.equal(a.say(OTHER, b, 'y'), false);
    t.equal(a.say(HOME, b, 'z'.repeat(65_537)), false, 'nor what is longer than a relay carries');
  },
);

t.test(
  'relays: nodes of a region are tried in order, and then again with growing waits',
  async (t) => {
    const stand = new Stand();
    const [first, second] = [stand.relay('first'), stand.relay('second')];
    first.mode = second.mode = 'refuses';
    const a = stand.node();
    a.relays.setRegions(mapOf({ [HOME]: ['absent', 'first', 'second'] }));
    a.relays.setHome(HOME);
    await settle();
    t.equal(first.dials, 1);
    t.equal(second.dials, 1, 'both in one attempt');
    await stand.live(120_000);
    t.ok(first.dials >= 9 && first.dials <= 17, `${first.dials} attempts in two minutes`);
    second.mode = 'serves';
    await stand.live(31_000);
    t.equal(a.state(HOME), 'connected');
    t.equal(must(a.relays.status()[0]).host, 'second');
    second.mode = 'swallows';
    second.cut();
    first.mode = 'serves';
    await stand.live(31_000);
    t.equal(must(a.relays.status()[0]).host, 'first', 'order holds in each attempt');
  },
);

t.test('relays: a silent relay is found out, under traffic in 16 s and idle in 36', async (t) => {
  for (const [busy, limit] of [
    [true, 16_000],
    [false, 36_000],
  ] as const) {
    const { stand, relay, a, b } = await pair();
    await stand.live(1000);
    relay.freeze();
    if (busy) a.say(HOME, b, 'into the void');
    await stand.live(limit);
    t.match(a.changes.join(), /900 lost the relay is silent,900 connecting,900 connected/);
    await stand.live(36_000);
    b.say(HOME, a, 'back');
    await settle();
    t.same(a.texts(), ['back']);
  }
});

t.test('relays: a connection that takes nothing for half a minute is left', async (t) => {
  const { stand, a, b } = await pair();
  await stand.live(1000);
  a.stick();
  for (let i = 0; i < 10; i++) {
    a.say(HOME, b, `${i}`);
    await stand.live(2000);
  }
  t.equal(a.state(HOME), 'connected', 'a slow line is no dead one');
  await stand.live(12_000);
  t.match(a.changes.join(), /900 lost the relay takes nothing,900 connecting,900 connected/);
  t.same(b.texts(), ['1', '2', '3', '4', '5', '6', '7', '8', '9'], 'but for what was under way');
});

t.test(
  'relays: an idle home lives for an hour by its own pings and the relay’s keep-alives',
  async (t) => {
    const { stand, a, relay } = await pair();
    await stand.live(3_600_000, 1000);
    t.equal(relay.dials, 2, 'one for each node');
    t.same(a.changes, ['900 connecting', '900 connected']);
    t.ok(a.relays.counters().writes < 160, `${a.relays.counters().writes} writes`);
  },
);

t.test('relays: after a change of network two seconds of silence are enough', async (t) => {
  const { stand, relay, a } = await pair();
  await stand.live(1000);
  a.relays.linkChanged();
  await stand.live(5000);
  t.equal(relay.dials, 2, 'a relay that answers is kept');
  relay.freeze();
  a.relays.linkChanged();
  await stand.live(1000);
  a.relays.linkChanged();
  await stand.live(900);
  t.equal(relay.dials, 2);
  await stand.live(300);
  t.equal(relay.dials, 3, 'a second change does not put the end off');
});

t.test('relays: a change of network ends a wait, and an attempt that hangs', async (t) => {
  const { stand, relay, a } = await pair();
  relay.mode = 'refuses';
  relay.cut();
  await stand.live(60_000);
  relay.mode = 'serves';
  a.relays.linkChanged();
  await settle();
  relay.mode = 'swallows';
  relay.cut();
  await stand.live(3000);
  t.equal(a.state(HOME), 'connecting');
  relay.mode = 'serves';
  a.relays.linkChanged();
  await settle();
  t.equal(a.state(HOME), 'connected');
});

t.test(
  'relays: handshakes outlive the connection, in order; of data the newest does',
  async (t) => {
    const { stand, a, b } = await pair();
    a.offline = true;
    a.stick();
    const texts = ['1', '2', '3'].map((name) => `${HANDSHAKE}${name}`);
    a.say(HOME, b, must(texts[0]));
    a.say(HOME, b, 'data under way');
    a.relays.flush();
    await settle();
    a.say(HOME, b, must(texts[1]));
    for (let i = 0; i < 400; i++) a.say(HOME, b, `${i} `.padEnd(1000));
    a.say(HOME, b, must(texts[2]));
    a.cut();
    await stand.live(5000);
    t.equal(a.state(HOME), 'waiting');
    a.offline = false;
    await stand.live(31_000);
    const got = b.texts();
    t.same(
      got.filter((text) => text.startsWith('\x01')),
      texts,
    );
    t.equal(got.at(-1), texts[2]);
    const data = got.filter((text) => !text.startsWith('\x01')).map(Number.parseFloat);
    t.ok(data.length > 50 && data.length <= 131, `${data.length} of 400 packets`);
    t.same(
      data,
      Array.from({ length: data.length }, (_, i) => 400 - data.length + i),
      'the newest, in order',
    );
    t.equal(a.relays.counters().lostUnderWay, 1);
  },
);

t.test('relays: under a new key the new connection is made before the old one ends', async (t) => {
  const { stand, relay, a, b } = await pair();
  const old = a.public;
  a.key = new NodePrivate(stand.random.bytes(32));
  a.relays.setIdentity(a.key);
  t.equal(a.state(HOME), 'connected');
  b.relays.send(HOME, old, Buffer.from('to the old key'));
  b.relays.flush();
  await settle();
  t.same(a.texts(), ['to the old key']);
  a.say(HOME, b, 'from the new key');
  await settle();
  t.same(must(b.heard[0]).from, a.public);
  t.equal(relay.clients, 3, 'the old one is still read');
  await stand.live(10_500);
  t.equal(relay.clients, 2);
  t.same(a.changes, ['900 connecting', '900 connected'], 'nobody else has noticed');
  a.relays.setIdentity(null);
  await settle();
  t.equal(relay.clients, 1);
  t.equal(a.changes.at(-1), '900 lost there is no key');
});

t.test('relays: a relay that restarts is come back to when it asked for', async (t) => {
  const { stand, relay, a } = await pair();
  await stand.live(20_000);
  relay.board.stop();
  await stand.live(100);
  t.equal(a.state(HOME), 'waiting');
  await stand.live(500);
  t.equal(a.state(HOME), 'connected');
});

t.test('relays: a region is measured on its connection, or on one made for it', async (t) => {
  const { stand, other, relay, a } = await pair();
  const home = a.relays.measure(HOME);
  await settle();
  t.equal(await home, 0, 'no time passes in memory');
  t.equal(relay.dials, 2);
  const measured = a.relays.measure(OTHER);
  await settle();
  t.equal(await measured, 0);
  t.equal(other.dials, 1);
  t.equal(other.clients, 0, 'it is no client');
  other.mode = 'swallows';
  const late = a.relays.measure(OTHER).catch((error: Error) => error);
  await stand.live(6000);
  t.match(await late, { name: 'NetError', message: /two does not answer/ });
});

t.test('relays: who asks for a peer that is not there is told', async (t) => {
  const { stand, a, b } = await pair();
  b.relays.close();
  await settle();
  const disco = Buffer.concat([Buffer.from('TS💬'), Buffer.alloc(60)]).toString('latin1');
  a.say(HOME, b, disco);
  await stand.live(500);
  t.same(a.gone, ['900 not here']);
});

t.test('relays: nothing is left running once it is closed', async (t) => {
  const { stand, a, b, relay } = await pair();
  a.say(OTHER, b, 'x');
  await settle();
  a.relays.close();
  b.relays.close();
  await settle();
  t.equal(relay.clients, 0);
  t.equal(stand.clock.pending, 0);
  t.equal(a.say(HOME, b, 'x'), false);
});
