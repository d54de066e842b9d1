import t from 'tap';
import { PersistentMap } from '../../../src/control/registry/persistent-map.ts';
import { seeded } from '../../seeded.ts';

/** Three pairs of one FNV-1a hash each, which lie below the last branch. */
const COLLIDING = ['costarring', 'liquid', 'declinate', 'macallums', 'altarage', 'zinke'];

t.test('persistent map: like a Map that is copied for each change', async (t) => {
  for (const [what, keyOf] of [
    ['numbers', (n: number) => n],
    ['texts', (n: number) => `key ${n}`],
    ['colliding texts', (n: number) => COLLIDING[n % COLLIDING.length] as string],
  ] as const) {
    const random = seeded(31);
    let map = PersistentMap.empty<string | number, number>();
    let twin = new Map<string | number, number>();
    for (let round = 0; round < 3000; round++) {
      const before = map;
      const twinBefore = twin;
      twin = new Map(twin);
      for (let steps = random.below(4); steps >= 0; steps--) {
        const key = keyOf(random.below(200));
        if (random.below(5) < 3) {
          map = map.set(key, round);
          twin.set(key, round);
        } else {
          map = map.delete(key);
          twin.delete(key);
        }
      }
      const wrong =
        !same(map, twin) || !same(before, twinBefore) || !differsAs(before, map, twinBefore, twin);
      if (wrong) return t.fail(`${what}, round ${round}`);
    }
  }
  return t.pass('9,000 rounds');
});

t.test('persistent map: a change among many is found without looking at the others', async (t) => {
  let map = PersistentMap.empty<number, object>();
  for (let n = 0; n < 5000; n++) map = map.set(n, {});
  const value = {};
  const after = map.set(17, value).delete(4000);
  t.same(
    after
      .changedSince(map)
      .map(({ key }) => key)
      .sort(),
    [17, 4000],
  );
  t.equal(map.set(3, map.get(3) as object), map, 'the same value is the same map');
  t.same(
    map
      .delete(17)
      .set(17, map.get(17) as object)
      .changedSince(map),
    [],
  );
});

function same(
  map: PersistentMap<string | number, number>,
  twin: Map<string | number, number>,
): boolean {
  if (map.size !== twin.size) return false;
  let count = 0;
  for (const [key, value] of map.entries()) {
    count++;
    if (twin.get(key) !== value || map.get(key) !== value) return false;
  }
  return count === twin.size && map.get('never') === undefined;
}

/** Whether the difference takes the one twin to the other, and names nothing that is equal. */
function differsAs(
  before: PersistentMap<string | number, number>,
  after: PersistentMap<string | number, number>,
  twinBefore: Map<string | number, number>,
  twinAfter: Map<string | number, number>,
): boolean {
  const patched = new Map(twinBefore);
  for (const { key, before: was, after: is } of after.changedSince(before)) {
    if (was === is || twinBefore.get(key) !== was) return false;
    if (is === undefined) patched.delete(key);
    else patched.set(key, is);
  }
  return same(after, patched) && patched.size === twinAfter.size;
}
