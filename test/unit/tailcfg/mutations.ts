/** Ways to spoil good messages: bits of bytes, and values of a JSON tree. */

import type { Seeded } from '../../seeded.ts';

export function flipped(message: Uint8Array, bit: number): Uint8Array {
  const copy = message.slice();
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
  return copy;
}

/** Of each kind that JSON has, and of forms that are nearly right. */
const STRANGE: readonly unknown[] = [
  null,
  true,
  false,
  0,
  1,
  -1,
  1.5,
  65_536,
  1e21,
  -1e300,
  '',
  'x',
  '0',
  'x'.repeat(300),
  '100.64.0.1',
  '100.64.0.1/33',
  '100.64.0.256/32',
  '100.64.0.01/32',
  'fd7a::1::2/128',
  '10.0.0.1:65536',
  '[::1]:1',
  'nodekey:00',
  `nodekey:${'0'.repeat(64)}`,
  `mkey:${'a'.repeat(64)}`,
  `nodekey:${'A'.repeat(64)}`,
  '2026-02-30T00:00:00Z',
  '2026-02-28 00:00:00Z',
  '0001-01-01T00:00:00Z',
  [],
  [null],
  [[]],
  ['x'],
  {},
  { ID: 'x' },
  { '': 0 },
];

type Tree = Record<string, unknown>;

/**
 * A copy of `body` with one value, anywhere, made strange, taken away, or doubled under another name.
 *
 * @param more strange values besides those that JSON has
 */
export function spoiled(random: Seeded, body: unknown, more: readonly unknown[] = []): unknown {
  const copy = structuredClone(body);
  const places: { readonly holder: Tree; readonly name: string }[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const name of Object.keys(value)) {
      places.push({ holder: value as Tree, name });
      visit((value as Tree)[name]);
    }
  };
  visit(copy);
  if (places.length === 0) return random.pick(STRANGE);
  const { holder, name } = random.pick(places);
  switch (random.below(8)) {
    case 0:
      delete holder[name];
      break;
    case 1:
      holder[random.pick(['Later', '__proto__x', '-1', '1e3', ''])] = holder[name];
      break;
    case 2:
      // Another value of the same body: often of nearly the right kind.
      holder[name] = structuredClone(random.pick(places).holder);
      break;
    default:
      holder[name] = random.pick([...STRANGE, ...more]);
  }
  return copy;
}
