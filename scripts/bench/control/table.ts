/** What a person reads of the control bench: a line for each row and what stands beside it, then reasons. */

import { styleText } from 'node:util';
import type { Row, Values } from './judge.ts';
import type { Contender, FigureSpec, RowName, RowSpec } from './rows.ts';
import { ROWS } from './rows.ts';

const COLUMNS: readonly Contender[] = ['ours', 'derper', 'headscale'];
const HEAD = ['', ...COLUMNS, 'ratio', 'must be', ''];
const RIGHT_FROM = 1;
const LEFT_AGAIN_FROM = 5;

export function printRows(rows: Readonly<Record<string, Row>>): void {
  const entries = Object.entries(rows) as [RowName, Row][];
  const lines = [HEAD, ...entries.flatMap(([name, row]) => linesOf(name, row))];
  const widths = HEAD.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  console.log();
  for (const line of lines) {
    const cells = HEAD.map((_, i) => {
      const cell = line[i] ?? '';
      const isNumber = i >= RIGHT_FROM && i < LEFT_AGAIN_FROM;
      return isNumber ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0);
    });
    console.log(cells.join('  ').trimEnd());
  }
  console.log();
  for (const [name, { reasons }] of entries)
    for (const reason of new Set(reasons)) console.log(styleText('red', `${name}: ${reason}`));
}

function linesOf(name: RowName, row: Row): string[][] {
  const spec: RowSpec = ROWS[name];
  const ratio = Object.values(row.ratios)
    .map((value) => value.toFixed(2))
    .join(' / ');
  return [
    [
      titled(name, row.unit),
      ...cells(row.values, spec.figure),
      ratio,
      row.must,
      row.ok ? 'ok' : 'NO',
    ],
    ...Object.entries(row.beside).map(([title, { unit, values }]) => [
      `  ${titled(title, unit)}`,
      ...cells(values, spec.beside[title]),
    ]),
  ];
}

const titled = (name: string, unit: string): string => (unit === '' ? name : `${name}, ${unit}`);

function cells(values: Values, figure: FigureSpec | undefined): string[] {
  return COLUMNS.map((name) => values[name]?.toFixed(figure?.digits ?? 0) ?? '');
}
