/** `postern login`: log this machine in anew, by an auth key or by a person; exit codes as of `up`. */

import { Command } from 'commander';
import type { NodeTerminal } from './node-verb.ts';
import { nodeSocketOf, withJson } from './node-verb.ts';
import { riskAccepted, withRisk } from './risk.ts';
import type { LoginFlags } from './up.ts';
import { loginOf, untilRunning, withLogin } from './up.ts';

export function loginCommand(terminal: NodeTerminal): Command {
  return withRisk(withLogin(withJson(new Command('login'))))
    .description('log this machine in anew; its addresses stay where the owner stays')
    .action(async (flags: LoginFlags, command: Command) => {
      if (!(await riskAccepted(terminal, command))) return;
      await untilRunning(terminal, command, flags, () =>
        terminal.ask(nodeSocketOf(command), 'login', loginOf(flags)),
      );
    });
}
