/** Changes of users: create, rename, delete, role. A user who still has nodes is not deleted. */

import type { Context, Outcome } from './change.ts';
import { done, refused, unchanged } from './change.ts';
import { dropAuthKey, dropUser, putUser } from './edit.ts';
import type { Model, Role, User, UserId } from './model.ts';

/** A login is what stands before and behind an @; upper case would let two people look alike. */
const LOGIN =
  /^[a-z0-9](?:[a-z0-9._+-]{0,62}[a-z0-9])?(?:@[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)?$/;
const MAX_DISPLAY_NAME = 128;

export interface NewUser {
  readonly login: string;
  readonly displayName?: string;
  readonly role?: Role;
}

export function createUser(model: Model, request: NewUser, context: Context): Outcome<User> {
  const wrong = loginFault(model, request.login);
  if (wrong !== undefined) return wrong;
  const { counters } = model;
  const user: User = {
    id: counters.nextUser,
    login: request.login,
    displayName: (request.displayName || request.login).slice(0, MAX_DISPLAY_NAME),
    role: request.role ?? 'member',
    created: context.now,
  };
  const next = putUser({ ...model, counters: { ...counters, nextUser: user.id + 1 } }, user);
  return done(
    next,
    context,
    [{ type: 'user changed', user: user.id }],
    { action: 'users.create', target: userText(user), before: null, after: user },
    user,
  );
}

export function renameUser(
  model: Model,
  request: { readonly user: UserId; readonly login: string; readonly displayName?: string },
  context: Context,
): Outcome<User> {
  const before = model.users.get(request.user);
  if (before === undefined) return refused('not found', `there is no user ${request.user}`);
  const wrong = before.login === request.login ? undefined : loginFault(model, request.login);
  if (wrong !== undefined) return wrong;
  const displayName = (request.displayName || before.displayName).slice(0, MAX_DISPLAY_NAME);
  const user = { ...before, login: request.login, displayName };
  return done(
    putUser(model, user),
    context,
    [{ type: 'user changed', user: user.id }],
    { action: 'users.rename', target: userText(before), before, after: user },
    user,
  );
}

/** With the user go the auth keys that made nodes of his. */
export function deleteUser(
  model: Model,
  request: { readonly user: UserId },
  context: Context,
): Outcome<null> {
  const user = model.users.get(request.user);
  if (user === undefined) return refused('not found', `there is no user ${request.user}`);
  const nodes = [...model.nodes.values()].filter((node) => node.user === user.id);
  if (nodes.length > 0)
    return refused(
      'denied',
      `${user.login} still has ${nodes.map(({ name }) => name).join(', ')}: delete or tag them first`,
    );
  const keys = [...model.authKeys.values()].filter((key) => key.user === user.id);
  const without = keys.reduce((next, { id }) => dropAuthKey(next, id), model);
  return done(
    dropUser(without, user.id),
    context,
    [{ type: 'user removed', user: user.id }],
    { action: 'users.delete', target: userText(user), before: user, after: null },
    null,
  );
}

export function changeRole(
  model: Model,
  before: User,
  role: Role,
  context: Context,
): Outcome<User> {
  if (before.role === role) return unchanged(model, before);
  const user: User = { ...before, role };
  return done(
    putUser(model, user),
    context,
    [{ type: 'user changed', user: user.id }],
    {
      action: 'users.role',
      target: userText(user),
      before: { role: before.role },
      after: { role },
    },
    user,
  );
}

export const userText = ({ id, login }: User): string => `user ${id} (${login})`;

function loginFault(model: Model, login: string): ReturnType<typeof refused> | undefined {
  if (!LOGIN.test(login))
    return refused(
      'bad request',
      `'${login}' is no login: lower-case letters, digits, . _ + - and at most one @`,
    );
  return model.index.userByLogin.has(login)
    ? refused('taken', `there is a user ${login} already`)
    : undefined;
}
