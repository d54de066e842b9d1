import t from 'tap';
import { lineLog } from '../../../src/base/log.ts';
import { unixMillis } from '../../../src/base/time.ts';
import { EphemeralKeys } from '../../../src/node/tunnel/ephemeral-keys.ts';
import { seeded } from '../../seeded.ts';
import { Clock } from '../../sim/clock.ts';

function world() {
  const clock = new Clock();
  const random = seeded(21);
  let drawn = 0;
  const keys = new EphemeralKeys(
    {
      now: () => clock.now(),
      wall: () => unixMillis(0),
      random: (length) => {
        drawn++;
        return random.bytes(length);
      },
      setTimer: (at, action) => clock.setTimer(at, action),
      log: lineLog(() => {}, 'error'),
    },
    undefined,
  );
  return { clock, keys, drawn: () => drawn };
}

t.test('ephemeral keys: one is made ahead, and each is handed out once', async (t) => {
  const { clock, keys, drawn } = world();
  keys.prepare();
  keys.prepare();
  clock.runTo(10_000);
  t.equal(drawn(), 1, 'one, however often it is asked for');
  const first = keys.take();
  t.equal(drawn(), 1, 'taken from what is there');
  const second = keys.take();
  t.equal(drawn(), 2, 'made at once where there is none');
  t.notSame(first.publicKey, second.publicKey);
  keys.prepare();
  clock.runTo(10_500);
  t.equal(drawn(), 2, 'not amid what the last one began');
  clock.runTo(20_000);
  t.equal(drawn(), 3);
  t.notSame(keys.take().publicKey, second.publicKey);
});

t.test('ephemeral keys: none is kept or made after the last is dropped', async (t) => {
  const { clock, keys, drawn } = world();
  keys.prepare();
  clock.runTo(10_000);
  keys.drop();
  keys.take();
  t.equal(drawn(), 2, 'what was ahead is gone');
  keys.prepare();
  keys.drop();
  clock.runTo(20_000);
  t.equal(drawn(), 2);
});
