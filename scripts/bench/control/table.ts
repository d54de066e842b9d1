/** What a person reads of a comparison: a line for each row and what stands beside it, then reasons. */

import { styleText } from 'node:util';
import type { Row, Values } from './judge.ts';
import type { FigureSpec, RowSpec } from './rows.ts';

const RIGHT_FROM = 1;

/** @param columns who has one, ours first */
export function printRows<C extends string, R extends string>(
  rows: Readonly<Record<R, Row<C>>>,
  specs: Readonly<Record<R, RowSpec<C, string>>>,
  columns: readonly C[],
): void {
  const head = ['', ...columns, 'ratio', 'must be', ''];
  const leftAgainFrom = head.length - 2;
  const entries = Object.entries(rows) as [R, Row<C>][];
  const lines = [
    head,
    ...entries.flatMap(([name, row]) => linesOf(name, row, specs[name], columns)),
  ];
  const widths = head.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  console.log();
  for (const line of lines) {
    const cells = head.map((_, i) => {
      const cell = line[i] ?? '';
      const isNumber = i >= RIGHT_FROM && i < leftAgainFrom;
      return isNumber ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0);
    });
    console.log(cells.join('  ').trimEnd());
  }
  console.log();
  for (const [name, { reasons }] of entries)
    for (const reason of new Set(reasons)) console.log(styleText('red', `${name}: ${reason}`));
}

function linesOf<C extends string>(
  name: string,
  row: Row<C>,
  spec: RowSpec<C, string>,
  columns: readonly C[],
): string[][] {
  const ratio = Object.values(row.ratios as Readonly<Record<string, number>>)
    .map((value) => value.toFixed(2))
    .join(' / ');
  return [
    [
      titled(name, row.unit),
      ...cells(row.values, spec.figure, columns),
      ratio,
      row.must,
      row.ok ? 'ok' : 'NO',
    ],
    ...Object.entries(row.beside).map(([title, { unit, values }]) => [
      `  ${titled(title, unit)}`,
      ...cells(values, spec.beside[title], columns),
    ]),
  ];
}

const titled = (name: string, unit: string): string => (unit === '' ? name : `${name}, ${unit}`);

function cells<C extends string>(
  values: Values<C>,
  figure: FigureSpec | undefined,
  columns: readonly C[],
): string[] {
  return columns.map((name) => values[name]?.toFixed(figure?.digits ?? 0) ?? '');
}
