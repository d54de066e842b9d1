import t from 'tap';
import { millis } from '../../../src/base/time.ts';
import { Rounds } from '../../../src/control/map/rounds.ts';
import { HeldClock } from './network.ts';

/** Rounds of `count` visits that take `cost` milliseconds each. */
function stand(
  count: number,
  cost: number,
): { clock: HeldClock; rounds: Rounds<number>; at: number[] } {
  const clock = new HeldClock();
  const at: number[] = [];
  const rounds = new Rounds<number>({
    env: { now: () => clock.now, setTimer: clock.setTimer },
    least: millis(25),
    begin: () => {
      at.push(clock.now);
      return Array.from({ length: count }, (_, i) => i);
    },
    visit: () => {
      clock.now = millis(clock.now + cost);
    },
  });
  return { clock, rounds, at };
}

t.test(
  'rounds: the first is at once, the next after a pause, and none that nobody wants',
  async (t) => {
    const { clock, rounds, at } = stand(3, 0);
    clock.pass(1000);
    rounds.want();
    clock.pass(5);
    rounds.want();
    rounds.want();
    clock.pass(1000);
    t.same(at, [1000, 1025]);
  },
);

t.test('rounds: the longer they take, the rarer they are, and others run in between', async (t) => {
  const { clock, rounds, at } = stand(20, 2);
  let between = 0;
  const tick = (): void => {
    between++;
    clock.setTimer(millis(clock.now + 1), tick);
  };
  rounds.want();
  tick();
  clock.pass(10);
  rounds.want();
  clock.pass(400);
  t.equal(at.length, 2);
  t.ok((at[1] ?? 0) >= 160, `20 visits of 2 ms, again after ${at[1]} ms`);
  t.ok(between > 8, 'slices of 8 ms');
});
