/**
 * What a machine that registers is told: one function from what is known to a decision, asked in this order.
 *
 *     node key is another machine's                     refuse, whatever else is asked
 *     expiry in the past                                log out (clients send Auth with it)
 *     no auth key, node key known and not expired       go on as before (a restart, or an approved login)
 *     expiry in the future, no auth key                 refuse
 *     follow-up of an open approval                     wait; told so where a person said no
 *     auth key, node key known, not expired, and the
 *       key is this owner's or unknown                  go on: a used or deleted key stops no restart
 *     auth key                                          enroll, or refuse with the key's fault
 *     anything else                                     ask for a login at a new URL
 *
 * The machine is who Noise says it is; a node is looked at only where its machine is the asker's.
 *
 * Source: reference/protocol.md 2.
 */

import type { UnixMillis } from '../../base/time.ts';
import type { MachineKeyText, NodeKeyText } from '../../protocol/tailcfg/keys.ts';
import { authKeyFault, authKeyOf } from './auth-keys.ts';
import type { Context, Refused } from './change.ts';
import { refused } from './change.ts';
import type { Approval, AuthKey, MeshNode, Model, Owner } from './model.ts';
import { isExpired, ownerOf } from './model.ts';
import { tagFault } from './tags.ts';

/** A register request as far as it decides something. */
export interface Registration {
  /** From Noise, never from the body. */
  readonly machine: MachineKeyText;
  readonly nodeKey: NodeKeyText;
  readonly oldNodeKey: NodeKeyText | null;
  /** Empty: none. */
  readonly authKey: string;
  /** null: unset, which is year 1 on the wire. */
  readonly expiry: UnixMillis | null;
  /** The approval that the follow-up URL names. */
  readonly followup: string | null;
  readonly hostname: string;
  readonly requestTags: readonly string[];
  readonly announced: readonly string[];
  readonly ephemeral: boolean;
  /** The new key is for the login that the old one has. */
  readonly rotate: boolean;
  /** The remote address, for the audit log. */
  readonly from: string;
}

export type Decision =
  | { readonly to: 'refuse'; readonly why: Refused }
  | { readonly to: 'log out'; readonly node: MeshNode | undefined }
  | { readonly to: 'go on'; readonly node: MeshNode }
  | { readonly to: 'rotate'; readonly node: MeshNode }
  | { readonly to: 'wait'; readonly approval: Approval }
  | { readonly to: 'enroll'; readonly key: AuthKey }
  | { readonly to: 'ask' };

type Asked = Pick<Context, 'now' | 'clockTrusted' | 'policy'>;

export function decide(model: Model, request: Registration, context: Asked): Decision {
  const { now } = context;
  const { nodeKey, machine, expiry, authKey, followup } = request;
  const id = model.index.nodeByKey.get(nodeKey);
  const holder = id === undefined ? undefined : model.nodes.get(id);
  if (holder !== undefined && holder.machine !== machine)
    return refuse(refused('taken', 'this node key belongs to another machine'));
  if (expiry !== null && expiry <= now) return { to: 'log out', node: holder };
  const valid = holder !== undefined && !isExpired(holder, now);
  if (authKey === '') {
    if (expiry !== null)
      return refuse(refused('bad request', 'a node key cannot choose how long it lives'));
    if (valid) return { to: 'go on', node: holder };
  }
  if (followup !== null) return followed(model, request, now);
  if (authKey === '') return rotated(model, request, now) ?? { to: 'ask' };
  return decideByKey(model, request, valid ? holder : undefined, context);
}

/** Its own machine may change the key of a login that has not expired; the login lives no longer by it. */
function rotated(model: Model, request: Registration, now: UnixMillis): Decision | undefined {
  const { rotate, oldNodeKey, machine } = request;
  const id = rotate && oldNodeKey !== null ? model.index.nodeByKey.get(oldNodeKey) : undefined;
  const node = id === undefined ? undefined : model.nodes.get(id);
  if (node === undefined || node.machine !== machine || isExpired(node, now)) return undefined;
  return { to: 'rotate', node };
}

function followed(model: Model, request: Registration, now: UnixMillis): Decision {
  const approval = model.approvals.get(request.followup ?? '');
  // An id that we do not know is of a time before our restart, or a guess: both may ask anew.
  if (approval === undefined || now >= approval.expires) return { to: 'ask' };
  if (approval.machine !== request.machine || approval.nodeKey !== request.nodeKey)
    return { to: 'ask' };
  if (approval.refused) return refuse(refused('denied', 'this login has been refused'));
  return { to: 'wait', approval };
}

/** @param valid the node that has this node key, on this machine, not expired */
function decideByKey(
  model: Model,
  request: Registration,
  valid: MeshNode | undefined,
  context: Asked,
): Decision {
  const key = authKeyOf(model, request.authKey);
  if (valid !== undefined && (key === undefined || sameOwner(ownerOf(valid), keyOwner(key))))
    return { to: 'go on', node: valid };
  if (key === undefined) return refuse(refused('denied', 'this auth key is not known'));
  const fault = authKeyFault(model, key, context) ?? requestTagFault(model, request, key, context);
  return fault === undefined ? { to: 'enroll', key } : refuse(fault);
}

/** Why the tags that a machine asks for are not given; undefined where they are. */
export function requestTagFault(
  model: Model,
  { requestTags }: Pick<Registration, 'requestTags'>,
  { user, tags }: Pick<AuthKey, 'user' | 'tags'>,
  { policy }: Pick<Context, 'policy'>,
): Refused | undefined {
  const bad = tagFault(requestTags);
  if (bad !== undefined) return bad;
  const denied = requestTags.filter((tag) =>
    user === null ? !tags.includes(tag) : !policy.mayTag(model, user, tag),
  );
  return denied.length === 0
    ? undefined
    : refused('denied', `requested tags [${denied.join(' ')}] are invalid or not permitted`);
}

export const keyOwner = ({ user, tags }: Pick<AuthKey, 'user' | 'tags'>): Owner =>
  user === null ? { user, tags } : { user, tags: [] };

/** Tags may be edited on a node; that it is tagged is what it has in common with its key. */
export const sameOwner = (a: Owner, b: Owner): boolean => a.user === b.user;

const refuse = (why: Refused): Decision => ({ to: 'refuse', why });
