/**
 * The handshake: Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s as WireGuard writes it (the paper, 5.4.2 and 5.4.3).
 *
 *     initiator                                                     responder
 *     createInitiation --- e, es, s, ss, time stamp --------------> openInitiation     who claims to call?
 *                                                                   (the caller finds the peer, or drops)
 *                                                                   consumeInitiation  it is they, at this time
 *     consumeResponse <--- e, ee, se, psk, nothing ---------------- createResponse
 *     keys { send, receive }                                        keys { send, receive }
 *
 * The messages made here have no MACs yet: cookie.ts adds them, and checks them before anything here is asked.
 * A pending handshake holds secrets until `wipe`. A false response leaves it as it was, since anybody who saw
 * the initiation can send one.
 *
 * Cost of an answered initiation: three secrets and one new pair of X25519, without the static-static secret,
 * which each peer's caller computes once (`staticSecret`).
 */

import type { NodePublic } from '../../base/keys.ts';
import { nodePublic } from '../../base/keys.ts';
import { SymmetricState } from '../../crypto/symmetric-state.ts';
import type { OwnKey, PeerKey } from '../../crypto/x25519.ts';
import { peerKey } from '../../crypto/x25519.ts';
import type { MessageDrop } from './messages.ts';
import { readInitiation, readResponse, writeInitiation, writeResponse } from './messages.ts';

export type HandshakeDrop =
  | MessageDrop
  /** Not sealed for our key. */
  | 'handshake: not for us'
  /** The claimed static key did not seal the time stamp. */
  | 'handshake: forged initiation'
  | 'handshake: forged response'
  /** A public key of low order. */
  | 'handshake: bad key';

const CONSTRUCTION = 'Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s';
const IDENTIFIER = 'WireGuard v1 zx2c4 Jason@zx2c4.com';
const EMPTY = new Uint8Array(0);
const START = SymmetricState.start(CONSTRUCTION, new TextEncoder().encode(IDENTIFIER));

/** Keys of one session, 32 bytes each; whoever takes them wipes them. */
export interface SessionKeys {
  readonly send: Uint8Array;
  readonly receive: Uint8Array;
}

/** What the two ends of one peering know before they talk. */
export interface Peering {
  readonly own: OwnKey;
  readonly peer: PeerKey;
  /** `staticSecret(own, peer)`. */
  readonly staticSecret: Uint8Array;
}

/** 32 bytes for a Peering; undefined for a public key of low order, which can be no peer. */
export function staticSecret(own: OwnKey, peer: PeerKey): Uint8Array | undefined {
  return own.agree(peer);
}

/** Our initiation, waiting for its response. */
export interface PendingInitiation {
  readonly message: Uint8Array;
  readonly own: OwnKey;
  readonly ephemeral: OwnKey;
  readonly state: SymmetricState;
  wipe(): void;
}

/**
 * @param ephemeral for this message alone; wiped with it
 * @param timestamp 12 bytes, later than any sent to this peer before
 * @returns undefined for a peer's key of low order
 */
export function createInitiation(
  { own, peer, staticSecret }: Peering,
  ephemeral: OwnKey,
  sender: number,
  timestamp: Uint8Array,
): PendingInitiation | undefined {
  const state = START.fork();
  state.mixHash(peer.publicKey);
  state.mixEphemeral(ephemeral.publicKey);
  if (!state.mixDh(ephemeral, peer)) {
    state.wipe();
    ephemeral.wipe();
    return undefined;
  }
  const sealedStatic = state.sealAndHash(own.publicKey);
  state.mixKey(staticSecret);
  const sealedTimestamp = state.sealAndHash(timestamp);
  return {
    message: writeInitiation({
      sender,
      ephemeral: ephemeral.publicKey,
      sealedStatic,
      sealedTimestamp,
    }),
    own,
    ephemeral,
    state,
    wipe: () => {
      state.wipe();
      ephemeral.wipe();
    },
  };
}

/** An initiation whose sender is claimed, not yet proved. */
export interface OpenedInitiation {
  readonly claimed: NodePublic;
  readonly sender: number;
  readonly ephemeral: PeerKey;
  readonly sealedTimestamp: Uint8Array;
  readonly state: SymmetricState;
  wipe(): void;
}

/** First step: one X25519. Whoever knows our public key gets this far, under any name. */
export function openInitiation(
  own: OwnKey,
  datagram: Uint8Array,
): OpenedInitiation | HandshakeDrop {
  const message = readInitiation(datagram);
  if (typeof message === 'string') return message;
  const state = START.fork();
  state.mixHash(own.publicKey);
  state.mixEphemeral(message.ephemeral);
  const ephemeral = peerKey(message.ephemeral);
  if (!state.mixDh(own, ephemeral)) return dropped(state, 'handshake: bad key');
  const claimed = state.openAndHash(message.sealedStatic);
  if (claimed === undefined) return dropped(state, 'handshake: not for us');
  return {
    claimed: nodePublic(claimed),
    sender: message.sender,
    ephemeral,
    sealedTimestamp: message.sealedTimestamp,
    state,
    wipe: () => state.wipe(),
  };
}

/** An initiation that its sender has proved; the caller still looks whether its time stamp is a new one. */
export interface ReceivedInitiation {
  /** 12 bytes. */
  readonly timestamp: Uint8Array;
  readonly sender: number;
  readonly ephemeral: PeerKey;
  readonly state: SymmetricState;
  wipe(): void;
}

/**
 * Second step, no X25519. The opened initiation lives on in the result, or is wiped.
 *
 * @param secret the claimed peer's `staticSecret`
 */
export function consumeInitiation(
  opened: OpenedInitiation,
  secret: Uint8Array,
): ReceivedInitiation | HandshakeDrop {
  const { state, sender, ephemeral, wipe } = opened;
  state.mixKey(secret);
  const timestamp = state.openAndHash(opened.sealedTimestamp);
  if (timestamp === undefined) return dropped(state, 'handshake: forged initiation');
  return { timestamp, sender, ephemeral, state, wipe };
}

/**
 * The answer to an initiation, which is wiped. Two X25519.
 *
 * @param peer the initiator's static key
 * @param presharedKey 32 bytes, zeros for none
 * @param ephemeral for this message alone; wiped with it
 */
export function createResponse(
  received: ReceivedInitiation,
  peer: PeerKey,
  presharedKey: Uint8Array,
  ephemeral: OwnKey,
  sender: number,
): { readonly message: Uint8Array; readonly keys: SessionKeys } | HandshakeDrop {
  const { state } = received;
  state.mixEphemeral(ephemeral.publicKey);
  const agreed = state.mixDh(ephemeral, received.ephemeral) && state.mixDh(ephemeral, peer);
  ephemeral.wipe();
  if (!agreed) return dropped(state, 'handshake: bad key');
  state.mixKeyAndHash(presharedKey);
  const sealedNothing = state.sealAndHash(EMPTY);
  const [receive, send] = state.split();
  state.wipe();
  const message = writeResponse({
    sender,
    receiver: received.sender,
    ephemeral: ephemeral.publicKey,
    sealedNothing,
  });
  return { message, keys: { send, receive } };
}

/**
 * Ends our handshake. It is wiped where it succeeds, and as it was where the response is false.
 *
 * @param datagram a response; that its receiver index names `pending` is the caller's to know
 * @param presharedKey 32 bytes, zeros for none
 */
export function consumeResponse(
  pending: PendingInitiation,
  datagram: Uint8Array,
  presharedKey: Uint8Array,
): { readonly sender: number; readonly keys: SessionKeys } | HandshakeDrop {
  const message = readResponse(datagram);
  if (typeof message === 'string') return message;
  const state = pending.state.fork();
  const ephemeral = peerKey(message.ephemeral);
  state.mixEphemeral(message.ephemeral);
  if (!state.mixDh(pending.ephemeral, ephemeral) || !state.mixDh(pending.own, ephemeral))
    return dropped(state, 'handshake: bad key');
  state.mixKeyAndHash(presharedKey);
  if (state.openAndHash(message.sealedNothing) === undefined)
    return dropped(state, 'handshake: forged response');
  const [send, receive] = state.split();
  state.wipe();
  pending.wipe();
  return { sender: message.sender, keys: { send, receive } };
}

function dropped(state: SymmetricState, reason: HandshakeDrop): HandshakeDrop {
  state.wipe();
  return reason;
}
