/**
 * `postern bugreport [NOTE]`: all that helps to find a fault, as JSON on standard output, and a marker to quote.
 * It goes nowhere by itself. It names machines and addresses of the network, and holds no key that is secret.
 */

import { Command } from 'commander';
import type { NodeTerminal } from './node-verb.ts';
import { asJson, tellNode, withJson } from './node-verb.ts';

export function bugreportCommand(terminal: NodeTerminal): Command {
  return withJson(new Command('bugreport'))
    .description('print all that helps to find a fault; it is sent to nobody')
    .argument('[note]', 'what happened')
    .action((note: string | undefined, _flags: object, command: Command) =>
      tellNode(terminal, command, 'bugreport', note ? { note } : {}, (report) => {
        terminal.out(asJson(report));
        terminal.err(`${report.marker}: look it over before you give it away; it names machines\n`);
      }),
    );
}
