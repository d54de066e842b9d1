/**
 * `postern health`: how the coordination server is.
 *
 *     exit 0   all well
 *          3   with a health item of severity error
 */

import { Command } from 'commander';
import type { ServerReport } from '../protocol/localapi/control-reports.ts';
import { facts, healthLines } from './columns.ts';
import type { ControlTerminal } from './control-verb.ts';
import { tell, withSocket } from './control-verb.ts';
import { UNWELL } from './status.ts';

/** @param exit called with the exit code where it is not 0 */
export function healthCommand(terminal: ControlTerminal, exit: (code: number) => void): Command {
  // The exit code is of the answer, printed or not.
  const noting: ControlTerminal = {
    ...terminal,
    ask: async (socket, action, request) => {
      const answer = await terminal.ask(socket, action, request);
      const { server } = answer as { server: ServerReport };
      if (server.health.some(({ severity }) => severity === 'error')) exit(UNWELL);
      return answer;
    },
  };
  return withSocket(new Command('health'))
    .description('say how the coordination server is')
    .action((_flags: object, command: Command) =>
      tell(noting, command, 'status', {}, ({ server }) => terminal.out(healthText(server))),
    );
}

function healthText({ version, users, nodes, online, waiting, now, health }: ServerReport): string {
  const head = facts([
    ['version', version],
    ['users', String(users)],
    ['nodes', `${nodes}, ${online} online`],
    ['waiting', waiting === 0 ? '' : `${waiting}: postern nodes waiting`],
    ['time', now],
  ]);
  return `${head}\n${healthLines(health).join('\n')}\n`;
}
