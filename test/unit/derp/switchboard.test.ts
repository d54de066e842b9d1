import t from 'tap';
import { concat } from '../../../src/base/bytes.ts';
import { nodePublic } from '../../../src/base/keys.ts';
import type { Millis } from '../../../src/base/time.ts';
import { millis, seconds } from '../../../src/base/time.ts';
import { FRAME, GONE, HEADER_BYTES } from '../../../src/protocol/derp/constants.ts';
import { FrameCutter, frame, payloadBytes } from '../../../src/protocol/derp/frames.ts';
import type { Line, LineLimits } from '../../../src/protocol/derp/line.ts';
import { Switchboard } from '../../../src/protocol/derp/switchboard.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

const keyOf = (i: number) => nodePublic(new Uint8Array(32).fill(i));
const packetTo = (to: number, packet: Uint8Array): Uint8Array =>
  frame(FRAME.sendPacket, keyOf(to), packet);
const DISCO = concat(Uint8Array.of(0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac), new Uint8Array(56));

/** A client's end: what has been said to its connection. */
class Client {
  readonly line: Line;
  readonly ends: string[] = [];
  wakes = 0;

  constructor(board: Switchboard, key: number, now: Millis = millis(0)) {
    const outlet = {
      ready: () => void this.wakes++,
      end: (reason: string) => void this.ends.push(reason),
    };
    this.line = board.join(keyOf(key), outlet, now);
  }

  send(bytes: Uint8Array, now: Millis = millis(0)): Millis {
    return this.line.receive(bytes.slice(), now);
  }

  /** Everything that waits, as frames. */
  taken(): Uint8Array[] {
    const into = new Uint8Array(131_072);
    const frames: Uint8Array[] = [];
    for (let n = this.line.take(into); n > 0; n = this.line.take(into))
      frames.push(...framesOf(into.slice(0, n)));
    return frames;
  }

  types(): (number | undefined)[] {
    return this.taken().map((one) => one[0]);
  }
}

function framesOf(bytes: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const next = at + HEADER_BYTES + payloadBytes(bytes, at);
    frames.push(bytes.subarray(at, next));
    at = next;
  }
  return frames;
}

function board(limits: Partial<LineLimits> = {}): Switchboard {
  return new Switchboard({ limits, jitter: () => 0.5 });
}

t.test('frames: any stream cut anywhere gives the frames that went into it', async (t) => {
  const random = seeded(1);
  for (let round = 0; round < 1000; round++) {
    const sent = Array.from({ length: 1 + random.below(8) }, () =>
      frame(random.below(256), random.bytes(random.below(40))),
    );
    const stream = concat(...sent);
    const cutter = new FrameCutter(40);
    const got: Uint8Array[] = [];
    for (let at = 0; at < stream.length; ) {
      const next = at + 1 + random.below(30);
      cutter.push(stream.slice(at, next), (bytes, start, end) => {
        got.push(...framesOf(bytes.slice(start, end)));
        return true;
      });
      at = next;
    }
    const same = Buffer.concat(got).equals(stream) && got.length === sent.length;
    if (!same) return t.same(got, sent, `round ${round}`);
  }
  return t.pass('1,000 streams');
});

t.test(
  'frames: a length beyond the limit ends the stream, also where its head comes in pieces',
  async (t) => {
    const long = frame(FRAME.ping, new Uint8Array(41));
    const whole = new FrameCutter(40);
    t.notOk(whole.push(long, () => t.fail('nothing to hand on')));
    const pieces = new FrameCutter(40);
    t.ok(pieces.push(long.slice(0, 3), () => t.fail('nothing to hand on')));
    t.notOk(pieces.push(long.slice(3), () => t.fail('nothing to hand on')));
  },
);

t.test(
  'switchboard: any traffic reaches whom it names, in order, in the name of its sender',
  async (t) => {
    const random = seeded(2);
    for (let round = 0; round < 200; round++) {
      const all = board({ queuedBytes: 1_000_000 });
      const clients = [0, 1, 2, 3].map((key) => new Client(all, key));
      const expected: string[][] = [[], [], [], []];
      for (let burst = 0; burst < 10; burst++) {
        const from = random.below(4);
        const sent = Array.from({ length: random.below(12) }, () => {
          const to = random.below(4);
          // A first byte of 0 keeps it from being disco, which may overtake.
          const packet = concat(Uint8Array.of(0), random.bytes(random.below(1500)));
          expected[to]?.push(
            Buffer.from(frame(FRAME.recvPacket, keyOf(from), packet)).toString('hex'),
          );
          return packetTo(to, packet);
        });
        const stream = concat(...sent);
        const cut = random.below(stream.length + 1);
        must(clients[from]).send(stream.subarray(0, cut));
        must(clients[from]).send(stream.subarray(cut));
      }
      const got = clients.map((client) =>
        client.taken().map((one) => Buffer.from(one).toString('hex')),
      );
      if (JSON.stringify(got) !== JSON.stringify(expected))
        return t.same(got, expected, `round ${round}`);
    }
    return t.pass('200 rounds of 10 bursts');
  },
);

t.test('switchboard: a full queue loses its oldest packets, and disco comes through', async (t) => {
  const all = board({ queuedBytes: 10_000 });
  const [from, to] = [new Client(all, 1), new Client(all, 2)];
  for (let i = 0; i < 100; i++) from.send(packetTo(2, new Uint8Array(1000).fill(i)));
  from.send(packetTo(2, DISCO));
  const frames = to.taken();
  t.same(frames[0]?.subarray(37), DISCO, 'disco first');
  t.same(
    frames.slice(1).map((one) => one[37]),
    [91, 92, 93, 94, 95, 96, 97, 98, 99],
    'the newest nine of 100',
  );
  t.equal(all.counters.dropped, 91);
  t.equal(to.wakes, 1, 'one wake for what waits');
});

t.test(
  'switchboard: who seeks an unknown key is told, three times at once and then once a second',
  async (t) => {
    const all = board();
    const from = new Client(all, 1);
    for (let i = 0; i < 50; i++) from.send(packetTo(9, DISCO));
    t.same(
      from.taken(),
      Array(3).fill(frame(FRAME.peerGone, keyOf(9), Uint8Array.of(GONE.notHere))),
    );
    for (let i = 0; i < 50; i++) from.send(packetTo(9, DISCO), millis(1000));
    t.equal(from.taken().length, 1, 'a second later');
    from.send(packetTo(9, new Uint8Array(10)), millis(9000));
    t.same(from.taken(), [], 'what is no disco gets no answer');
    t.equal(all.counters.notHere, 101);
  },
);

t.test(
  'switchboard: those who got packets from a client learn that it has gone, others do not',
  async (t) => {
    const all = board();
    const [a, b, c] = [new Client(all, 1), new Client(all, 2), new Client(all, 3)];
    a.send(packetTo(2, new Uint8Array(10)));
    b.taken();
    all.leave(a.line);
    t.same(b.taken(), [frame(FRAME.peerGone, keyOf(1), Uint8Array.of(GONE.disconnected))]);
    t.same(c.taken(), []);
    b.send(packetTo(1, DISCO));
    t.same(b.taken(), [frame(FRAME.peerGone, keyOf(1), Uint8Array.of(GONE.notHere))]);
  },
);

t.test(
  'switchboard: of two lines with one key the newest is active, and the last to speak takes over',
  async (t) => {
    const all = board();
    const sender = new Client(all, 1);
    const [old, fresh] = [new Client(all, 2), new Client(all, 2)];
    const ping = frame(FRAME.ping, new Uint8Array(8));
    const reached = (): string => {
      sender.send(packetTo(2, new Uint8Array(10)));
      return old.taken().length > 0 ? 'old' : fresh.taken().length > 0 ? 'fresh' : 'nobody';
    };
    t.equal(reached(), 'fresh');
    old.send(ping);
    old.taken();
    t.equal(reached(), 'old');
    all.leave(old.line);
    t.equal(reached(), 'fresh', 'the one that is left');
    t.same(sender.types(), [], 'nobody has gone');
  },
);

t.test('switchboard: two machines with one key are told, and told when it is over', async (t) => {
  const all = board();
  const [one, two] = [new Client(all, 2), new Client(all, 2)];
  const preferred = frame(FRAME.notePreferred, Uint8Array.of(1));
  for (const line of [one, two]) line.send(preferred);
  t.same([one.types(), two.types()], [[], []], "an old line's last words are no dispute");
  for (const line of [one, two]) line.send(preferred);
  t.same([one.types(), two.types()], [[FRAME.health], [FRAME.health]]);
  all.leave(one.line);
  t.same(two.taken(), [frame(FRAME.health)], 'an empty text: well again');
});

t.test(
  'switchboard: a ping comes back, unknown frames do nothing, and a malformed packet ends the line',
  async (t) => {
    const all = board();
    const client = new Client(all, 1);
    const body = seeded(3).bytes(8);
    client.send(concat(frame(99, body), frame(FRAME.ping, body), frame(FRAME.recvPacket, body)));
    t.same(client.taken(), [frame(FRAME.pong, body)]);
    t.equal(all.counters.unknownFrames, 2);
    client.send(concat(frame(FRAME.sendPacket, new Uint8Array(31)), frame(FRAME.ping, body)));
    t.same(client.ends, ['derp: packet malformed']);
    t.same(client.taken(), [], 'and nothing behind it is heard');
  },
);

t.test('switchboard: hostile bytes never throw, and never speak for another', async (t) => {
  const random = seeded(4);
  for (let round = 0; round < 20_000; round++) {
    const all = board();
    const [liar, victim] = [new Client(all, 1), new Client(all, 2)];
    const bytes = random.bytes(random.below(120));
    // Half of the rounds begin like a frame, or all would end at the length.
    if (random.below(2) === 0) bytes.set([random.below(24), 0, 0, 0].slice(0, bytes.length));
    liar.send(bytes);
    liar.send(random.bytes(random.below(120)));
    const wrong = victim.taken().filter((one) => one[0] === FRAME.recvPacket && one[5] !== 1);
    if (wrong.length > 0) return t.fail(`round ${round}`);
  }
  return t.pass('20,000 clients');
});

t.test('switchboard: a client over its rate waits as long as its excess lasts', async (t) => {
  const all = board({ bytesPerSecond: 1000, burstBytes: 2000 });
  const client = new Client(all, 1);
  const bytes = packetTo(9, new Uint8Array(899));
  t.equal(client.send(bytes), 0, '1,000 bytes with what a frame costs');
  t.equal(client.send(bytes), 0, '2,000: the burst');
  t.equal(client.send(bytes), 1000, 'a second for the third');
  t.equal(client.send(bytes, seconds(3)), 0);
});

t.test(
  'switchboard: keep-alives come after 60 s and their jitter, and a stop sends everybody home',
  async (t) => {
    const all = board();
    const client = new Client(all, 1);
    all.beat(millis(62_499));
    t.same(client.types(), []);
    all.beat(millis(62_500));
    t.same(client.types(), [FRAME.keepAlive]);
    all.stop();
    t.same(client.types(), [FRAME.restarting]);
    t.same(client.ends, ['derp: relay stops']);
  },
);
