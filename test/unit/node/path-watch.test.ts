/** Rates between two looks, and since when a way is taken. */

import t from 'tap';
import type { Millis } from '../../../src/base/time.ts';
import type { UsedPeer } from '../../../src/node-path-watch.ts';
import { PathWatch } from '../../../src/node-path-watch.ts';

t.test('path watch: rates are bits a second, and a change of way begins anew', async (t) => {
  let now = 1000;
  let due: (() => void) | undefined;
  let used: readonly UsedPeer[] = [];
  const env = {
    now: () => now as Millis,
    setTimer: (_at: Millis, action: () => void) => {
      due = action;
      return () => {
        due = undefined;
      };
    },
  };
  const watch = new PathWatch(env, () => used);
  const pass = (millis: number, ...peers: readonly UsedPeer[]): void => {
    now += millis;
    used = peers;
    due?.();
  };
  const peer = (way: string, bytesReceived: number, bytesSent: number): UsedPeer => ({
    key: 'a',
    way,
    bytesReceived,
    bytesSent,
  });
  t.equal(watch.of('a'), undefined);
  pass(2000, peer('relay home', 1000, 0));
  t.match(watch.of('a'), { rxBps: 0, txBps: 0, since: 3000 }, 'nothing to compare with yet');
  pass(2000, peer('relay home', 251_000, 500));
  t.match(watch.of('a'), { rxBps: 1_000_000, txBps: 2000, since: 3000 });
  pass(2000, peer('direct 192.0.2.1:1', 251_000, 500));
  t.match(watch.of('a'), { rxBps: 0, txBps: 0, since: 7000 });
  pass(2000, peer('direct 192.0.2.1:1', 10, 0));
  t.match(watch.of('a'), { rxBps: 0, txBps: 0 }, 'a counter that began anew is no rate');
  pass(2000);
  t.equal(watch.of('a'), undefined, 'idle');
  watch.close();
  t.equal(due, undefined);
});
