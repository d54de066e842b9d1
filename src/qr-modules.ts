/** The modules of a QR code for a text, true where dark; of the least version that holds it, with 15 % to spare. */

import encodeQR from 'qr';
import type { Modules } from './cli/qr.ts';

export function qrModules(text: string): Modules {
  // A border is part of what is drawn (cli/qr.ts), and one module the least that the library leaves.
  const bordered = encodeQR(text, 'raw', { ecc: 'medium', encoding: 'byte', border: 1 });
  return bordered.slice(1, -1).map((row) => row.slice(1, -1));
}
