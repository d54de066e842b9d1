/** Users: list, create, rename, delete, role. An admin is one among members and is the owner's to name. */

import { answered } from '../../protocol/localapi/exchange.ts';
import type { Outcome, Refused } from '../registry/change.ts';
import { refused } from '../registry/change.ts';
import type { Model, Role, User } from '../registry/model.ts';
import { changeRole, createUser, deleteUser, renameUser } from '../registry/users.ts';
import type { Scope } from './caller.ts';
import { maySeeUser } from './caller.ts';
import { findUser } from './finding.ts';
import type { Handlers } from './handler.ts';
import { changed } from './handler.ts';
import { userReport } from './reports.ts';

export const userHandlers: Handlers<
  'users.list' | 'users.create' | 'users.rename' | 'users.delete' | 'users.role'
> = {
  'users.list': async ({ coordinator: { network } }, scope) => {
    const users = [...network.model.users.values()]
      .filter((user) => maySeeUser(scope, user))
      .sort((a, b) => a.id - b.id);
    return answered({ users: users.map((user) => userReport(network, user)) });
  },
  'users.create': (ports, scope, request) =>
    changed(
      ports,
      scope,
      (model, context) =>
        rankFault(scope, request.role ?? 'member') ?? createUser(model, request, context),
      (network, user) => ({ user: userReport(network, user) }),
    ),
  'users.rename': (ports, scope, { user: text, ...request }) =>
    changed(
      ports,
      scope,
      (model, context) =>
        withUser(model, scope, text, ({ id }) =>
          renameUser(model, { user: id, ...request }, context),
        ),
      (network, user) => ({ user: userReport(network, user) }),
    ),
  'users.delete': (ports, scope, request) =>
    changed(
      ports,
      scope,
      (model, context) =>
        withUser(model, scope, request.user, (user) => {
          const outcome = deleteUser(model, { user: user.id }, context);
          return outcome.ok ? { ...outcome, result: user.login } : outcome;
        }),
      (_network, deleted) => ({ deleted }),
    ),
  'users.role': (ports, scope, request) =>
    changed(
      ports,
      scope,
      (model, context) =>
        withUser(model, scope, request.user, (user) =>
          changeRole(model, user, request.role, context),
        ),
      (network, user) => ({ user: userReport(network, user) }),
    ),
};

function withUser<R>(
  model: Model,
  scope: Scope,
  text: string,
  change: (user: User) => Outcome<R>,
): Outcome<R> {
  const found = findUser(model, scope, text);
  if (!found.ok) return found;
  return rankFault(scope, found.it.role) ?? change(found.it);
}

/** Who may rename an owner could take his login, and with it what the settings give to that login. */
function rankFault({ right, role }: Scope, other: Role): Refused | undefined {
  return right === 'members' && other !== 'member'
    ? refused('denied', `an ${role} may do this to a member alone, not to an ${other}`)
    : undefined;
}
