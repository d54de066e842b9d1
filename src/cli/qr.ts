/**
 * A QR code as text, two rows of modules in one line:
 *
 *     both light █     upper light ▀     lower light ▄     both dark: a space
 *
 * Light is what is printed, since terminals are mostly dark; readers take either. Around it a border of two light
 * modules: half of what ISO/IEC 18004 wants, which phones read, and a code of 33 modules fits a screen of 24 lines.
 */

/** Rows of modules; true is dark. */
export type Modules = readonly (readonly boolean[])[];

const BORDER = 2;

export function qrText(modules: Modules): string {
  const size = modules.length;
  const isLight = (row: number, column: number): boolean =>
    row < size + BORDER && modules[row]?.[column] !== true;
  const lines: string[] = [];
  for (let row = -BORDER; row < size + BORDER; row += 2) {
    let line = '';
    for (let column = -BORDER; column < size + BORDER; column++)
      line += glyph(isLight(row, column), isLight(row + 1, column));
    lines.push(`${line}\n`);
  }
  return lines.join('');
}

function glyph(upper: boolean, lower: boolean): string {
  if (upper) return lower ? '█' : '▀';
  return lower ? '▄' : ' ';
}
