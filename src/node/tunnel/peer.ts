/**
 * A configured peer as the main thread knows it. An idle peer is no more than this record; an active one has
 * a slot in the arena, where its endpoint, its marks and its keypairs are.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import type { NodePublic, PresharedKey } from '../../base/keys.ts';
import { KEY_BYTES } from '../../base/keys.ts';
import type { Millis, UnixMillis } from '../../base/time.ts';
import { millis, unixMillis } from '../../base/time.ts';
import type { CookieGenerator } from '../../protocol/wireguard/cookie.ts';
import { TIMESTAMP_BYTES } from '../../protocol/wireguard/messages.ts';
import type { Peering, PendingInitiation } from '../../protocol/wireguard/noise.ts';

/** A handshake of our own that waits for its response. */
export interface OutgoingHandshake {
  readonly initiation: PendingInitiation;
  /** The keypair slot that its index names. */
  readonly keypair: number;
  readonly ownIndex: number;
  /** When the first of its initiations was sent. */
  readonly startedAt: Millis;
  readonly lastInitiationAt: Millis;
  readonly retryAt: Millis;
}

export interface Peer {
  /** Never used again for another peer. */
  readonly number: number;
  readonly publicKey: NodePublic;
  /** What handshakes start from; null without a private key of ours, or where the peer's key is worthless. */
  peering: Peering | null;
  presharedKey: PresharedKey | null;
  /** As configured; an active peer's is in the arena and may have moved. */
  endpoint: Endpoint | undefined;
  /** Until when the endpoint may be relied on alone, in a mesh. */
  trustedUntil: Millis;
  persistentKeepaliveSeconds: number;
  /** Slot in the arena, or -1 while idle. */
  slot: number;
  readonly cookies: CookieGenerator;
  handshake: OutgoingHandshake | null;
  /** Greatest time stamp of its initiations: 12 bytes. */
  latestTimestamp: Uint8Array;
  lastInitiationConsumed: Millis;
  lastHandshake: UnixMillis;
  /** When its newest keypair was made; 0 for none. */
  lastKeypairAt: Millis;
  /** When a handshake with it was last given up; 0 for never. */
  gaveUpAt: Millis;
  /** Spreads its retries. */
  jitter: Millis;
  /** Of slots that it had before. */
  bytesSent: number;
  bytesReceived: number;
  /** Cancels the timer that is set. */
  cancelTimer: (() => void) | null;
}

export function newPeer(number: number, publicKey: NodePublic, cookies: CookieGenerator): Peer {
  return {
    number,
    publicKey,
    peering: null,
    presharedKey: null,
    endpoint: undefined,
    trustedUntil: millis(0),
    persistentKeepaliveSeconds: 0,
    slot: -1,
    cookies,
    handshake: null,
    latestTimestamp: new Uint8Array(TIMESTAMP_BYTES),
    lastInitiationConsumed: millis(Number.NEGATIVE_INFINITY),
    lastHandshake: unixMillis(0),
    lastKeypairAt: millis(0),
    gaveUpAt: millis(0),
    jitter: millis(0),
    bytesSent: 0,
    bytesReceived: 0,
    cancelTimer: null,
  };
}

const NO_PRESHARED_KEY = new Uint8Array(KEY_BYTES);

/** 32 bytes, zeros for none, as the handshake mixes them in. */
export function presharedKeyBytes(peer: Peer): Uint8Array {
  return peer.presharedKey?.expose() ?? NO_PRESHARED_KEY;
}
