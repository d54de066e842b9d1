/**
 * What a person means by a name: each of these gives the one thing that fits, or a refusal that says what
 * fits instead. They look at the model of the change that asks, so that nothing can move in between.
 *
 *     node       label, full name, id, stable id, an address, node key; else the host name of one machine
 *     user       login, `login@`, id; else what stands before the @ of one login
 *     key        id, prefix, `pkey-prefix`, the key itself; else what one prefix begins with
 *     approval   id, the URL that the machine shows; for who may see all, also what one id begins with
 */

import { formatIp, parseIp } from '../../base/ip.ts';
import { waitingApprovals } from '../registry/approvals.ts';
import type { Refused } from '../registry/change.ts';
import { refused } from '../registry/change.ts';
import type { Approval, AuthKey, MeshNode, Model, User } from '../registry/model.ts';
import { nodesInOrder } from '../registry/model.ts';
import type { Scope } from './caller.ts';
import { maySeeUser, mayTouchNode } from './caller.ts';

export type Found<T> = { readonly ok: true; readonly it: T } | Refused;

/** What a prefix of a key, and an id of an approval, must at least begin with. */
const LEAST_PREFIX = 4;
const LEAST_ID_DIGITS = 6;
const MOST_NAMED = 10;

export function findNode(model: Model, scope: Scope, text: string): Found<MeshNode> {
  const wanted = text.trim().toLowerCase().replace(/\.$/, '');
  const bytes = parseIp(wanted);
  const address = bytes && formatIp(bytes);
  const names = ({ id, name, stableId, ip4, ip6, nodeKey }: MeshNode): boolean =>
    name === wanted ||
    `${name}.${model.settings.baseDomain}` === wanted ||
    String(id) === wanted ||
    stableId === wanted ||
    nodeKey === wanted ||
    (address !== undefined && (ip4 === address || ip6 === address));
  const nodes = nodesInOrder(model).filter((node) => mayTouchNode(scope, node));
  const exact = nodes.filter(names);
  const fitting =
    exact.length > 0 ? exact : nodes.filter(({ hostname }) => hostname.toLowerCase() === wanted);
  return theOne('node', text, fitting, ({ id, name, ip4 }) => `${id} (${name}, ${ip4})`);
}

export function findUser(model: Model, scope: Scope, text: string): Found<User> {
  const wanted = text.trim();
  const login = wanted.replace(/@$/, '');
  const users = [...model.users.values()]
    .filter((user) => maySeeUser(scope, user))
    .sort((a, b) => a.id - b.id);
  const exact = users.filter((user) => user.login === login || String(user.id) === wanted);
  const fitting =
    exact.length > 0 ? exact : users.filter((user) => user.login.startsWith(`${login}@`));
  return theOne('user', text, fitting, ({ id, login }) => `${id} (${login})`);
}

export function findKey(model: Model, scope: Scope, text: string): Found<AuthKey> {
  const [, , prefix = ''] = /^(pkey-)?([0-9a-z]*)/.exec(text.trim()) ?? [];
  const keys = [...model.authKeys.values()]
    .filter((key) => mayTouchNode(scope, key))
    .sort((a, b) => a.id - b.id);
  const exact = keys.filter((key) => key.prefix === prefix || String(key.id) === text.trim());
  // A number that is no id is a mistake, and not what some key happens to begin with.
  const byBeginning = prefix.length >= LEAST_PREFIX && !/^\d+$/.test(text.trim());
  const fitting =
    exact.length === 0 && byBeginning ? keys.filter((key) => key.prefix.startsWith(prefix)) : exact;
  // A whole key may have been pasted: it is not said back.
  return theOne('key', prefix, fitting, ({ id, prefix }) => `${id} (${prefix})`);
}

/**
 * By id alone, never by host name: a stranger may call his machine like the one that is waited for.
 *
 * @param now the network's time
 */
export function findApproval(
  model: Model,
  scope: Scope,
  text: string,
  now: number,
): Found<Approval> {
  const id = text.trim().replace(/\/$/, '').split('/').at(-1)?.toLowerCase() ?? '';
  const waiting = waitingApprovals(model, now);
  const exact = waiting.filter((approval) => approval.id === id);
  const byBeginning = exact.length === 0 && scope.right === 'all' && id.length >= LEAST_ID_DIGITS;
  const fitting = byBeginning ? waiting.filter((approval) => approval.id.startsWith(id)) : exact;
  if (fitting.length === 0)
    return refused(
      'not found',
      `no login with the id ${id} is waiting; the machine may have to ask again (postern nodes waiting)`,
    );
  return theOne('login', id, fitting, (approval) => `${approval.id} (${approval.hostname})`);
}

function theOne<T>(
  what: string,
  text: string,
  fitting: readonly T[],
  say: (one: T) => string,
): Found<T> {
  const [it] = fitting;
  if (it === undefined) return refused('not found', `there is no ${what} ${text}`);
  if (fitting.length === 1) return { ok: true, it };
  return refused(
    'bad request',
    `${text} fits ${fitting.length} ${what}s: ${listed(fitting.map(say))}; name one of them`,
  );
}

/** `a, b, c`, and no more than a person reads. */
function listed(texts: readonly string[]): string {
  const more = texts.length - MOST_NAMED;
  const shown = texts.slice(0, MOST_NAMED).join(', ');
  return more > 0 ? `${shown} and ${more} more` : shown;
}
