/**
 * Who may do what on `node.sock`: one table.
 *
 *     look      everybody on this machine: who the peers are, how they are reached, what a name means
 *     operate   uid 0, the node's own uid, members of the group `postern`
 *
 * A look shows no secret and changes nothing; it may send a ping. An URL that waits for a login is left out of
 * it, since whoever opens that URL decides whose this machine is.
 */

export type Right = 'look' | 'operate';

/** Whose members may operate the node. */
export const OPERATOR_GROUP = 'postern';

export type NodeAction =
  | 'status'
  | 'watch'
  | 'ip'
  | 'ping'
  | 'whois'
  | 'netcheck'
  | 'dns.status'
  | 'dns.query'
  | 'version'
  | 'up'
  | 'down'
  | 'set'
  | 'login'
  | 'logout'
  | 'debug.netmap'
  | 'debug.drops'
  | 'debug.paths'
  | 'debug.metrics'
  | 'bugreport'
  | 'lan.list'
  | 'lan.add'
  | 'lan.remove'
  | 'lan.share'
  | 'lan.unshare'
  | 'key.rotate';

export const RIGHTS: Readonly<Record<NodeAction, Right>> = {
  status: 'look',
  watch: 'look',
  ip: 'look',
  ping: 'look',
  whois: 'look',
  netcheck: 'look',
  'dns.status': 'look',
  'dns.query': 'look',
  version: 'look',
  up: 'operate',
  down: 'operate',
  set: 'operate',
  login: 'operate',
  logout: 'operate',
  'debug.netmap': 'operate',
  'debug.drops': 'operate',
  'debug.paths': 'operate',
  'debug.metrics': 'operate',
  bugreport: 'operate',
  'lan.list': 'operate',
  'lan.add': 'operate',
  'lan.remove': 'operate',
  'lan.share': 'operate',
  'lan.unshare': 'operate',
  'key.rotate': 'operate',
};

export const isNodeAction = (text: string): text is NodeAction => Object.hasOwn(RIGHTS, text);

export const mayDo = (operator: boolean, action: NodeAction): boolean =>
  operator || RIGHTS[action] === 'look';
