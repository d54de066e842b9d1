/** `postern nodes`: the machines of the network. Logins that wait are in node-logins.ts. */

import { Command, InvalidArgumentError } from 'commander';
import { parseWhen } from '../protocol/localapi/control-durations.ts';
import type { ControlTerminal } from './control-verb.ts';
import { confirmed, tagList, tell, withSocket } from './control-verb.ts';
import { addLoginCommands } from './node-logins.ts';
import { expiryText, nodesText, nodeText } from './node-text.ts';

const NODE = 'name, id, address or full name';

export function nodesCommand(terminal: ControlTerminal): Command {
  const nodes = withSocket(new Command('nodes').description('machines of the network'));
  addLooks(nodes, terminal);
  addChanges(nodes, terminal);
  addLoginCommands(nodes, terminal);
  return nodes;
}

function addLooks(nodes: Command, terminal: ControlTerminal): void {
  const { out } = terminal;
  nodes
    .command('list')
    .description('which there are')
    .option('--user <user>', 'of one user alone: login or id')
    .action(({ user }: { user?: string }, command: Command) =>
      tell(terminal, command, 'nodes.list', { ...(user && { user }) }, ({ nodes }, now) =>
        out(nodesText(nodes, now)),
      ),
    );
  nodes
    .command('show')
    .description('all that is known of one')
    .argument('<node>', NODE)
    .action((node: string, _flags: object, command: Command) =>
      tell(terminal, command, 'nodes.show', { node }, ({ node }, now) => out(nodeText(node, now))),
    );
}

function addChanges(nodes: Command, terminal: ControlTerminal): void {
  const { err } = terminal;
  nodes
    .command('rename')
    .description('give a node another name')
    .argument('<node>', NODE)
    .argument('[name]', 'without it, the name follows the host name again')
    .action((node: string, name: string | undefined, _flags: object, command: Command) =>
      tell(terminal, command, 'nodes.rename', { node, name: name ?? '' }, ({ node }) =>
        err(`node ${node.id} is ${node.fqdn} now\n`),
      ),
    );
  nodes
    .command('expire')
    .description('say when a node must log in again')
    .argument('<node>', NODE)
    .argument('[when]', 'now, never, 90d, or 2026-12-01T08:00:00Z', when, 'now')
    .action((node: string, when: string, _flags: object, command: Command) =>
      tell(terminal, command, 'nodes.expire', { node, when }, ({ node }, now) =>
        err(`${node.name}: ${expiryText(node, now)}\n`),
      ),
    );
  nodes
    .command('tag')
    .description('let tags own a node instead of a user')
    .argument('<node>', NODE)
    .argument('<tags>', 'tag:a,tag:b', tagList)
    .action((node: string, tags: readonly string[], _flags: object, command: Command) =>
      tell(terminal, command, 'nodes.tag', { node, tags }, ({ node }) =>
        err(`${node.name} belongs to ${node.tags.join(', ')} now\n`),
      ),
    );
  nodes
    .command('delete')
    .description('remove a node; it is cut off within seconds')
    .argument('<node>', NODE)
    .option('--yes', 'do not ask')
    .action(async (node: string, _flags: object, command: Command) => {
      if (!(await confirmed(terminal, command, `Delete node ${node}?`))) return;
      await tell(terminal, command, 'nodes.delete', { node }, ({ deleted }) =>
        err(`deleted node ${deleted}\n`),
      );
    });
}

function when(text: string): string {
  if (parseWhen(text) !== undefined) return text;
  throw new InvalidArgumentError(
    'Wanted now, never, a duration like 90d, or a time like 2026-12-01T08:00:00Z.',
  );
}
