/** The table of a matrix, and what of it is not as it must be; pure. */

import type { Cell, Place } from '../../../test/interop/node/matrix.ts';
import type { Matrices, PairName } from './nat.ts';

/** A row for each place on the left: `1.2 s` direct, `relay`, `-` where nothing came. */
export function printMatrix(cells: readonly Cell[]): string {
  const columns = [...new Set(cells.map(({ to }) => to))];
  const rows = [...new Set(cells.map(({ from }) => from))];
  const shown = (from: Place, to: Place): string => {
    const cell = cells.find((cell) => cell.from === from && cell.to === to);
    return cell === undefined ? '' : wordOf(cell);
  };
  const lines = [
    ['from \\ to', ...columns],
    ...rows.map((from) => [from, ...columns.map((to) => shown(from, to))]),
  ];
  const widths = lines[0]?.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((word, i) => word.padEnd(widths?.[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function wordOf({ connectedMs, directMs }: Cell): string {
  if (directMs !== undefined) return `${(directMs / 1000).toFixed(1)} s`;
  return connectedMs === undefined ? '-' : 'relay';
}

/** Who is not connected, and who is relayed where two stock nodes are direct. */
export function faultsOf(matrices: Matrices): readonly string[] {
  const stock = matrices['stock-stock'] ?? [];
  return (Object.entries(matrices) as [PairName, readonly Cell[]][]).flatMap(([name, cells]) =>
    cells.flatMap((cell) => {
      const { from, to } = cell;
      const where = `${name}: ${from} to ${to}`;
      if (cell.connectedMs === undefined) return [`${where}: not connected`];
      const theirs = stock.find((other) => other.from === from && other.to === to);
      return cell.directMs === undefined && theirs?.directMs !== undefined
        ? [`${where}: relayed, where two stock nodes are direct after ${theirs.directMs} ms`]
        : [];
    }),
  );
}
