/** A first contact with oneself comes to its end, and soon takes less time than in the beginning. */

import { randomBytes } from 'node:crypto';
import t from 'tap';
import { rehearseContact } from '../../../src/node-rehearsal.ts';

t.test('rehearsal: the two ends agree, with fresh keys each time', async (t) => {
  const drawn = new Set<string>();
  let again = 0;
  const random = (length: number): Uint8Array => {
    const bytes = new Uint8Array(randomBytes(length));
    if (drawn.has(bytes.toHex())) again++;
    drawn.add(bytes.toHex());
    return bytes;
  };
  t.doesNotThrow(() => rehearseContact(random));
  t.ok(drawn.size > 40, `${drawn.size} keys, nonces and stamps`);
  t.equal(again, 0);
});
