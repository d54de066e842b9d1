/** What a person reads: the table of rows, and why a row is not ok. */

import { styleText } from 'node:util';
import type { ContenderName } from './contenders.ts';
import type { Row } from './judge.ts';
import type { RowName } from './rows.ts';
import { ROWS, TITLES } from './rows.ts';
import type { Run } from './runs.ts';

const HEAD = ['', 'ours', 'current', 'debian', 'ratio', 'must be', ''];
/** Contenders with a column; others have a line. */
const COLUMNS: readonly ContenderName[] = ['current', 'debian'];
const MARKS = { ok: 'ok', bad: 'NO' } as const;

export function printTable(rows: Partial<Record<RowName, Row>>): void {
  const entries = Object.entries(rows) as [RowName, Row][];
  const lines = entries.flatMap(([name, row]) => linesOf(name, row));
  const widths = HEAD.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const width = (column: number): number => widths[column] ?? 0;
  const shown = (line: readonly string[]): string =>
    line
      .map((cell, i) => (i === 0 || i >= 5 ? cell.padEnd(width(i)) : cell.padStart(width(i))))
      .join('  ')
      .trimEnd();
  console.log(`\n${styleText('bold', shown(HEAD))}`);
  for (const line of lines) console.log(painted(shown(line), line));
  console.log();
  for (const [name, { reasons }] of entries)
    for (const reason of new Set(reasons)) console.log(styleText('red', `${name}: ${reason}`));
}

/** One line for a run, while one waits. */
export function progress(contender: ContenderName, run: Run): string {
  const parts = [
    run.bytes !== undefined && (run.bytes ? 'bytes equal' : 'BYTES DIFFER'),
    run.tcp1 && `${run.tcp1.gbps.toFixed(2)} Gbit/s`,
    run.tcp4 && `x4 ${run.tcp4.gbps.toFixed(2)}`,
    run.tcp1 && `${run.tcp1.senderCpuPerGb.toFixed(2)} CPU s/GB`,
    run.udp && `udp loss ${run.udp.lossPercent.toFixed(1)} %`,
    run.ping !== undefined && `ping ${run.ping.toFixed(2)} ms`,
    run.memory && `${run.memory.anonymousMb.toFixed(0)} MB`,
    run.handshakes && `${run.handshakes.perCpuSecond.toFixed(0)} handshakes/CPU s`,
    run.seconds !== undefined && `(${run.seconds.toFixed(1)} s)`,
    ...run.failures,
  ].filter((part) => typeof part === 'string');
  return `  ${TITLES[contender].padEnd(9)} load ${run.load.toFixed(1)}  ${parts.join('  ')}`;
}

function linesOf(name: RowName, row: Row): string[][] {
  const { figure, beside, subject } = ROWS[name];
  const number = (value: number | null | undefined, digits: number): string =>
    value === undefined || value === null ? '' : value.toFixed(digits);
  const main = [
    `${name}, ${row.unit}`,
    number(row.ours, figure.digits),
    ...COLUMNS.map((peer) => number(row.peers[peer], figure.digits)),
    Object.values(row.ratios)
      .map((ratio) => ratio.toFixed(2))
      .join(' / '),
    row.must,
    row.ok ? MARKS.ok : MARKS.bad,
  ];
  const others = (Object.keys(row.peers) as ContenderName[])
    .filter((peer) => !COLUMNS.includes(peer))
    .map((peer) => [`  ${TITLES[peer]}, ${row.unit}`, number(row.peers[peer], figure.digits)]);
  const besides = Object.entries(row.beside).flatMap(([title, { unit, values }]) => {
    const digits = beside[title]?.digits ?? 0;
    const cells = [subject, ...COLUMNS].map((peer) => number(values[peer], digits));
    const extra = Object.keys(row.peers)
      .filter((peer) => !COLUMNS.includes(peer as ContenderName))
      .map((peer) => [
        `  ${TITLES[peer as ContenderName]} ${title}, ${unit}`,
        number(values[peer as ContenderName], digits),
      ]);
    return [[`  ${title}, ${unit}`, ...cells], ...extra];
  });
  return [main, ...others, ...besides];
}

function painted(text: string, line: readonly string[]): string {
  switch (line.at(-1)) {
    case MARKS.ok:
      return text.replace(/ok$/, styleText('green', 'ok'));
    case MARKS.bad:
      return text.replace(/NO$/, styleText(['bold', 'red'], 'NO'));
    default:
      return styleText('dim', text);
  }
}
