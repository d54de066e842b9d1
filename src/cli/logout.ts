/** `postern logout`: end this machine's login. Its settings stay. */

import { Command } from 'commander';
import type { NodeTerminal } from './node-verb.ts';
import { tellNode, withJson } from './node-verb.ts';
import { riskAccepted, withRisk } from './risk.ts';

export function logoutCommand(terminal: NodeTerminal): Command {
  return withRisk(withJson(new Command('logout')))
    .description("end this machine's login; it takes a new one to come back")
    .action(async (_flags: object, command: Command) => {
      if (!(await riskAccepted(terminal, command))) return;
      await tellNode(terminal, command, 'logout', {}, () =>
        terminal.err('logged out; come back with: postern up\n'),
      );
    });
}
