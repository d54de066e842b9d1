/**
 * The ts2021 handshake: Noise_IK_25519_ChaChaPoly_BLAKE2s between a machine and the coordination server, whose
 * key the machine has from `/key`. All bytes; sockets and chance are the caller's.
 *
 *     machine                                                          server
 *     createInitiation --- e, es, s, ss, nothing ------------------>   openInitiation    who calls, which version
 *                                                                      (the caller may refuse: errorFrame)
 *     consumeResponse <--- e, ee, se, nothing ----------------------   createResponse
 *     Sealer, Opener                                                   Sealer, Opener    (records.ts)
 *
 *     initiation 101   version 2 | 01 | 96 2 | ephemeral 32 | sealed static 48 | sealed nothing 16
 *     response    51               02 | 48 2 | ephemeral 32 | sealed nothing 16
 *     error                        03 | n  2 | text n, in the clear and unproved
 *
 * Numbers are big endian. The version is the client's capability version; it stands in the prologue, so that
 * nobody can change it on the way. An initiation can be replayed, to no use: who replays it cannot read the answer.
 *
 * Source: the open Tailscale protocol, as stock clients speak it; Noise specification revision 34, 7.5 (IK).
 */

import { concat } from '../../base/bytes.ts';
import type { MachinePublic } from '../../base/keys.ts';
import { machinePublic } from '../../base/keys.ts';
import { SymmetricState } from '../../crypto/symmetric-state.ts';
import type { OwnKey, PeerKey } from '../../crypto/x25519.ts';
import { peerKey, takeOwnKey } from '../../crypto/x25519.ts';
import { Opener, Sealer } from './records.ts';

export const INITIATION_BYTES = 101;
export const RESPONSE_BYTES = 51;

const TYPE = { initiation: 1, response: 2, error: 3 } as const;
const HEADER_BYTES = 3;
const VERSION_BYTES = 2;
const KEY_BYTES = 32;
const SEALED_KEY_BYTES = 48;
/** The text of an error frame is shown to a person; more than this is none. */
const MAX_ERROR_BYTES = 1024;

const PROTOCOL = 'Noise_IK_25519_ChaChaPoly_BLAKE2s';
const EMPTY = new Uint8Array(0);
const utf8 = new TextEncoder();

export type Ts2021Drop =
  | 'ts2021: wrong length'
  | 'ts2021: unknown type'
  /** A public key of low order. */
  | 'ts2021: bad key'
  /** Sealed for another server's key, under another version, or forged. */
  | 'ts2021: not for us'
  | 'ts2021: forged response';

/** One connection's two record ciphers, as this side uses them. */
export interface Channel {
  readonly sealer: Sealer;
  readonly opener: Opener;
}

/** Our initiation, waiting for its response. */
export interface PendingInitiation {
  /** 101 bytes. */
  readonly message: Uint8Array;
  readonly machine: OwnKey;
  readonly ephemeral: OwnKey;
  readonly state: SymmetricState;
  wipe(): void;
}

/**
 * @param version our capability version
 * @param ephemeral 32 unpredictable bytes, wiped here
 * @returns undefined for a server's key of low order
 */
export function createInitiation(
  machine: OwnKey,
  server: PeerKey,
  version: number,
  ephemeral: Uint8Array,
): PendingInitiation | undefined {
  const pair = takeOwnKey(ephemeral);
  const state = start(version, server.publicKey);
  state.mixHash(pair.publicKey);
  if (!state.mixDh(pair, server)) return wiped(state, undefined);
  const sealedStatic = state.sealAndHash(machine.publicKey);
  if (!state.mixDh(machine, server)) return wiped(state, undefined);
  const sealedNothing = state.sealAndHash(EMPTY);
  const body = concat(pair.publicKey, sealedStatic, sealedNothing);
  const message = concat(u16(version), frame(TYPE.initiation, body));
  return { message, machine, ephemeral: pair, state, wipe: () => state.wipe() };
}

/** A machine that has proved its key and waits for our response. */
export interface OpenedInitiation {
  /** Its capability version. */
  readonly version: number;
  readonly machine: MachinePublic;
  readonly machineKey: PeerKey;
  readonly ephemeral: PeerKey;
  readonly state: SymmetricState;
  wipe(): void;
}

/**
 * Two X25519. Whoever has our public key gets this far, under any machine key of its own making.
 *
 * @param server our own key
 */
export function openInitiation(server: OwnKey, message: Uint8Array): OpenedInitiation | Ts2021Drop {
  if (message.length !== INITIATION_BYTES) return 'ts2021: wrong length';
  const body = message.subarray(VERSION_BYTES + HEADER_BYTES);
  const header = message.subarray(VERSION_BYTES);
  if (header[0] !== TYPE.initiation) return 'ts2021: unknown type';
  if (readU16(header, 1) !== body.length) return 'ts2021: wrong length';

  const version = readU16(message, 0);
  const ephemeral = peerKey(body.subarray(0, KEY_BYTES));
  const state = start(version, server.publicKey);
  state.mixHash(ephemeral.publicKey);
  if (!state.mixDh(server, ephemeral)) return wiped(state, 'ts2021: bad key');
  const claimed = state.openAndHash(body.subarray(KEY_BYTES, KEY_BYTES + SEALED_KEY_BYTES));
  if (claimed === undefined) return wiped(state, 'ts2021: not for us');
  const machineKey = peerKey(claimed);
  if (!state.mixDh(server, machineKey)) return wiped(state, 'ts2021: bad key');
  if (state.openAndHash(body.subarray(KEY_BYTES + SEALED_KEY_BYTES)) === undefined)
    return wiped(state, 'ts2021: not for us');
  const machine = machinePublic(claimed);
  return { version, machine, machineKey, ephemeral, state, wipe: () => state.wipe() };
}

/**
 * The answer to an initiation, which is wiped.
 *
 * @param ephemeral 32 unpredictable bytes, wiped here
 * @returns a response of 51 bytes
 */
export function createResponse(
  opened: OpenedInitiation,
  ephemeral: Uint8Array,
): { readonly message: Uint8Array; readonly channel: Channel } | Ts2021Drop {
  const { state } = opened;
  const pair = takeOwnKey(ephemeral);
  state.mixHash(pair.publicKey);
  if (!state.mixDh(pair, opened.ephemeral) || !state.mixDh(pair, opened.machineKey))
    return wiped(state, 'ts2021: bad key');
  const message = frame(TYPE.response, concat(pair.publicKey, state.sealAndHash(EMPTY)));
  const [receive, send] = state.split();
  state.wipe();
  return { message, channel: channel(send, receive) };
}

/** What a server answered, or how much more of it must be read first. */
export type Answer =
  | { readonly type: 'more'; readonly wantBytes: number }
  /** The server's refusal; unproved, so it is shown and believed no further. */
  | { readonly type: 'error'; readonly text: string }
  /** `rest`: what came behind the response, for `channel.opener`. */
  | { readonly type: 'channel'; readonly channel: Channel; readonly rest: Uint8Array };

/**
 * Ends our handshake. It is wiped where it succeeds, and as it was where the response is false.
 *
 * @param received all bytes since the upgrade
 */
export function consumeResponse(
  pending: PendingInitiation,
  received: Uint8Array,
): Answer | Ts2021Drop {
  if (received.length < HEADER_BYTES) return { type: 'more', wantBytes: HEADER_BYTES };
  const end = HEADER_BYTES + readU16(received, 1);
  const type = received[0];
  if (type === TYPE.error && end > HEADER_BYTES + MAX_ERROR_BYTES) return 'ts2021: wrong length';
  if (type === TYPE.response && end !== RESPONSE_BYTES) return 'ts2021: wrong length';
  if (type !== TYPE.error && type !== TYPE.response) return 'ts2021: unknown type';
  if (received.length < end) return { type: 'more', wantBytes: end };
  const body = received.subarray(HEADER_BYTES, end);
  if (type === TYPE.error) return { type: 'error', text: printable(body) };

  const state = pending.state.fork();
  const ephemeral = peerKey(body.subarray(0, KEY_BYTES));
  state.mixHash(ephemeral.publicKey);
  if (!state.mixDh(pending.ephemeral, ephemeral)) return wiped(state, 'ts2021: bad key');
  if (!state.mixDh(pending.machine, ephemeral)) return wiped(state, 'ts2021: bad key');
  if (state.openAndHash(body.subarray(KEY_BYTES)) === undefined)
    return wiped(state, 'ts2021: forged response');
  const [send, receive] = state.split();
  state.wipe();
  pending.wipe();
  return { type: 'channel', channel: channel(send, receive), rest: received.subarray(end) };
}

/** The frame by which a server refuses a handshake, before or instead of its response. */
export function errorFrame(text: string): Uint8Array {
  return frame(TYPE.error, utf8.encode(text).subarray(0, MAX_ERROR_BYTES));
}

function start(version: number, serverPublic: Uint8Array): SymmetricState {
  const prologue = utf8.encode(`Tailscale Control Protocol v${version}`);
  const state = SymmetricState.start(PROTOCOL, prologue);
  state.mixHash(serverPublic);
  return state;
}

/** The ciphers keep copies; the keys handed in are wiped. */
function channel(send: Uint8Array, receive: Uint8Array): Channel {
  const made = { sealer: new Sealer(send), opener: new Opener(receive) };
  send.fill(0);
  receive.fill(0);
  return made;
}

function wiped<T>(state: SymmetricState, result: T): T {
  state.wipe();
  return result;
}

function frame(type: number, body: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(type), u16(body.length), body);
}

const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);
const readU16 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) << 8) | (bytes[at + 1] as number);

/** Somebody else's text for a terminal or a log: control characters become spaces. */
function printable(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).replace(/\p{Cc}+/gu, ' ');
}
