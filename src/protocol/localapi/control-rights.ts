/**
 * Who may do what on `control.sock`, and on the pages that the same handlers will serve: one table.
 *
 *     all       whatever it is about
 *     members   as far as it is about members: an admin makes no admin, and does not touch an owner
 *     own       as far as it is one's own; what is another's is answered as if it did not exist
 *     no        never
 *
 * Uid 0 and the server's own uid are owners. Another uid is the user whose login the settings give it, with
 * the role that user has at that moment; a uid that is nobody's may do nothing.
 */

export type Role = 'owner' | 'admin' | 'member';

export const ROLES: readonly Role[] = ['owner', 'admin', 'member'];

export type Right = 'all' | 'members' | 'own' | 'no';

export type Action =
  | 'users.list'
  | 'users.create'
  | 'users.rename'
  | 'users.delete'
  | 'users.role'
  | 'keys.list'
  | 'keys.create'
  | 'keys.revoke'
  | 'keys.delete'
  | 'nodes.list'
  | 'nodes.show'
  | 'nodes.rename'
  | 'nodes.expire'
  | 'nodes.delete'
  | 'nodes.tag'
  | 'nodes.waiting'
  | 'nodes.approve'
  | 'nodes.refuse'
  | 'routes.list'
  | 'routes.approve'
  | 'routes.withdraw'
  | 'dns.show'
  | 'dns.set'
  | 'dns.add'
  | 'dns.remove'
  | 'relay.show'
  | 'audit.list'
  | 'status';

const rights = (owner: Right, admin: Right, member: Right): Readonly<Record<Role, Right>> => ({
  owner,
  admin,
  member,
});

export const RIGHTS: Readonly<Record<Action, Readonly<Record<Role, Right>>>> = {
  'users.list': rights('all', 'all', 'own'),
  'users.create': rights('all', 'members', 'no'),
  'users.rename': rights('all', 'members', 'no'),
  'users.delete': rights('all', 'members', 'no'),
  'users.role': rights('all', 'no', 'no'),
  'keys.list': rights('all', 'all', 'own'),
  'keys.create': rights('all', 'all', 'own'),
  'keys.revoke': rights('all', 'all', 'own'),
  'keys.delete': rights('all', 'all', 'own'),
  'nodes.list': rights('all', 'all', 'own'),
  'nodes.show': rights('all', 'all', 'own'),
  'nodes.rename': rights('all', 'all', 'own'),
  'nodes.expire': rights('all', 'all', 'no'),
  'nodes.delete': rights('all', 'all', 'own'),
  'nodes.tag': rights('all', 'all', 'no'),
  'nodes.waiting': rights('all', 'all', 'no'),
  // Whoever has the id stands before the machine that shows it.
  'nodes.approve': rights('all', 'all', 'own'),
  'nodes.refuse': rights('all', 'all', 'no'),
  'routes.list': rights('all', 'all', 'own'),
  'routes.approve': rights('all', 'all', 'no'),
  'routes.withdraw': rights('all', 'all', 'no'),
  'dns.show': rights('all', 'all', 'all'),
  'dns.set': rights('all', 'all', 'no'),
  'dns.add': rights('all', 'all', 'no'),
  'dns.remove': rights('all', 'all', 'no'),
  'relay.show': rights('all', 'all', 'no'),
  'audit.list': rights('all', 'all', 'no'),
  status: rights('all', 'all', 'no'),
};

export const isAction = (text: string): text is Action => Object.hasOwn(RIGHTS, text);

export const rightOf = (role: Role, action: Action): Right => RIGHTS[action][role];
