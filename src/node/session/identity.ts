/**
 * Who the board is: the keys, as they lie on disk.
 *
 *     machineKey     for ever; the server knows the board by it
 *     nodeKey        the WireGuard key of today; `member`: the server has accepted it
 *     candidate      one that was offered to the server and may have been accepted; written before it is sent, so that
 *                    a power cut between the server's yes and our writing it down does not part the two
 *     previous       the one before: maps that are on their way may still name it
 *
 *     nodeKey ── propose ──> + candidate ── accept ──> candidate is nodeKey
 *                                        └─ drop ───> as before
 */

import type { Env } from '../../base/env.ts';
import { MachinePrivate, NodePrivate, nodePublic } from '../../base/keys.ts';
import type { UnixMillis } from '../../base/time.ts';
import { unixMillis } from '../../base/time.ts';
import type { OwnKey } from '../../crypto/x25519.ts';
import { ownKey } from '../../crypto/x25519.ts';
import type { NodeKeyText } from '../../protocol/tailcfg/keys.ts';
import { formatNodePublic, formatPrivate, parsePrivate } from '../../protocol/tailcfg/keys.ts';

export const IDENTITY_VERSION = 1;

/** A node key with its public half as the wire has it. */
export interface NodeKey {
  readonly secret: NodePrivate;
  readonly text: NodeKeyText;
}

export interface Identity {
  readonly machine: MachinePrivate;
  readonly node: NodeKey;
  /** By the network's time, when `node` was accepted; 0: not yet. */
  readonly created: UnixMillis;
  readonly member: boolean;
  readonly candidate: NodeKey | undefined;
  readonly previous: NodeKeyText | undefined;
  /** The server that `member` is about. */
  readonly controlUrl: string;
}

/** As it is written; every field a text or a number. */
export interface IdentityDocument {
  readonly machineKey: string;
  readonly nodeKey: string;
  readonly created: number;
  readonly member: boolean;
  readonly candidate?: string | undefined;
  readonly previous?: string | undefined;
  readonly controlUrl: string;
}

export function newIdentity(env: Pick<Env, 'random'>): Identity {
  return {
    machine: new MachinePrivate(env.random(32)),
    node: newNodeKey(env),
    created: unixMillis(0),
    member: false,
    candidate: undefined,
    previous: undefined,
    controlUrl: '',
  };
}

export function newNodeKey(env: Pick<Env, 'random'>): NodeKey {
  return nodeKeyOf(new NodePrivate(env.random(32)));
}

/** @throws Error where the document holds no keys */
export function readIdentity(body: unknown, version: number): IdentityDocument {
  if (version > IDENTITY_VERSION)
    throw new Error(`its version ${version} is newer than this program`);
  const found = body as Partial<IdentityDocument> | null;
  if (typeof found !== 'object' || found === null) throw new Error('it holds no keys');
  for (const name of ['machineKey', 'nodeKey'] as const)
    if (parsePrivate(String(found[name])) === undefined) throw new Error(`it has no ${name}`);
  return {
    machineKey: String(found.machineKey),
    nodeKey: String(found.nodeKey),
    created: Number.isFinite(found.created) ? Number(found.created) : 0,
    member: found.member === true,
    candidate: typeof found.candidate === 'string' ? found.candidate : undefined,
    previous: typeof found.previous === 'string' ? found.previous : undefined,
    controlUrl: String(found.controlUrl ?? ''),
  };
}

export function identityIn(document: IdentityDocument): Identity {
  const secret = (text: string): NodePrivate | undefined => {
    const bytes = parsePrivate(text);
    return bytes && new NodePrivate(bytes);
  };
  const machine = parsePrivate(document.machineKey);
  const node = secret(document.nodeKey);
  const candidate = secret(document.candidate ?? '');
  if (machine === undefined || node === undefined) throw new Error('it holds no keys');
  return {
    machine: new MachinePrivate(machine),
    node: nodeKeyOf(node),
    created: unixMillis(document.created),
    member: document.member,
    candidate: candidate && nodeKeyOf(candidate),
    previous: document.previous as NodeKeyText | undefined,
    controlUrl: document.controlUrl,
  };
}

export function documentOf(identity: Identity): IdentityDocument {
  const { machine, node, created, member, candidate, previous, controlUrl } = identity;
  return {
    machineKey: formatPrivate(machine),
    nodeKey: formatPrivate(node.secret),
    created,
    member,
    candidate: candidate && formatPrivate(candidate.secret),
    previous,
    controlUrl,
  };
}

/** The keys that are ours, or were: no peer may have one. */
export function ownKeysOf({ node, candidate, previous }: Identity): ReadonlySet<NodeKeyText> {
  return new Set([node.text, candidate?.text, previous].filter((key) => key !== undefined));
}

export const machineKeyOf = ({ machine }: Identity): OwnKey => ownKey(machine.expose());

function nodeKeyOf(secret: NodePrivate): NodeKey {
  return { secret, text: formatNodePublic(nodePublic(ownKey(secret.expose()).publicKey)) };
}
