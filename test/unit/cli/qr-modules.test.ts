/** A code for a login page's address is one that a reader takes. */

import decodeQR from 'qr/decode.js';
import t from 'tap';
import { qrModules } from '../../../src/qr-modules.ts';

const SCALE = 4;
const BORDER = 4;

t.test('qr: what is drawn is read again, for short and long addresses', async (t) => {
  for (const text of [
    'http://10.0.0.1/register/0123456789abcdef0123456789abcdef',
    `https://mesh.a-rather-long-name.example.org:8443/register/${'f'.repeat(32)}`,
  ]) {
    const modules = qrModules(text);
    t.ok(modules.every((row) => row.length === modules.length));
    t.equal(decodeQR(pictureOf(modules)), text);
  }
});

/** Dark on light, with the border that a reader wants. */
function pictureOf(modules: readonly (readonly boolean[])[]): {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
} {
  const size = (modules.length + 2 * BORDER) * SCALE;
  const data = new Uint8Array(size * size * 4).fill(255);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const [row, column] = [y, x].map((at) => Math.floor(at / SCALE) - BORDER) as [number, number];
      if (modules[row]?.[column] === true) data.fill(0, (y * size + x) * 4, (y * size + x) * 4 + 3);
    }
  return { width: size, height: size, data };
}
