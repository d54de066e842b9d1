import t from 'tap';
import type { NodePublic } from '../../../src/base/keys.ts';
import { nodePublic } from '../../../src/base/keys.ts';
import type { Millis } from '../../../src/base/time.ts';
import { millis } from '../../../src/base/time.ts';
import { Backoff } from '../../../src/node/relays/backoff.ts';
import type { LivenessFacts } from '../../../src/node/relays/liveness.ts';
import { liveness } from '../../../src/node/relays/liveness.ts';
import { SegmentPool, SendQueue } from '../../../src/node/relays/send-queue.ts';
import { opensWay, writeSendPacket } from '../../../src/protocol/derp/client-frames.ts';
import { must } from '../../must.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';

const LIMIT = 150_000;

t.test(
  'queue: whatever is pushed, taken and lost, it is what a list of frames would be',
  async (t) => {
    const random = seeded(7);
    const pool = new SegmentPool();
    for (let round = 0; round < 100; round++) {
      const queue = new SendQueue(pool, LIMIT);
      const twin: Uint8Array[] = [];
      for (let step = 0; step < 200; step++) {
        const problem = step % 40 === 39 ? drain(queue, twin, random) : push(queue, twin, random);
        if (problem !== undefined) return t.fail(`round ${round}, step ${step}: ${problem}`);
      }
      if (queue.clear() !== twin.length || queue.bytes !== 0)
        return t.fail(`round ${round}: not cleared`);
    }
    return t.pass('100 rounds');
  },
);

/** Pushes one datagram, and drops from the twin what had to go. */
function push(queue: SendQueue, twin: Uint8Array[], random: Seeded): string | undefined {
  const peer = nodePublic(random.bytes(32));
  const length = random.pick([8, 40, 1300, 1300, 1300, 9000, 65_536]);
  const datagram = new Uint8Array(length).fill(random.below(256), 4);
  datagram.set([random.pick([1, 4, 4, 4, 4]), 0, 0, 0]);
  const dropped = queue.push(peer, datagram);
  const frame = frameOf(peer, datagram);
  const room = LIMIT - LIMIT / 16 - frame.length;
  const before = twin.length;
  if (bytesOf(twin) + frame.length > LIMIT) {
    for (const mayGo of [isData, () => true])
      if (bytesOf(twin) + frame.length > LIMIT) dropOldest(twin, room, mayGo);
  }
  if (dropped !== before - twin.length) return `dropped ${dropped}, not ${before - twin.length}`;
  twin.push(frame);
  return queue.bytes === bytesOf(twin) ? undefined : `${queue.bytes} bytes`;
}

/** Takes all; a write is lost now and then, and with it all but what opens a way. */
function drain(queue: SendQueue, twin: Uint8Array[], random: Seeded): string | undefined {
  const got: Uint8Array[] = [];
  for (let segment = queue.take(); segment !== undefined; segment = queue.take()) {
    const bytes = Buffer.from(segment.bytes.subarray(0, segment.used));
    if (random.below(3) === 0) {
      let lost = 0;
      for (let used = 0; used < bytes.length; ) {
        const frame = must(twin[got.length + lost], 'a frame');
        used += frame.length;
        if (isData(frame)) twin.splice(got.length + lost, 1);
        else lost++;
      }
      const dropped = queue.unsent(segment);
      return dropped + lost === segment.frames ? undefined : `${dropped} lost`;
    }
    queue.written(segment);
    for (let at = 0; at < bytes.length; ) {
      const next = at + 5 + bytes.readUInt32BE(at + 1);
      got.push(bytes.subarray(at, next));
      at = next;
    }
    const same = got.every((frame, i) => Buffer.from(must(twin[i], 'a frame')).equals(frame));
    if (!same) return 'other frames';
    twin.splice(0, got.length);
    got.length = 0;
  }
  return twin.length === 0 ? undefined : `${twin.length} frames are missing`;
}

function frameOf(peer: NodePublic, datagram: Uint8Array): Uint8Array {
  const frame = new Uint8Array(37 + datagram.length);
  writeSendPacket(frame, 0, peer, datagram);
  return frame;
}

function isData(frame: Uint8Array): boolean {
  return frame[37] === 4;
}

function bytesOf(frames: readonly Uint8Array[]): number {
  return frames.reduce((bytes, { length }) => bytes + length, 0);
}

function dropOldest(frames: Uint8Array[], room: number, mayGo: (frame: Uint8Array) => boolean) {
  for (let i = 0; i < frames.length && bytesOf(frames) > room; )
    if (mayGo(must(frames[i]))) frames.splice(i, 1);
    else i++;
}

t.test('queue: disco and handshakes are told from data', async (t) => {
  const disco = Buffer.concat([Buffer.from('TS💬'), Buffer.alloc(56)]);
  for (const [packet, opens] of [
    [disco, true],
    [disco.subarray(0, 61), false],
    [Buffer.of(1, 0, 0, 0), true],
    [Buffer.of(3, 0, 0, 0, 9), true],
    [Buffer.of(4, 0, 0, 0), false],
    [Buffer.of(1, 0, 1, 0), false],
    [Buffer.of(0, 0, 0, 0), false],
    [Buffer.of(2, 0, 0), false],
    [Buffer.alloc(0), false],
  ] as const)
    t.equal(opensWay(packet, 0, packet.length), opens, packet.subarray(0, 8).toString('hex'));
});

const at = (value: number): Millis => millis(value * 1000);
const QUIET: LivenessFacts = {
  heardAt: at(100),
  sentAt: at(0),
  writingSince: undefined,
  probe: undefined,
};
const out = (until: number, urgent = false): Partial<LivenessFacts> => ({
  probe: { until: at(until), urgent },
});

// Seconds; the last byte came at 100.
const TABLE: readonly [
  what: string,
  facts: Partial<LivenessFacts>,
  now: number,
  verdict: string,
  lookAt: number,
][] = [
  ['silence', {}, 124, 'fine', 125],
  ['silence', {}, 125, 'ping', 135],
  ['silence after sending', { sentAt: at(101) }, 105, 'fine', 106],
  ['silence after sending', { sentAt: at(101) }, 106, 'ping', 116],
  ['sent before something came', { sentAt: at(99) }, 110, 'fine', 125],
  ['a ping is out', out(135), 134, 'fine', 135],
  ['a ping is out', out(135), 135, 'silent', Number.POSITIVE_INFINITY],
  ['a slow line', { ...out(135), writingSince: at(130) }, 135, 'fine', 160],
  ['a slow line', { writingSince: at(130) }, 159, 'fine', 160],
  ['a stalled line', { writingSince: at(130) }, 160, 'stalled', Number.POSITIVE_INFINITY],
  ['another network', { ...out(102, true), writingSince: at(100) }, 101, 'fine', 102],
  [
    'another network',
    { ...out(102, true), writingSince: at(100) },
    102,
    'silent',
    Number.POSITIVE_INFINITY,
  ],
  ['a long sleep', {}, 220, 'silent', Number.POSITIVE_INFINITY],
  [
    'a long sleep with a slow line',
    { writingSince: at(219) },
    220,
    'silent',
    Number.POSITIVE_INFINITY,
  ],
];

t.test('liveness: the table', async (t) => {
  for (const [what, facts, now, verdict, lookAt] of TABLE)
    t.same(
      liveness({ ...QUIET, ...facts }, at(now)),
      { verdict, lookAt: lookAt * 1000 },
      `${what} at ${now} s`,
    );
});

t.test('back-off: waits double to half a minute, between a half and the whole of it', async (t) => {
  for (const [byte, part] of [
    [0, 0.5],
    [255, 1],
  ] as const) {
    const backoff = new Backoff((bytes) => new Uint8Array(bytes).fill(byte));
    const waits = Array.from({ length: 9 }, () => Math.round(backoff.next()));
    const whole = [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
    t.same(
      waits,
      whole.map((ms) => Math.round(ms * part)),
    );
  }
});

t.test('back-off: a good connection starts anew, a dead one does not wait', async (t) => {
  const backoff = new Backoff((bytes) => new Uint8Array(bytes).fill(255));
  const loss = { lived: at(1), foundDead: false, restartAfter: undefined };
  t.equal(Math.round(backoff.afterLoss(loss)), 250);
  t.equal(Math.round(backoff.afterLoss(loss)), 500, 'one that ends at once is no success');
  t.equal(Math.round(backoff.afterLoss({ ...loss, lived: at(10) })), 250);
  t.equal(Math.round(backoff.afterLoss(loss)), 250);
  t.equal(backoff.afterLoss({ ...loss, foundDead: true }), 0);
  t.equal(Math.round(backoff.afterLoss({ ...loss, restartAfter: at(2) })), 2000);
  t.equal(Math.round(backoff.afterLoss({ ...loss, restartAfter: at(99_999) })), 30_000);
});
