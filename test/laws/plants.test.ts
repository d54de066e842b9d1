/** Each planted fault, and each variant of the bench, still has its place in the sources. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { VARIANTS } from '../../scripts/bench/variants.ts';
import { PLANTS } from '../planted/plants.ts';

const TOP = join(import.meta.dirname, '../..');

const places = [
  ...PLANTS.map(({ name, file, text }) => ({ name, file, text })),
  ...Object.entries(VARIANTS).flatMap(([name, changes]) =>
    changes.map(({ file, text }) => ({ name, file, text })),
  ),
];

t.test('plants: what is to be replaced stands in its file exactly once', async (t) => {
  for (const { name, file, text } of places) {
    const found = readFileSync(join(TOP, file), 'utf8').split(text).length - 1;
    t.equal(found, 1, `${name}: ${file}`);
  }
});
