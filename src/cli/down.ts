/** `postern down`: leave the network until `postern up`. Login and settings stay. */

import { Command } from 'commander';
import type { NodeTerminal } from './node-verb.ts';
import { tellNode, withJson } from './node-verb.ts';
import { riskAccepted, withRisk } from './risk.ts';

export function downCommand(terminal: NodeTerminal): Command {
  return withRisk(withJson(new Command('down')))
    .description('leave the network; login and settings stay')
    .action(async (_flags: object, command: Command) => {
      if (!(await riskAccepted(terminal, command))) return;
      await tellNode(terminal, command, 'down', {}, () =>
        terminal.err('down; come back with: postern up\n'),
      );
    });
}
