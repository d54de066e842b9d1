/** `postern nodes waiting | approve | refuse`: machines that asked for a login and wait for a person. */

import type { Command } from 'commander';
import type { WaitingReport } from '../protocol/localapi/control-reports.ts';
import { columns, list, relative } from './columns.ts';
import type { ControlTerminal } from './control-verb.ts';
import { tagList, tell } from './control-verb.ts';
import { ownerOf } from './node-text.ts';

interface ApproveFlags {
  readonly user?: string;
  readonly tags?: readonly string[];
}

const LOGIN = 'id, or the URL that the machine shows';

export function addLoginCommands(nodes: Command, terminal: ControlTerminal): void {
  const { out, err } = terminal;
  nodes
    .command('waiting')
    .description('which machines wait for a person')
    .action((_flags: object, command: Command) =>
      tell(terminal, command, 'nodes.waiting', {}, ({ waiting }, now) =>
        out(waitingText(waiting, now)),
      ),
    );
  nodes
    .command('approve')
    .description('let a machine in that waits')
    .argument('<login>', LOGIN)
    .option('--user <user>', 'whose it is: login or id (default: your own)')
    .option('--tags <tags>', 'tags that own it instead: tag:a,tag:b', tagList)
    .action((approval: string, { user, tags }: ApproveFlags, command: Command) => {
      const request = { approval, ...(user && { user }), ...(tags && { tags }) };
      return tell(terminal, command, 'nodes.approve', request, ({ node }) =>
        err(`${node.fqdn} (${node.addresses[0]}) is in, for ${ownerOf(node)}\n`),
      );
    });
  nodes
    .command('refuse')
    .description('tell a machine that waits that it may not')
    .argument('<login>', LOGIN)
    .action((approval: string, _flags: object, command: Command) =>
      tell(terminal, command, 'nodes.refuse', { approval }, ({ refused }) =>
        err(`refused login ${refused}\n`),
      ),
    );
}

const waitingText = (waiting: readonly WaitingReport[], now: number): string =>
  columns([
    ['ID', 'HOST NAME', 'FROM', 'WANTS TAGS', 'ROUTES', 'UNTIL'],
    ...waiting.map(({ id, hostname, from, requestTags, announced, expires }) => [
      id,
      hostname,
      from,
      list(requestTags),
      list(announced),
      relative(expires, now, '-'),
    ]),
  ]);
