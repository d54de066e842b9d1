/** `postern key rotate`: another node key, now. Sessions go on, and the address stays. */

import { Command } from 'commander';
import { relative } from './columns.ts';
import type { NodeTerminal } from './node-verb.ts';
import { tellNode, withJson } from './node-verb.ts';

export function keyCommand(terminal: NodeTerminal): Command {
  const key = withJson(new Command('key').description('the key of this machine in the network'));
  key
    .command('rotate')
    .description('change it for a new one; sessions go on')
    .action((_flags: object, command: Command) =>
      tellNode(terminal, command, 'key.rotate', {}, ({ key }, now) => {
        terminal.out(`${key.publicKey ?? '-'}\n`);
        terminal.err(`the key is new; it expires ${relative(key.expires, now, 'never')}\n`);
      }),
    );
  return key;
}
