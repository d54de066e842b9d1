/**
 * The greeting of a DERP connection, for both of its ends. Each proves that it holds its key by a box that
 * only the two can make.
 *
 *     relay                                   client
 *       ServerKey   magic | relay's key  ->
 *                                        <-   ClientInfo  node key | box {"version":2,"CanAckPings":true}
 *       ServerInfo  box {"version":2}    ->
 *
 * Source: the open Tailscale protocol.
 */

import { equalBytes } from '../../base/bytes.ts';
import type { NodePublic } from '../../base/keys.ts';
import { nodePublic } from '../../base/keys.ts';
import { BOX_EXTRA_BYTES, boxKey, openBox, sealBox } from '../../crypto/box.ts';
import type { OwnKey } from '../../crypto/x25519.ts';
import { peerKey } from '../../crypto/x25519.ts';
import {
  FRAME,
  HEADER_BYTES,
  KEY_BYTES,
  MAGIC,
  MAX_CLIENT_INFO_BYTES,
  VERSION,
} from './constants.ts';
import { frame } from './frames.ts';

/** Why a greeting ends the connection; each is a counter. */
export type GreetingDrop =
  | 'derp: not a greeting'
  | 'derp: greeting too long'
  | 'derp: greeting forged'
  | 'derp: greeting malformed';

/** The frame that a relay opens with. */
export function serverKey(relay: Uint8Array): Uint8Array {
  return frame(FRAME.serverKey, MAGIC, relay);
}

/** The relay's key in a whole ServerKey frame, which a client compares with what its map says, if it says it. */
export function readServerKey(whole: Uint8Array): Uint8Array | GreetingDrop {
  const body = whole.subarray(HEADER_BYTES);
  if (whole[0] !== FRAME.serverKey || body.length < MAGIC.length + KEY_BYTES)
    return 'derp: not a greeting';
  if (!equalBytes(body.subarray(0, MAGIC.length), MAGIC)) return 'derp: not a greeting';
  return body.slice(MAGIC.length, MAGIC.length + KEY_BYTES);
}

/** @param nonce 24 random bytes */
export function clientInfo(
  node: OwnKey,
  relay: Uint8Array,
  nonce: Uint8Array,
): Uint8Array | GreetingDrop {
  const key = boxKey(node, peerKey(relay));
  if (key === undefined) return 'derp: greeting forged';
  const said = json({ version: VERSION, CanAckPings: true });
  return frame(FRAME.clientInfo, node.publicKey, sealBox(key, nonce, said));
}

/** A client that has proved its key, and the key of the boxes between the two. */
export interface Greeted {
  readonly node: NodePublic;
  readonly boxKey: Uint8Array;
}

/**
 * Reads a whole ClientInfo frame. Never throws; it costs one X25519 and one box, whoever sent it.
 *
 * What the JSON says beside being an object changes nothing: a client of another version is served too, and
 * a key for joining relays is not asked for.
 */
export function readClientInfo(relay: OwnKey, whole: Uint8Array): Greeted | GreetingDrop {
  const body = whole.subarray(HEADER_BYTES);
  if (whole[0] !== FRAME.clientInfo) return 'derp: not a greeting';
  if (body.length > MAX_CLIENT_INFO_BYTES) return 'derp: greeting too long';
  if (body.length < KEY_BYTES + BOX_EXTRA_BYTES) return 'derp: greeting malformed';
  const node = nodePublic(body.subarray(0, KEY_BYTES));
  const key = boxKey(relay, peerKey(node));
  const said = key === undefined ? undefined : openBox(key, body.subarray(KEY_BYTES));
  if (key === undefined || said === undefined) return 'derp: greeting forged';
  return isJsonObject(said) ? { node, boxKey: key } : 'derp: greeting malformed';
}

/** What a relay tells of the rate that it allows, so that a client can keep to it by itself. */
export interface ServerInfo {
  readonly bytesPerSecond: number | undefined;
  readonly burstBytes: number | undefined;
}

/** @param nonce 24 random bytes */
export function serverInfo(key: Uint8Array, nonce: Uint8Array, info: ServerInfo): Uint8Array {
  const said = {
    version: VERSION,
    ...(info.bytesPerSecond && { TokenBucketBytesPerSecond: info.bytesPerSecond }),
    ...(info.burstBytes && { TokenBucketBytesBurst: info.burstBytes }),
  };
  return frame(FRAME.serverInfo, sealBox(key, nonce, json(said)));
}

/** Reads a whole ServerInfo frame at the client. */
export function readServerInfo(
  node: OwnKey,
  relay: Uint8Array,
  whole: Uint8Array,
): ServerInfo | GreetingDrop {
  if (whole[0] !== FRAME.serverInfo) return 'derp: not a greeting';
  const key = boxKey(node, peerKey(relay));
  const said = key === undefined ? undefined : openBox(key, whole.subarray(HEADER_BYTES));
  if (said === undefined) return 'derp: greeting forged';
  if (!isJsonObject(said)) return 'derp: greeting malformed';
  const values = JSON.parse(new TextDecoder().decode(said)) as Record<string, unknown>;
  const number = (value: unknown): number | undefined =>
    typeof value === 'number' && value > 0 ? value : undefined;
  return {
    bytesPerSecond: number(values['TokenBucketBytesPerSecond']),
    burstBytes: number(values['TokenBucketBytesBurst']),
  };
}

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

function isJsonObject(text: Uint8Array): boolean {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(text));
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
