/** First contacts with oneself come to their ends, and soon take less time than in the beginning. */

import { randomBytes } from 'node:crypto';
import t from 'tap';
import { lineLog } from '../../../src/base/log.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import { rehearseContact } from '../../../src/node-rehearsal.ts';

t.test('rehearsal: the two ends meet, with fresh keys each time, and leave no timer', async (t) => {
  const drawn = new Set<string>();
  let again = 0;
  const random = (length: number): Uint8Array => {
    const bytes = new Uint8Array(randomBytes(length));
    if (length >= 12 && drawn.has(bytes.toHex())) again++;
    drawn.add(bytes.toHex());
    return bytes;
  };
  let timers = 0;
  const env = {
    now: () => millis(performance.now()),
    wall: () => unixMillis(Date.now()),
    random,
    setTimer: () => {
      timers++;
      return () => {};
    },
    log: lineLog(() => {}, 'error'),
  };
  await t.resolves(rehearseContact(env, undefined));
  t.ok(drawn.size > 100, `${drawn.size} keys, nonces and stamps`);
  t.equal(again, 0);
  t.equal(timers, 0);
});
