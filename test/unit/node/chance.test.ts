import t from 'tap';
import { chance } from '../../../src/chance.ts';

t.test('chance: as many bytes as asked for, of which none comes again', async (t) => {
  const random = chance();
  const seen = new Set<string>();
  for (let round = 0; round < 1000; round++)
    for (const length of [8, 12, 24, 25, 32]) {
      const bytes = random(length);
      if (bytes.length === length) seen.add(bytes.toHex());
      // The caller's to change.
      bytes.fill(0);
    }
  t.equal(seen.size, 5000);
  t.equal(random(0).length, 0);
});

t.test('chance: every byte value is about as frequent as any other', async (t) => {
  const random = chance();
  const counts = new Uint32Array(256);
  for (let round = 0; round < 20_000; round++)
    for (const byte of random(16)) counts[byte] = (counts[byte] ?? 0) + 1;
  // 1,250 each; more than 250 off is 7 standard deviations.
  t.ok(Math.min(...counts) > 1000 && Math.max(...counts) < 1500, `${Math.min(...counts)}`);
});
