/**
 * Text for a person at a terminal: aligned columns, times as how long ago.
 *
 * Machines choose some of these texts (a host name), so what a terminal would obey is shown as `?`.
 */

const UNITS = [
  [365 * 86_400_000, 'y'],
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
] as const;

/** The first row is the head. Nothing but the head where there is nothing to show. */
export function columns(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(harmless));
  const widths = cells.reduce<number[]>(
    (known, row) => row.map((cell, i) => Math.max(known[i] ?? 0, cell.length)),
    [],
  );
  return cells
    .map((row) => `${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd())
    .map((line) => `${line}\n`)
    .join('');
}

/** `  label       text`, one a line; what has no text is left out. */
export function facts(pairs: readonly (readonly [label: string, text: string])[]): string {
  return pairs
    .filter(([, text]) => text !== '')
    .map(([label, text]) => `  ${label.padEnd(12)}${harmless(text)}\n`)
    .join('');
}

/** `3 h ago`, `in 89 d`, `now`; `none` for null. */
export function relative(instant: string | null, now: number, none: string): string {
  if (instant === null) return none;
  const millis = Date.parse(instant) - now;
  const unit = UNITS.find(([length]) => Math.abs(millis) >= length);
  if (unit === undefined) return 'now';
  const count = `${Math.floor(Math.abs(millis) / unit[0])} ${unit[1]}`;
  return millis < 0 ? `${count} ago` : `in ${count}`;
}

export const yesNo = (value: boolean): string => (value ? 'yes' : 'no');

export const list = (texts: readonly string[], none = '-'): string =>
  texts.length === 0 ? none : texts.join(', ');

/** Control and invisible characters, which move a cursor, colour a screen or turn a line around. */
export const harmless = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
