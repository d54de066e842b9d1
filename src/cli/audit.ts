/** `postern audit`: who changed what. */

import { Command, InvalidArgumentError } from 'commander';
import type { AuditReport } from '../protocol/localapi/control-reports.ts';
import { MOST_AUDIT_RECORDS } from '../protocol/localapi/control-requests.ts';
import { columns } from './columns.ts';
import type { ControlTerminal } from './control-verb.ts';
import { tell, withSocket } from './control-verb.ts';

interface Flags {
  readonly limit?: number;
  readonly before?: number;
}

const SHORT = 60;

export function auditCommand(terminal: ControlTerminal): Command {
  const { out, err } = terminal;
  const audit = withSocket(new Command('audit').description('who changed what'));
  audit
    .command('list')
    .description('the last changes, the newest first; --json has what was before and after')
    .option('--limit <count>', 'how many (default: 100)', number(MOST_AUDIT_RECORDS))
    .option('--before <id>', 'older ones than this', number(Number.MAX_SAFE_INTEGER))
    .action(({ limit, before }: Flags, command: Command) => {
      const request = { ...(limit && { limit }), ...(before && { before }) };
      return tell(terminal, command, 'audit.list', request, ({ records, next }) => {
        out(recordsText(records));
        if (next !== null) err(`older ones: --before ${next}\n`);
      });
    });
  return audit;
}

const recordsText = (records: readonly AuditReport[]): string =>
  columns([
    ['ID', 'WHEN', 'WHO', 'FROM', 'WHAT', 'ABOUT', 'CHANGE'],
    ...records.map(({ id, at, by, action, target, before, after }) => [
      String(id),
      at.replace(/\.\d+Z$/, 'Z'),
      by.name,
      by.from,
      action,
      target,
      short(`${JSON.stringify(before)} -> ${JSON.stringify(after)}`),
    ]),
  ]);

const short = (text: string): string =>
  text.length > SHORT ? `${text.slice(0, SHORT - 1)}…` : text;

function number(most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : 0;
    if (value >= 1 && value <= most) return value;
    throw new InvalidArgumentError(`Wanted a number from 1 to ${most}.`);
  };
}
