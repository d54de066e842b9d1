/** `postern users`: who may have devices in the network, and who may run it. */

import { Argument, Command, Option } from 'commander';
import type { UserReport } from '../protocol/localapi/control-reports.ts';
import type { Role } from '../protocol/localapi/control-rights.ts';
import { ROLES } from '../protocol/localapi/control-rights.ts';
import { columns, relative } from './columns.ts';
import type { ControlTerminal } from './control-verb.ts';
import { confirmed, tell, withSocket } from './control-verb.ts';

export function usersCommand(terminal: ControlTerminal): Command {
  const { out, err } = terminal;
  const users = withSocket(new Command('users').description('users of the network'));
  users
    .command('list')
    .description('who there is')
    .action((_flags: object, command: Command) =>
      tell(terminal, command, 'users.list', {}, ({ users }, now) => out(usersText(users, now))),
    );
  users
    .command('create')
    .description('make a user')
    .argument('<login>', 'for instance alice, or alice@example.org')
    .option('--name <text>', 'as people call them')
    .addOption(
      new Option('--role <role>', 'what they may do here (default: member)').choices(ROLES),
    )
    .action((login: string, { name, role }: { name?: string; role?: Role }, command: Command) => {
      const more = { ...(name && { displayName: name }), ...(role && { role }) };
      return tell(terminal, command, 'users.create', { login, ...more }, ({ user }) =>
        err(`made user ${user.login} (${user.role})\n`),
      );
    });
  users
    .command('rename')
    .description('give a user another login')
    .argument('<user>', 'login or id')
    .argument('<login>')
    .option('--name <text>', 'as people call them')
    .action((user: string, login: string, { name }: { name?: string }, command: Command) => {
      const request = { user, login, ...(name && { displayName: name }) };
      return tell(terminal, command, 'users.rename', request, ({ user }) =>
        err(`user ${user.id} is ${user.login} now\n`),
      );
    });
  users
    .command('role')
    .description('say what a user may do')
    .argument('<user>', 'login or id')
    .addArgument(new Argument('<role>').choices(ROLES))
    .action((user: string, role: Role, _flags: object, command: Command) =>
      tell(terminal, command, 'users.role', { user, role }, ({ user }) =>
        err(`${user.login} is ${user.role} now\n`),
      ),
    );
  users
    .command('delete')
    .description('remove a user who has no nodes; their keys go too')
    .argument('<user>', 'login or id')
    .option('--yes', 'do not ask')
    .action(async (user: string, _flags: object, command: Command) => {
      if (!(await confirmed(terminal, command, `Delete user ${user}?`))) return;
      await tell(terminal, command, 'users.delete', { user }, ({ deleted }) =>
        err(`deleted user ${deleted}\n`),
      );
    });
  return users;
}

const usersText = (users: readonly UserReport[], now: number): string =>
  columns([
    ['ID', 'LOGIN', 'NAME', 'ROLE', 'NODES', 'CREATED'],
    ...users.map(({ id, login, displayName, role, nodes, created }) => [
      String(id),
      login,
      displayName,
      role,
      String(nodes),
      relative(created, now, '-'),
    ]),
  ]);
