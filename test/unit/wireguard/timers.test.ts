import t from 'tap';
import type { Millis } from '../../../src/base/time.ts';
import { millis, NEVER, unixMillis } from '../../../src/base/time.ts';
import { isLater, Tai64nClock } from '../../../src/protocol/wireguard/tai64n.ts';
import type { TimerAction, TimerFacts } from '../../../src/protocol/wireguard/timers.ts';
import { due } from '../../../src/protocol/wireguard/timers.ts';
import { seeded } from '../../seeded.ts';

const ZERO = millis(0);
const T = 1_000_000;
const at = (ms: number): Millis => millis(T + ms);

const QUIET: TimerFacts = {
  lastReceived: ZERO,
  lastSent: ZERO,
  lastDataSent: ZERO,
  unansweredSend: ZERO,
  unansweredReceive: ZERO,
  handshake: null,
  gaveUpAt: ZERO,
  lastKeypairAt: ZERO,
  hasKeypair: false,
  persistentKeepalive: ZERO,
  jitter: ZERO,
};
const TALKING = {
  ...QUIET,
  hasKeypair: true,
  lastKeypairAt: at(0),
  lastSent: at(0),
  lastReceived: at(0),
};
const CALLING = {
  ...QUIET,
  handshake: { startedAt: at(0), lastInitiationAt: at(80_000), retryAt: at(85_200) },
};

/** One row: these facts, and the instant from which alone these actions are due. */
const TABLE: readonly [what: string, facts: TimerFacts, dueAt: number, actions: TimerAction[]][] = [
  [
    'data received, nothing sent',
    { ...TALKING, unansweredReceive: at(5) },
    10_005,
    ['send keepalive'],
  ],
  [
    'data sent, nothing heard',
    { ...TALKING, unansweredSend: at(7), lastDataSent: at(9000) },
    15_007,
    ['initiate'],
  ],
  [
    'the same with jitter',
    { ...TALKING, unansweredSend: at(7), lastDataSent: at(9000), jitter: millis(333) },
    15_340,
    ['initiate'],
  ],
  [
    'data sent, the keypair worn out since',
    { ...TALKING, hasKeypair: false, unansweredSend: at(170_000), lastDataSent: at(179_000) },
    185_000,
    ['initiate'],
  ],
  [
    'a mark from before the keypair, data sent after it',
    { ...TALKING, unansweredSend: at(-20_000), lastDataSent: at(3) },
    15_000,
    ['initiate'],
  ],
  [
    'data sent after a handshake was given up',
    { ...TALKING, unansweredSend: at(1), lastDataSent: at(100_001), gaveUpAt: at(100_000) },
    115_000,
    ['initiate'],
  ],
  ['no answer to an initiation', CALLING, 85_200, ['retry initiation']],
  [
    'no answer for too long',
    { ...CALLING, handshake: { ...CALLING.handshake, retryAt: at(90_000) } },
    90_000,
    ['give up'],
  ],
  ['a keypair without successor', TALKING, 540_000, ['wipe keypairs']],
  [
    'a keypair without successor, worn out',
    { ...TALKING, hasKeypair: false },
    540_000,
    ['wipe keypairs'],
  ],
  [
    'persistent keepalive after a packet sent',
    { ...TALKING, persistentKeepalive: millis(25_000), lastSent: at(300) },
    25_300,
    ['send persistent keepalive'],
  ],
  [
    'persistent keepalive after a packet received',
    { ...TALKING, persistentKeepalive: millis(25_000), lastReceived: at(400) },
    25_400,
    ['send persistent keepalive'],
  ],
  [
    'persistent keepalive without a keypair',
    { ...TALKING, persistentKeepalive: millis(25_000), hasKeypair: false },
    25_000,
    ['send persistent keepalive'],
  ],
  [
    'persistent keepalive after giving up',
    { ...QUIET, persistentKeepalive: millis(25_000), gaveUpAt: at(90_000) },
    115_000,
    ['send persistent keepalive'],
  ],
];

t.test('timers: each is due at its instant, and not a millisecond before', async (t) => {
  for (const [what, facts, dueAt, actions] of TABLE) {
    t.strictSame(due(facts, at(dueAt - 1)), { actions: [], checkAt: at(dueAt) }, `${what}: before`);
    t.strictSame(due(facts, at(dueAt)).actions, actions, `${what}: at the edge`);
    t.strictSame(due(facts, at(dueAt + 1)).actions, actions, `${what}: until it is done`);
    t.ok(due(facts, at(dueAt)).checkAt > at(dueAt), `${what}: looks into the future`);
  }
});

t.test('timers: nothing known, nothing due, ever', async (t) => {
  t.strictSame(due(QUIET, at(0)), { actions: [], checkAt: NEVER });
});

t.test('timers: a persistent keepalive is due at once where nothing ever went', async (t) => {
  const facts = { ...QUIET, persistentKeepalive: millis(25_000) };
  t.strictSame(due(facts, millis(3)).actions, ['send persistent keepalive']);
});

t.test('timers: while a handshake is under way it alone is tried', async (t) => {
  const facts = { ...CALLING, unansweredSend: at(1), persistentKeepalive: millis(1000) };
  t.strictSame(due(facts, at(84_000)), { actions: [], checkAt: at(85_200) });
});

t.test('timers: a handshake to renew a keypair leaves keepalives as they are', async (t) => {
  const facts = {
    ...TALKING,
    handshake: { startedAt: at(0), lastInitiationAt: at(0), retryAt: at(60_000) },
    persistentKeepalive: millis(20_000),
    unansweredReceive: at(1),
  };
  t.strictSame(due(facts, at(10_001)), { actions: ['send keepalive'], checkAt: at(20_000) });
  t.strictSame(due(facts, at(20_000)).actions, ['send keepalive', 'send persistent keepalive']);
});

t.test('timers: after giving up nothing is tried until data is sent again', async (t) => {
  const facts = {
    ...TALKING,
    unansweredSend: at(1),
    lastDataSent: at(50_000),
    gaveUpAt: at(105_000),
  };
  for (let now = 105_000; now < 540_000; now += 1000) {
    const { actions, checkAt } = due(facts, at(now));
    if (actions.length > 0 || checkAt <= at(now)) return t.fail(`at ${now}`);
  }
  return t.strictSame(due({ ...facts, hasKeypair: false }, at(200_000)).checkAt, at(540_000));
});

t.test(
  'timers: followed through a virtual day, a silent peer is given up and left alone',
  async (t) => {
    let facts: TimerFacts = {
      ...TALKING,
      unansweredSend: at(0),
      lastDataSent: at(0),
      jitter: millis(100),
    };
    const log: [ms: number, action: TimerAction][] = [];
    let looks = 0;
    for (let now = at(0); now < at(86_400_000); looks++) {
      const { actions, checkAt } = due(
        { ...facts, hasKeypair: now < at(180_000) && facts.lastKeypairAt > 0 },
        now,
      );
      for (const action of actions) {
        log.push([now - T, action]);
        const retryAt = millis(now + 5000 + (looks % 334));
        const startedAt = facts.handshake?.startedAt ?? now;
        if (action === 'initiate' || action === 'retry initiation')
          facts = { ...facts, handshake: { startedAt, lastInitiationAt: now, retryAt } };
        else if (action === 'give up') facts = { ...facts, handshake: null, gaveUpAt: now };
        else facts = { ...facts, lastKeypairAt: ZERO };
      }
      if (actions.length === 0) now = checkAt;
    }
    const retries = log.filter(([, action]) => action === 'retry initiation').length;
    t.ok(retries >= 15 && retries <= 17, `${retries} retries in 90 s`);
    t.strictSame(
      log.filter(([, action]) => action !== 'retry initiation'),
      [
        [15_100, 'initiate'],
        [105_100, 'give up'],
        [540_000, 'wipe keypairs'],
      ],
    );
    t.ok(looks < 60, `${looks} looks`);
  },
);

t.test('tai64n: the label of an instant is that of libtai, its fine part hidden', async (t) => {
  // 1992-06-02 08:07:09 TAI is 400000002a2b2c2d (cr.yp.to/libtai/tai64.html), 10 s ahead of UTC here.
  const seconds = 0x2a2b2c2d - 10;
  const stamp = new Tai64nClock().next(unixMillis(seconds * 1000 + 500));
  t.equal(stamp.toHex(), '400000002a2b2c2d' + '1d000000');
});

t.test('tai64n: stamps grow, whatever the wall clock does', async (t) => {
  const random = seeded(60);
  const clock = new Tai64nClock();
  let last = clock.next(unixMillis(0));
  for (let round = 0; round < 10_000; round++) {
    const stamp = clock.next(unixMillis(random.below(2 ** 32) * random.pick([1, 400, 1000])));
    if (!isLater(stamp, last) || isLater(last, stamp) || isLater(stamp, stamp))
      return t.fail(`round ${round}`);
    if ((stamp[9] as number) | (stamp[10] as number) | (stamp[11] as number))
      return t.fail('fine part');
    last = stamp;
  }
  return t.pass('10,000 stamps');
});

t.test('tai64n: a power cut at any moment, with any clock after it, never goes back', async (t) => {
  const random = seeded(61);
  let store: Uint8Array | undefined;
  let last: Uint8Array = new Uint8Array(12);
  let writes = 0;
  let stamps = 0;
  for (let boot = 0; boot < 200; boot++) {
    const clock = new Tai64nClock(store);
    let wall = random.pick([0, 1_700_000_000_000, 1_790_000_000_000]);
    for (let i = random.below(50); i > 0; i--) {
      const bound = clock.reserve(unixMillis(wall));
      if (bound) {
        store = bound;
        writes++;
        if (random.below(10) === 0) break;
        clock.stored(bound);
      }
      const stamp = clock.next(unixMillis(wall));
      if (!isLater(stamp, last)) return t.fail(`boot ${boot}`);
      last = stamp;
      stamps++;
      wall += random.below(120_000);
    }
  }
  return t.ok(writes < stamps / 4, `${writes} writes for ${stamps} stamps`);
});

t.test('tai64n: a good clock asks for one write an hour', async (t) => {
  const clock = new Tai64nClock();
  let writes = 0;
  for (let minute = 0; minute < 24 * 60; minute++) {
    const wall = unixMillis(1_790_000_000_000 + minute * 60_000);
    const bound = clock.reserve(wall);
    if (bound) clock.stored(bound);
    if (bound) writes++;
    clock.next(wall);
  }
  t.equal(writes, 24);
  t.throws(() => new Tai64nClock(new Uint8Array(11)), /12 bytes/);
});
