import t from 'tap';
import { millis, unixMillis } from '../../../src/base/time.ts';
import { NetworkClock } from '../../../src/control/coordinator/network-clock.ts';

const YEAR = 365 * 86_400_000;
const FLOOR = 1_800_000_000_000;

class World {
  monotonic = 1000;
  wallMillis = FLOOR + 1000;
  confirmed = false;
  readonly clock: NetworkClock;

  constructor(wall = FLOOR + 1000) {
    this.wallMillis = wall;
    this.clock = new NetworkClock(
      {
        now: () => millis(this.monotonic),
        wall: () => unixMillis(this.wallMillis),
        confirmed: () => this.confirmed,
      },
      unixMillis(FLOOR),
    );
  }

  /** Both clocks run; @param jump the wall clock beside that */
  pass(elapsed: number, jump = 0): number {
    this.monotonic += elapsed;
    this.wallMillis += elapsed + jump;
    return this.clock.now();
  }
}

t.test('network clock: it follows a wall clock that is slewed, and never back', async (t) => {
  const world = new World();
  const first = world.clock.now();
  t.equal(world.pass(60_000, 200), first + 60_200);
  t.equal(world.pass(0, -150), first + 60_200);
  t.equal(world.pass(200), first + 60_250);
  t.ok(world.clock.trusted);
});

for (const [name, jump] of [
  ['forward', YEAR],
  ['back', -YEAR],
] as const)
  t.test(`network clock: a jump ${name} by a year is not followed`, async (t) => {
    const world = new World();
    const first = world.clock.now();
    t.equal(world.pass(1000, jump), first + 1000);
    t.notOk(world.clock.trusted);
    t.equal(world.clock.aheadMillis, jump);
    t.equal(world.pass(1000, -jump), first + 2000);
    t.ok(world.clock.trusted, 'set right again, it is trusted');
  });

t.test('network clock: what a time server confirms is followed both ways', async (t) => {
  const world = new World();
  const first = world.clock.now();
  world.confirmed = true;
  t.equal(world.pass(1000, YEAR), first + 1000 + YEAR);
  t.ok(world.clock.trusted);
  t.equal(world.pass(1000, -YEAR), first + 2000);
  t.ok(world.clock.trusted);
});

t.test(
  'network clock: before the floor it stands at the floor, untrusted, until it is set',
  async (t) => {
    const world = new World(FLOOR - 10 * YEAR);
    t.equal(world.clock.now(), FLOOR);
    t.notOk(world.clock.trusted);
    t.equal(world.pass(5000), FLOOR + 5000);
    world.confirmed = true;
    world.wallMillis = FLOOR + YEAR;
    t.equal(world.clock.now(), FLOOR + YEAR);
    t.ok(world.clock.trusted);
  },
);
