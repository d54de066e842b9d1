import t from 'tap';
import { ConfigError, NetError } from '../../../src/base/errors.ts';
import { unixMillis } from '../../../src/base/time.ts';
import { FrameCutter } from '../../../src/node/session/map-frames.ts';
import { DEFAULT_PREFS, editedPrefs, readPrefs } from '../../../src/node/session/prefs.ts';
import type { BackendState, SessionFacts } from '../../../src/node/session/state.ts';
import { next } from '../../../src/node/session/state.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { frame } from './scripted.ts';
import { joined, Network, START } from './stand.ts';

t.test('state: one row of the table for each combination of facts', async (t) => {
  const now = unixMillis(START);
  // An empty cell stands for every value.
  type Row = readonly [
    loaded: Cell,
    out: Cell,
    member: Cell,
    wanted: Cell,
    key: Key,
    approved: Cell,
    map: Cell,
    state: BackendState,
  ];
  type Cell = 'yes' | 'no' | '';
  type Key = 'good' | 'over' | '';
  const TABLE: readonly Row[] = [
    ['no', '', '', '', '', '', '', 'NoState'],
    ['yes', 'yes', '', '', '', '', '', 'NeedsLogin'],
    ['yes', 'no', 'no', '', '', '', '', 'NeedsLogin'],
    ['yes', 'no', 'yes', 'no', '', '', '', 'Stopped'],
    ['yes', 'no', 'yes', 'yes', 'over', '', '', 'NeedsLogin'],
    ['yes', 'no', 'yes', 'yes', 'good', 'no', '', 'NeedsMachineAuth'],
    ['yes', 'no', 'yes', 'yes', 'good', 'yes', 'no', 'Starting'],
    ['yes', 'no', 'yes', 'yes', 'good', 'yes', 'yes', 'Running'],
  ];
  const either = [false, true];
  const fits = (cell: Cell, fact: boolean): boolean => cell === '' || (cell === 'yes') === fact;
  let seen = 0;
  for (let bits = 0; bits < 64; bits++)
    for (const [expires, expired] of [
      [undefined, false],
      [START - 10_000, true],
      [START - 9999, false],
    ] as const)
      for (const keyExpired of either) {
        const bit = (i: number): boolean => ((bits >> i) & 1) === 1;
        const facts: SessionFacts = {
          loaded: bit(0),
          loggedOut: bit(1),
          member: bit(2),
          wantRunning: bit(3),
          awaitsApproval: bit(4),
          haveMap: bit(5),
          keyExpires: expires === undefined ? undefined : unixMillis(expires),
          keyExpired,
        };
        const over = keyExpired || expired;
        const rows = TABLE.filter(
          ([loaded, out, member, wanted, key, approved, map]) =>
            fits(loaded, bit(0)) &&
            fits(out, bit(1)) &&
            fits(member, bit(2)) &&
            fits(wanted, bit(3)) &&
            (key === '' || (key === 'over') === over) &&
            fits(approved, !bit(4)) &&
            fits(map, bit(5)),
        );
        if (rows.length !== 1 || next(facts, now) !== rows[0]?.[7])
          return t.fail(`${JSON.stringify(facts)}: ${next(facts, now)}, rows ${rows.length}`);
        seen++;
      }
  return t.equal(seen, 384);
});

t.test('down, up: the server sees it go and come, with the same key and no login', async (t) => {
  const network = await Network.open(t);
  const authKey = await network.authKey(await network.user('alice'));
  const board = await joined(t, network, authKey);
  const key = must(board.session.netmap.self).Key;
  await board.session.edit({ wantRunning: false });
  t.equal(board.session.state, 'Stopped');
  t.equal(board.session.connected, false);
  await board.session.edit({ wantRunning: true });
  await network.time.until('connected', () => board.session.connected);
  t.equal(board.session.netmap.self?.Key, key);
  await t.rejects(board.session.edit({ controlUrl: 'ftp://x' }), ConfigError);
  await t.rejects(board.session.edit({ advertiseRoutes: ['0.0.0.0/0'] }), /exit-node/);
  await board.session.edit({ controlUrl: 'http://127.0.0.1:1' });
  t.equal(board.session.state, 'NeedsLogin', 'another server knows nothing of us');
  t.equal(board.session.netmap.self, undefined);
  await t.rejects(board.session.rotateKey(), NetError);
});

t.test('prefs: any document gives prefs, and what is well in it', async (t) => {
  t.same(readPrefs({ hostname: 'x', wantRunning: 'yes', advertiseRoutes: [1], more: 1 }, 1), {
    ...DEFAULT_PREFS,
    hostname: 'x',
  });
  t.throws(() => readPrefs({}, 2), /newer/);
  t.same(
    editedPrefs(DEFAULT_PREFS, { advertiseRoutes: ['10.1.2.3/8', '10.0.0.0/8'] }).advertiseRoutes,
    ['10.0.0.0/8'],
  );
  t.throws(() => editedPrefs(DEFAULT_PREFS, { keyRotationSeconds: 1 }), ConfigError);
});

t.test('frames: a stream cut anywhere is the same frames', async (t) => {
  const random = seeded(82);
  const maps = Array.from({ length: 40 }, (_, i) =>
    frame({ Domain: 'x'.repeat(random.below(300)), i }),
  );
  const whole = Buffer.concat(maps);
  for (let round = 0; round < 200; round++) {
    const cutter = new FrameCutter();
    const found: Uint8Array[] = [];
    for (let at = 0; at < whole.length; ) {
      const size = 1 + random.below(round < 100 ? 20 : 2000);
      found.push(...cutter.push(whole.subarray(at, at + size)).map((one) => one.slice()));
      at += size;
    }
    const same =
      found.length === maps.length &&
      found.every((one, i) => Buffer.compare(one, must(maps[i]).subarray(4)) === 0);
    if (!same) return t.fail(`round ${round}`);
  }
  return t.throws(() => new FrameCutter().push(Uint8Array.of(0, 0, 0, 255)), NetError);
});
