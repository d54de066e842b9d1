/** Pre-auth keys: list, create, revoke, delete. */

import { parseDuration } from '../../protocol/localapi/control-durations.ts';
import type { NewKeyRequest } from '../../protocol/localapi/control-requests.ts';
import { answered } from '../../protocol/localapi/exchange.ts';
import { createAuthKey, deleteAuthKey, revokeAuthKey } from '../registry/auth-keys.ts';
import type { Context, Outcome } from '../registry/change.ts';
import { refused } from '../registry/change.ts';
import type { AuthKey, Model } from '../registry/model.ts';
import type { Scope } from './caller.ts';
import { mayTouchNode } from './caller.ts';
import { findKey, findUser } from './finding.ts';
import type { Handlers } from './handler.ts';
import { changed } from './handler.ts';
import { keyReport } from './reports.ts';

/** A key is for the machine at hand; what is forgotten must not let anybody in next year. */
const DEFAULT_MILLIS = 60 * 60_000;

export const keyHandlers: Handlers<'keys.list' | 'keys.create' | 'keys.revoke' | 'keys.delete'> = {
  'keys.list': async ({ coordinator: { network } }, scope) => {
    const keys = [...network.model.authKeys.values()]
      .filter((key) => mayTouchNode(scope, key))
      .sort((a, b) => a.id - b.id);
    return answered({ keys: keys.map((key) => keyReport(network, key)) });
  },
  'keys.create': (ports, scope, request) =>
    changed(
      ports,
      scope,
      (model, context) => create(model, scope, request, context),
      (network, { key, token }) => ({ token, key: keyReport(network, key) }),
    ),
  'keys.revoke': (ports, scope, request) =>
    changed(
      ports,
      scope,
      (model, context) => {
        const found = findKey(model, scope, request.key);
        return found.ok ? revokeAuthKey(model, { key: found.it.id }, context) : found;
      },
      (network, key) => ({ key: keyReport(network, key) }),
    ),
  'keys.delete': (ports, scope, request) =>
    changed(
      ports,
      scope,
      (model, context) => {
        const found = findKey(model, scope, request.key);
        if (!found.ok) return found;
        const outcome = deleteAuthKey(model, { key: found.it.id }, context);
        return outcome.ok ? { ...outcome, result: found.it.prefix } : outcome;
      },
      (_network, deleted) => ({ deleted }),
    ),
};

function create(
  model: Model,
  scope: Scope,
  { user: login, tags, expiry, ...flags }: NewKeyRequest,
  context: Context,
): Outcome<{ readonly key: AuthKey; readonly token: string }> {
  if (scope.right === 'own' && tags !== undefined && tags.length > 0)
    return refused('denied', `a ${scope.role} gives no tags; an admin may`);
  let user = scope.right === 'own' ? scope.user : null;
  if (login !== undefined) {
    const found = findUser(model, scope, login);
    if (!found.ok) return found;
    user = found.it.id;
  }
  const millis = expiry === undefined ? DEFAULT_MILLIS : (parseDuration(expiry) ?? null);
  return createAuthKey(
    model,
    { user, lifetimeMillis: millis, ...(tags === undefined ? {} : { tags }), ...flags },
    context,
  );
}
