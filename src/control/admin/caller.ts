/**
 * Who asks: from what the kernel says of a process on the socket to a member of the staff, or nobody.
 *
 *     uid 0, the server's own uid    owner
 *     uid of the settings' map       its user, with the role that he has at this moment
 *     any other                      refused
 */

import type { Right, Role } from '../../protocol/localapi/control-rights.ts';
import type { Actor, Refused } from '../registry/change.ts';
import { refused } from '../registry/change.ts';
import type { MeshNode, Model, User, UserId } from '../registry/model.ts';

/** Of the process at the other end, as of when it connected (SO_PEERCRED of unix(7)). */
export interface Credentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface Caller {
  /** For the audit records. */
  readonly by: Actor;
  readonly role: Role;
  /** null: nobody of the network, as root is. */
  readonly user: UserId | null;
}

/** What a caller may see and touch in one action. */
export interface Scope extends Caller {
  readonly right: Exclude<Right, 'no'>;
}

export const CONTROL_SOCKET_NAME = 'control.sock';

export interface Staff {
  /** Of the server's process. */
  readonly ownUid: number;
  /** Logins by uid, from the settings. */
  readonly logins: ReadonlyMap<number, string>;
}

export function callerOf(
  model: Model,
  { ownUid, logins }: Staff,
  credentials: Credentials | undefined,
): Caller | Refused {
  if (credentials === undefined)
    return refused('denied', 'the system does not say whose process this is');
  const { uid } = credentials;
  if (uid === 0 || uid === ownUid) return { by: actor(`uid ${uid}`), role: 'owner', user: null };
  const login = logins.get(uid);
  if (login === undefined)
    return refused(
      'denied',
      `uid ${uid} may do nothing here: run this as root, or give it a login in the settings`,
    );
  const id = model.index.userByLogin.get(login);
  const user = id === undefined ? undefined : model.users.get(id);
  if (user === undefined)
    return refused(
      'denied',
      `uid ${uid} is ${login} by the settings, and there is no user ${login}; root can make one: postern users create ${login}`,
    );
  return { by: actor(login), role: user.role, user: user.id };
}

export const mayTouchNode = ({ right, user }: Scope, node: Pick<MeshNode, 'user'>): boolean =>
  right !== 'own' || (user !== null && node.user === user);

/** For lists; what `members` leaves out may still be looked at. */
export const maySeeUser = (scope: Scope, { id }: Pick<User, 'id'>): boolean =>
  scope.right !== 'own' || scope.user === id;

const actor = (name: string): Actor => ({ kind: 'user', name, from: CONTROL_SOCKET_NAME });
