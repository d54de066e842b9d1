/** The modules of a QR code for a text, true where dark; of the least version that holds it, with level M. */

import qrcode from 'qrcode-generator';
import type { Modules } from './cli/qr.ts';

export function qrModules(text: string): Modules {
  const code = qrcode(0, 'M');
  code.addData(text, 'Byte');
  code.make();
  const size = code.getModuleCount();
  return Array.from({ length: size }, (_, row) =>
    Array.from({ length: size }, (_, column) => code.isDark(row, column)),
  );
}
