import t from 'tap';
import type { Env } from '../../../src/base/env.ts';
import { lineLog } from '../../../src/base/log.ts';
import { unixMillis } from '../../../src/base/time.ts';
import { MemoryAtRest } from '../../../src/control/upkeep/memory.ts';
import { Clock } from '../../sim/clock.ts';

const MB = 2 ** 20;
const LOOK_MS = 5_000;

/** A heap of which `liveMb` is no garbage. */
function machine() {
  const clock = new Clock();
  const env: Env = {
    now: () => clock.now(),
    wall: () => unixMillis(0),
    random: (bytes) => new Uint8Array(bytes),
    setTimer: (at, action) => clock.setTimer(at, action),
    log: lineLog(() => {}, 'error'),
  };
  const heap = { liveMb: 12, heldMb: 16, cpuMillis: 0, collections: 0, trims: 0 };
  const memory = new MemoryAtRest(env, {
    heldBytes: () => heap.heldMb * MB,
    cpuMillis: () => heap.cpuMillis,
    collect: () => {
      heap.collections++;
      heap.heldMb = heap.liveMb;
      heap.cpuMillis += 2000;
    },
    trim: () => {
      heap.trims++;
    },
  });
  const look = (): readonly number[] => {
    clock.runTo(clock.now() + LOOK_MS);
    return [heap.collections, heap.trims];
  };
  return { clock, heap, memory, look };
}

t.test(
  'memory: at rest garbage is collected once it is worth it, and free memory given back',
  async (t) => {
    const { heap, look } = machine();
    t.same(look(), [1, 1], 'what the start has left');
    heap.heldMb = 14.9;
    t.same(look(), [1, 2], 'some megabytes are not worth it');
    heap.heldMb = 15.1;
    t.same(look(), [2, 3]);
    heap.liveMb = 100;
    heap.heldMb = 110;
    t.same(look(), [3, 4]);
    heap.heldMb = 114;
    t.same(look(), [3, 5], 'nor is less than a seventh of it');
    heap.heldMb = 116;
    t.same(look(), [4, 6]);
  },
);

t.test('memory: who works is left alone, and the collection itself is no work', async (t) => {
  const { heap, look, clock, memory } = machine();
  heap.cpuMillis += 251;
  t.same(look(), [0, 0]);
  heap.cpuMillis += 249;
  t.same(look(), [1, 1]);
  t.same(look(), [1, 2]);
  memory.close();
  t.same(look(), [1, 2]);
  t.equal(clock.pending, 0);
});
