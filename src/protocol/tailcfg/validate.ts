/**
 * The two gates of the vocabulary.
 *
 *     in    bytes -> size -> UTF-8 -> depth -> JSON -> shape -> value, or the reason to refuse it
 *     out   value -> shape, strictly -> nothing, or the fault, and then it must not leave
 *
 * In: everything behind the Noise layer is written by whoever made up a machine key, so a body costs no more
 * than its own length, is never an exception, and leaves nothing behind that no shape bounds.
 *
 * Out: one field of a wrong JSON type makes a stock client drop the whole map, each time, and all that its user
 * sees is that `up` does not end. So what we say is held to more than Go would take. A caller that finds one
 * node at fault leaves it out (`nodeFault`) rather than spoil the map of its peers.
 */

import type { MapResponse } from './map-types.ts';
import { MAP_RESPONSE, MAX_NODES } from './map-vocabulary.ts';
import type { Shape } from './shape.ts';
import type { MapRequest, Node, RegisterRequest, RegisterResponse } from './types.ts';
import { MAP_REQUEST, NODE, REGISTER_REQUEST, REGISTER_RESPONSE } from './vocabulary.ts';

/** A request's body; a stock client's has 2 kB. */
export const MAX_REQUEST_BYTES: number = 1024 * 1024;
/** A map of 10,000 nodes has 14 MB. */
export const MAX_MAP_BYTES: number = 64 * 1024 * 1024;
/** The deepest map known has 8 levels. */
const MAX_DEPTH = 32;

/** Why a body was refused; each is a counter. */
export type BodyDrop =
  | 'body: too large'
  | 'body: not UTF-8'
  | 'body: too deep'
  | 'body: not JSON'
  | 'body: wrong shape';

/** A value, or the reason with words for whoever looks for it: a path and a kind, never a text that was sent. */
export type Read<T> =
  | { readonly value: T }
  | { readonly reason: BodyDrop; readonly detail: string };

export function readRegisterRequest(body: Uint8Array): Read<RegisterRequest> {
  return read('RegisterRequest', REGISTER_REQUEST, body, MAX_REQUEST_BYTES);
}

export function readMapRequest(body: Uint8Array): Read<MapRequest> {
  return read('MapRequest', MAP_REQUEST, body, MAX_REQUEST_BYTES);
}

/** For a node: the answer of its server. */
export function readRegisterResponse(body: Uint8Array): Read<RegisterResponse> {
  return read('RegisterResponse', REGISTER_RESPONSE, body, MAX_REQUEST_BYTES);
}

/** For a node: one map of its stream, without frame and compression. */
export function readMapResponse(body: Uint8Array): Read<MapResponse> {
  return read('MapResponse', MAP_RESPONSE, body, MAX_MAP_BYTES);
}

/**
 * Why `response` must not be sent, as `MapResponse.Peers[3].Key: wanted …`; undefined: it is well. 1,000 peers
 * take 4 ms, and 0.1 where they passed before.
 *
 * @param passed nodes found well before and never changed since; those of this map join them
 */
export function mapFault(response: MapResponse, passed?: WeakSet<Node>): string | undefined {
  if (passed === undefined) return fault('MapResponse', MAP_RESPONSE, response);
  const { Peers, PeersChanged, ...rest } = response;
  return (
    peersFault('Peers', Peers, passed) ??
    peersFault('PeersChanged', PeersChanged, passed) ??
    fault('MapResponse', MAP_RESPONSE, rest)
  );
}

/** The same of one node. */
export function nodeFault(node: Node): string | undefined {
  return fault('Node', NODE, node);
}

export function registerFault(response: RegisterResponse): string | undefined {
  return fault('RegisterResponse', REGISTER_RESPONSE, response);
}

/** Any other body by the same gate. @param name for the detail */
export function read<T>(
  name: string,
  shape: Shape<T>,
  body: Uint8Array,
  mostBytes: number,
): Read<T> {
  if (body.length > mostBytes)
    return { reason: 'body: too large', detail: `${body.length} bytes, of at most ${mostBytes}` };
  let source: string;
  try {
    source = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return { reason: 'body: not UTF-8', detail: name };
  }
  if (isDeeper(body, MAX_DEPTH))
    return { reason: 'body: too deep', detail: `over ${MAX_DEPTH} levels` };
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    return { reason: 'body: not JSON', detail: name };
  }
  const found = shape.fault(value, false);
  if (found !== undefined) return { reason: 'body: wrong shape', detail: name + found };
  return { value: shape.copy(value as T) };
}

function fault<T>(name: string, shape: Shape<T>, value: T): string | undefined {
  const found = shape.fault(value, true);
  return found === undefined ? undefined : name + found;
}

function peersFault(
  field: 'Peers' | 'PeersChanged',
  peers: readonly Node[] | undefined,
  passed: WeakSet<Node>,
): string | undefined {
  // What is no list, or too long a one, is said by the whole shape.
  if (!Array.isArray(peers) || peers.length > MAX_NODES)
    return fault('MapResponse', MAP_RESPONSE, { [field]: peers } as MapResponse);
  for (const [i, peer] of peers.entries()) {
    if (passed.has(peer)) continue;
    const found = NODE.fault(peer, true);
    if (found !== undefined) return `MapResponse.${field}[${i}]${found}`;
    passed.add(peer);
  }
  return undefined;
}

/** Whether JSON text opens more than `most` lists and objects at once; looked at before anything is built. */
function isDeeper(body: Uint8Array, most: number): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    // " and the character behind a backslash
    if (byte === 0x22) quoted = !quoted;
    else if (quoted) at += byte === 0x5c ? 1 : 0;
    // [ { and ] }
    else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > most) return true;
    } else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return false;
}
