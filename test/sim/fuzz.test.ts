import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { sockaddr } from '../../src/base/endpoint.ts';
import { NodePrivate, nodePublic } from '../../src/base/keys.ts';
import { ownKey } from '../../src/crypto/x25519.ts';
import type { TunnelReport } from '../../src/node/tunnel/ports.ts';
import { must } from '../must.ts';
import type { Seeded } from '../seeded.ts';
import { seeded } from '../seeded.ts';
import { SimNode } from './node.ts';
import type { World } from './world.ts';
import { A_ENDPOINT, B_ENDPOINT, numbers, packet, reportOf, wasm, world } from './world.ts';

const DATAGRAMS = 100_000;
const WARM_UP = 20_000;
/** Fewer than what a node calls load, when it would ask for cookies. */
const AT_ONCE = 16;
const UDP_MOST_BYTES = 65_507;
const MAC2_AT = 132;
const HANDSHAKE_TYPES: readonly number[] = [1, 2, 3];
const INITIATION_BYTES = 148;
const RESPONSE_BYTES = 92;
const COOKIE_REPLY_BYTES = 64;
const COOKIE_TYPE = 3;
const TO_B = sockaddr(B_ENDPOINT);
const STRANGER = { ...A_ENDPOINT, port: 6666 };

/** Beyond it a datagram each would be kept: 100,000 of the shortest header with its object are more. */
const MAX_GROWTH_BYTES: number = 2 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function memoryInUse(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** What b has heard and said, and an initiation for b from a key that it does not know. */
interface Genuine {
  readonly heard: readonly Uint8Array[];
  readonly said: readonly Uint8Array[];
  readonly stranger: Uint8Array;
}

/** A session that lives, with nothing due; every kind of its datagrams. */
function settle(w: World): Genuine {
  const heard: Uint8Array[] = [];
  const said: Uint8Array[] = [];
  const strangers: Uint8Array[] = [];
  w.network.tap = (datagram, from, to) => {
    if (from === '192.0.2.9:1009') strangers.push(datagram.slice());
    else (to.endsWith(`:${B_ENDPOINT.port}`) ? heard : said).push(datagram.slice());
    return from !== '192.0.2.9:1009';
  };
  // Each end initiates once: the second comes when the first keypair has expired.
  for (const [first, second] of [
    [w.a, w.b],
    [w.b, w.a],
  ] as const) {
    for (const bytes of [64, 65, 200, 1420]) {
      const [from, to] = first === w.a ? [1, 2] : [2, 1];
      first.send(packet(from, to, bytes, bytes));
      w.clock.runTo(w.clock.now() + 100);
      second.send(packet(to, from, bytes, bytes));
      w.clock.runTo(w.clock.now() + 100);
    }
    if (first === w.a) w.clock.runTo(200_000);
  }
  unknownCaller(w);
  w.clock.runTo(230_000);
  w.network.tap = () => true;
  return { heard, said, stranger: must(strangers[0]) };
}

/** A third node calls b and is stopped at the wire. */
function unknownCaller({ clock, network, b }: World): void {
  const random = seeded(99);
  const endpoint = { ...A_ENDPOINT, address: Uint8Array.of(192, 0, 2, 9), port: 1009 };
  const c = new SimNode({ clock, network, random, wasm, endpoint });
  const bKey = must(b.tunnel.status().privateKey);
  const publicKey = nodePublic(ownKey(bKey.expose()).publicKey);
  c.tunnel.configure({
    privateKey: new NodePrivate(random.bytes(32)),
    peers: [{ publicKey, endpoint: B_ENDPOINT, persistentKeepaliveSeconds: 1000, allowedIps: [] }],
  });
  c.tunnel.up();
  clock.runTo(clock.now() + 10);
  c.halt();
}

/** One hostile datagram: made up, or a genuine one spoiled, or a genuine one again. */
function hostile(random: Seeded, genuine: Genuine, noise: Uint8Array): Uint8Array {
  const all = [...genuine.heard, ...genuine.said, genuine.stranger];
  const some = (bytes: number): Uint8Array => {
    const at = random.below(noise.length - bytes);
    return noise.slice(at, at + bytes);
  };
  const like = random.pick(all).slice();
  switch (random.below(10)) {
    case 0:
      return some(1 + random.below(1600));
    case 1: {
      const datagram = some(4 + random.below(200));
      datagram.set([random.below(6), 0, 0, 0]);
      return datagram;
    }
    case 2:
      return like.subarray(0, 1 + random.below(like.length));
    case 3:
    case 4: {
      // A bit of mac2 means nothing while there is no load: that one would be the genuine one again.
      const bit = random.below(8 * (like[0] === 1 ? MAC2_AT : like.length));
      like[bit >> 3] = must(like[bit >> 3]) ^ (1 << (bit & 7));
      return like;
    }
    case 5: {
      like.set(some(4), 4);
      return like;
    }
    case 6: {
      const length = [INITIATION_BYTES, RESPONSE_BYTES, COOKIE_REPLY_BYTES];
      const type = random.below(HANDSHAKE_TYPES.length);
      const datagram = some(must(length[type]));
      datagram.set([must(HANDSHAKE_TYPES[type]), 0, 0, 0]);
      return datagram;
    }
    case 7: {
      if (random.below(8) > 0) return like;
      const datagram = some(UDP_MOST_BYTES - random.below(30_000));
      datagram.set(random.pick(genuine.heard).subarray(0, 16));
      return datagram;
    }
    case 8:
      return genuine.stranger;
    default:
      return like;
  }
}

/** Everything that was counted, for one reason or another. */
function counted({ drops, handshakes, packetsReceived }: TunnelReport): number {
  const all = [...Object.values(drops), ...Object.values(handshakes), packetsReceived];
  return all.reduce((sum, count) => sum + count, 0);
}

t.test(
  'fuzz: 100,000 hostile datagrams get no answer, keep no memory, and are counted each',
  { timeout: 60_000 },
  async (t) => {
    const w = world(40);
    const random = seeded(41);
    const noise = random.bytes(2 ** 20);
    const genuine = settle(w);
    const before = await reportOf(w.b, w.clock);
    const delivered = w.b.delivered.length;
    const answers: string[] = [];
    w.network.tap = (datagram, from, to) => {
      if (from.endsWith(`:${B_ENDPOINT.port}`)) answers.push(`${datagram[0]} to ${to}`);
      return true;
    };
    const attack = (count: number): void => {
      for (let sent = 0; sent < count; sent += AT_ONCE) {
        for (let i = 0; i < AT_ONCE; i++)
          w.network.send(STRANGER, TO_B, hostile(random, genuine, noise));
        w.clock.runTo(w.clock.now() + 6);
      }
    };
    attack(WARM_UP);
    const early = memoryInUse();
    attack(DATAGRAMS - WARM_UP);
    const grown = memoryInUse() - early;
    t.same(answers, [], 'nothing was answered');
    t.equal(w.b.delivered.length, delivered, 'nothing came out');
    t.ok(grown < MAX_GROWTH_BYTES, `memory grew by ${(grown / 1024).toFixed(0)} KiB`);
    const after = await reportOf(w.b, w.clock);
    t.equal(after.packetsReceived, before.packetsReceived, 'nothing passed for authentic');
    t.equal(counted(after) - counted(before), DATAGRAMS, 'each is counted under a reason');
    for (const reason of ['in: malformed', 'in: unknown index', 'in: forged', 'in: replayed'])
      t.ok((after.drops as Record<string, number>)[reason], reason);
    for (const reason of ['wrong MAC1', 'unknown peer', 'replayed initiation', 'unknown index'])
      t.ok(after.handshakes[`handshake: ${reason}`], reason);
    t.equal(w.b.tunnel.status().peers[0]?.endpoint?.port, A_ENDPOINT.port, 'the endpoint stays');
    w.b.send(packet(2, 1, 7777));
    w.a.send(packet(1, 2, 8888));
    w.clock.runTo(w.clock.now() + 100);
    t.equal(numbers(w.a.delivered).at(-1), 7777, 'the session works, out');
    t.equal(numbers(w.b.delivered).at(-1), 8888, 'and in');
  },
);

t.test('fuzz: under load a right MAC1 gets a cookie, which is shorter, and no more', async (t) => {
  const w = world(42);
  const { stranger } = settle(w);
  const answers: Uint8Array[] = [];
  w.network.tap = (datagram, from) => {
    if (from.endsWith(`:${B_ENDPOINT.port}`)) answers.push(datagram);
    return true;
  };
  const wrong = stranger.slice();
  wrong[MAC2_AT - 1] = must(wrong[MAC2_AT - 1]) ^ 1;
  const before = await reportOf(w.b, w.clock);
  for (let i = 0; i < 10; i++) {
    for (let n = 0; n < 50; n++) {
      w.network.send(STRANGER, TO_B, stranger);
      w.network.send(STRANGER, TO_B, wrong);
    }
    w.clock.runTo(w.clock.now() + 6);
  }
  const after = await reportOf(w.b, w.clock);
  const { handshakes } = after;
  const cookies = handshakes['handshake: cookie asked for'] ?? 0;
  t.ok(cookies > 100, `${cookies} of 500 with a right MAC1 were asked for a cookie`);
  t.equal(answers.length, cookies);
  t.ok(
    answers.every(({ length, 0: type }) => type === COOKIE_TYPE && length < INITIATION_BYTES),
    'and got nothing but that',
  );
  t.equal(counted(after) - counted(before), 1000, 'each is counted');
  t.equal(handshakes['initiation answered'], before.handshakes['initiation answered']);
  w.a.send(packet(1, 2, 1));
  w.clock.runTo(w.clock.now() + 100);
  t.equal(numbers(w.b.delivered).at(-1), 1, 'the session works meanwhile');
});
