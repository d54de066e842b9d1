import t from 'tap';
import { must } from '../must.ts';
import { seeded } from '../seeded.ts';
import { FAIR } from './network.ts';
import type { World } from './world.ts';
import { A_ENDPOINT, B_ENDPOINT, numbers, packet, reportOf, world } from './world.ts';

const INITIATION = 1;
const TRANSPORT = 4;
const KEEPALIVE_BYTES = 32;

/** Instants of the datagrams that pass `wanted`, from the moment of the call on. */
function watch(
  { clock, network }: World,
  wanted: (datagram: Uint8Array, from: string) => boolean,
): number[] {
  const seen: number[] = [];
  const before = network.tap;
  network.tap = (datagram, from, to) => {
    if (wanted(datagram, from)) seen.push(clock.now());
    return before(datagram, from, to);
  };
  return seen;
}

const isInitiation = (datagram: Uint8Array): boolean => datagram[0] === INITIATION;
const isKeepalive = (datagram: Uint8Array): boolean =>
  datagram[0] === TRANSPORT && datagram.length === KEEPALIVE_BYTES;

t.test('tunnel: the first packet waits for the handshake and arrives', async (t) => {
  const { clock, a, b } = world(1);
  for (let number = 0; number < 10; number++) a.send(packet(1, 2, number));
  clock.runTo(100);
  t.same(numbers(b.delivered), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 'all, once, in order');
  b.send(packet(2, 1, 77));
  clock.runTo(200);
  t.same(numbers(a.delivered), [77], 'and the answer, to an endpoint that was learned');
  t.equal(must(b.tunnel.status().peers[0]).lastHandshake > 0, true);
});

t.test(
  'tunnel: who receives data and has nothing to say sends a keepalive after 10 s',
  async (t) => {
    const w = world(2);
    const keepalives = watch(
      w,
      (datagram, from) => isKeepalive(datagram) && from.endsWith(':1002'),
    );
    w.a.send(packet(1, 2, 1));
    w.clock.runTo(100);
    const [arrived = 0] = watch(w, () => true);
    w.clock.runTo(30_000);
    t.equal(keepalives.length, 1, 'one, and no more');
    t.ok(Math.abs(must(keepalives[0]) - arrived - 10_000) < 100, `at ${keepalives[0]} ms`);
  },
);

t.test('tunnel: the first unanswered packet makes a new handshake after 15 s', async (t) => {
  const w = world(3);
  w.a.send(packet(1, 2, 1));
  w.clock.runTo(1000);
  w.b.halt();
  const initiations = watch(w, isInitiation);
  w.a.send(packet(1, 2, 2));
  w.clock.runTo(17_000);
  t.equal(initiations.length, 1);
  t.ok(must(initiations[0]) >= 15_000 && must(initiations[0]) < 15_380, `at ${initiations[0]} ms`);
});

t.test('tunnel: initiations go on for 90 s, 5 s apart and a little more, then end', async (t) => {
  const w = world(4);
  w.b.halt();
  const initiations = watch(w, isInitiation);
  w.a.send(packet(1, 2, 1));
  w.clock.runTo(600_000);
  const gaps = initiations.slice(1).map((at, i) => at - must(initiations[i]));
  t.ok(
    gaps.every((gap) => gap >= 5000 && gap < 5340),
    `gaps ${gaps.join(' ')}`,
  );
  t.ok(must(initiations.at(-1)) <= 90_001, 'none after 90 s');
  t.ok(initiations.length >= 17, `${initiations.length} tries`);
  w.a.send(packet(1, 2, 2));
  w.clock.runTo(600_100);
  t.equal(must(initiations.at(-1)), 600_000, 'new traffic tries again at once');
});

t.test('tunnel: under traffic the initiator makes a new keypair every 120 s', async (t) => {
  const w = world(5);
  const initiations = watch(w, isInitiation);
  let sent = 0;
  const beat = (): void => {
    w.a.send(packet(1, 2, sent++));
    w.b.send(packet(2, 1, sent));
    if (w.clock.now() < 1_000_000) w.clock.setTimer(w.clock.now() + 100, beat);
  };
  beat();
  w.clock.runTo(1_001_000);
  t.equal(w.b.delivered.length, sent, 'no packet is lost at any change of keys');
  const gaps = initiations.slice(1).map((at, i) => at - must(initiations[i]));
  t.equal(initiations.length, 9, `initiations at ${initiations.join(' ')}`);
  t.ok(
    gaps.every((gap) => gap >= 120_000 && gap < 120_200),
    `gaps ${gaps.join(' ')}`,
  );
});

t.test(
  'tunnel: an initiator that receives in the last 15 s renews its keypair at once',
  async (t) => {
    // Before, nothing is renewed until it sends: here the keepalive that answers, 10 s later.
    for (const [received, renewed] of [
      [164_000, 174_000],
      [166_000, 166_000],
    ] as const) {
      const w = world(6);
      const initiations = watch(w, isInitiation);
      w.a.send(packet(1, 2, 0));
      w.clock.runTo(received);
      w.b.send(packet(2, 1, 1));
      w.clock.runTo(200_000);
      t.equal(initiations.length, 2, `initiations at ${initiations.join(' ')}`);
      const delay = must(initiations[1]) - renewed;
      t.ok(delay >= 0 && delay < 100, `data at ${received} ms, initiation at ${initiations[1]} ms`);
    }
  },
);

t.test(
  'tunnel: a persistent keepalive is sent at its interval, and makes the handshake itself',
  async (t) => {
    const w = world(7, 25);
    const keepalives = watch(
      w,
      (datagram, from) => isKeepalive(datagram) && from.endsWith(':1001'),
    );
    w.clock.runTo(100_500);
    t.ok(keepalives.length >= 4, `at ${keepalives.join(' ')}`);
    t.equal(w.b.tunnel.status().peers[0]?.endpoint?.port, A_ENDPOINT.port, 'so b knows where a is');
  },
);

t.test('tunnel: keys of a silent peer are wiped after 540 s', async (t) => {
  const w = world(8);
  w.a.send(packet(1, 2, 1));
  w.clock.runTo(1000);
  const { layout, u8 } = w.a.arena;
  const used = (): boolean =>
    u8.subarray(layout.keypairsAt, layout.rulesAt).some((byte) => byte !== 0);
  w.clock.runTo(539_000);
  t.equal(used(), true);
  w.clock.runTo(541_500);
  t.equal(used(), false, 'nothing of them is left in the arena');
});

t.test('tunnel: a peer that was away for long is called as before, once it is back', async (t) => {
  for (const awaySeconds of [30, 120, 200, 500, 560, 700, 2000]) {
    const w = world(14);
    let sent = 0;
    const beat = (): void => {
      w.a.send(packet(1, 2, sent++));
      w.clock.setTimer(w.clock.now() + 1000, beat);
    };
    beat();
    w.clock.runTo(1000);
    w.network.weather = { ...FAIR, loss: 100 };
    w.clock.runTo(1000 * awaySeconds);
    w.network.weather = FAIR;
    // A retry of the handshake under way is at most 5.4 s off, and packets of its last two minutes wait.
    w.clock.runTo(1000 * (awaySeconds + 7));
    t.equal(numbers(w.b.delivered).at(-1), sent - 1, `away for ${awaySeconds} s`);
  }
});

t.test(
  'tunnel: what waits when the interface goes down is dropped, and after it is asked anew',
  async (t) => {
    const w = world(15);
    w.network.weather = { ...FAIR, loss: 100 };
    w.a.send(packet(1, 2, 1));
    w.clock.runTo(1000);
    w.a.tunnel.down();
    w.clock.runTo(2000);
    w.network.weather = FAIR;
    w.a.tunnel.up();
    w.a.send(packet(1, 2, 2));
    w.clock.runTo(2100);
    t.same(numbers(w.b.delivered), [2]);
    t.same((await reportOf(w.a, w.clock)).drops, { 'out: handshake given up': 1 });
  },
);

t.test('tunnel: both ends may begin at once, and agree', async (t) => {
  for (let seed = 1; seed <= 50; seed++) {
    const w = world(seed);
    w.b.tunnel.configure({
      peers: [
        {
          publicKey: must(w.b.tunnel.status().peers[0]).publicKey,
          endpoint: A_ENDPOINT,
          allowedIps: [],
        },
      ],
    });
    w.clock.runTo(2);
    w.network.weather = { ...FAIR, reorder: 50, lateMillis: 20 };
    w.a.send(packet(1, 2, 1));
    w.b.send(packet(2, 1, 2));
    w.clock.runTo(12_000);
    w.a.send(packet(1, 2, 3));
    w.b.send(packet(2, 1, 4));
    w.clock.runTo(13_000);
    const got = [numbers(w.b.delivered).at(-1), numbers(w.a.delivered).at(-1)];
    if (got[0] !== 3 || got[1] !== 4) return t.fail(`seed ${seed}: ${got}`);
  }
  return t.pass('50 crossings');
});

t.test('tunnel: the endpoint follows the last authenticated packet, and no other', async (t) => {
  const w = world(9);
  w.a.send(packet(1, 2, 1));
  w.clock.runTo(100);
  const moved = { ...A_ENDPOINT, port: 4444 };
  w.a.move(moved);
  w.network.send({ ...A_ENDPOINT, port: 5555 }, sockaddrOf(w), new Uint8Array(148).fill(1));
  w.clock.runTo(200);
  t.equal(w.b.tunnel.status().peers[0]?.endpoint?.port, A_ENDPOINT.port, 'a forgery moves nothing');
  w.a.send(packet(1, 2, 2));
  w.clock.runTo(300);
  t.equal(w.b.tunnel.status().peers[0]?.endpoint?.port, 4444);
  w.b.send(packet(2, 1, 3));
  w.clock.runTo(400);
  t.same(numbers(w.a.delivered), [3]);
});

t.test(
  'tunnel: 10,000 s of bad weather: keys change on time, nothing comes twice, nothing sticks',
  async (t) => {
    for (const seed of [11, 12, 13]) {
      const w = world(seed);
      const random = seeded(seed);
      w.network.weather = {
        loss: 10,
        duplicates: 10,
        reorder: 20,
        delayMillis: 30,
        lateMillis: 200,
      };
      const initiations = watch(w, isInitiation);
      let sent = 0;
      const beat = (): void => {
        w.a.send(packet(1, 2, sent));
        w.b.send(packet(2, 1, sent++));
        if (w.clock.now() < 10_000_000) w.clock.setTimer(w.clock.now() + random.below(4000), beat);
      };
      beat();
      w.clock.runTo(10_000_000);
      for (const node of [w.a, w.b]) {
        const got = numbers(node.delivered);
        t.equal(new Set(got).size, got.length, `seed ${seed}: nothing twice`);
        t.ok(got.length > sent * 0.85, `seed ${seed}: ${got.length} of ${sent} at 10 % loss`);
      }
      t.ok(initiations.length >= 80, `seed ${seed}: ${initiations.length} initiations`);
      t.ok(initiations.length <= 2 * 84 * 1.5, `seed ${seed}: ${initiations.length} initiations`);
      w.network.weather = FAIR;
      w.a.send(packet(1, 2, 0xffff_fffe));
      w.clock.runTo(10_020_000);
      t.ok(numbers(w.b.delivered).includes(0xffff_fffe), `seed ${seed}: it still works`);
    }
  },
);

function sockaddrOf(_: World): Uint8Array {
  return Uint8Array.of(
    2,
    0,
    B_ENDPOINT.port >> 8,
    B_ENDPOINT.port & 255,
    ...B_ENDPOINT.address,
    ...new Uint8Array(20),
  );
}
