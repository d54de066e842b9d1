/**
 * Numbers of the DERP relay protocol, version 2.
 *
 * First those of the protocol, which both ends must share; then limits of our own.
 *
 * Source: the open Tailscale protocol (the package `derp` of its source).
 */

import type { Millis } from '../../base/time.ts';
import { millis, seconds } from '../../base/time.ts';

export const VERSION = 2;

/** "DERP" and a key in UTF-8; the first bytes of ServerKey. */
export const MAGIC: Uint8Array = Uint8Array.of(0x44, 0x45, 0x52, 0x50, 0xf0, 0x9f, 0x94, 0x91);

/** Type of a frame. Those for relays that are joined to each other (9, 10, 16, 17) are not spoken here. */
export const FRAME = {
  serverKey: 1,
  clientInfo: 2,
  serverInfo: 3,
  sendPacket: 4,
  recvPacket: 5,
  keepAlive: 6,
  notePreferred: 7,
  peerGone: 8,
  ping: 18,
  pong: 19,
  health: 20,
  restarting: 21,
} as const;

/** Why a peer is gone. */
export const GONE = { disconnected: 0, notHere: 1 } as const;

/** Type 1, length 4. */
export const HEADER_BYTES = 5;
export const KEY_BYTES = 32;
export const PING_BYTES = 8;

/** The longest packet that a relay carries. */
export const MAX_PACKET_BYTES = 65_536;

/** A client that hears nothing for 120 s gives up; a keep-alive comes at this distance and up to 5 s later. */
export const KEEP_ALIVE: Millis = seconds(60);
export const KEEP_ALIVE_JITTER: Millis = seconds(5);

/* Ours. */

/** A client has said who it is within this time. */
export const GREETING_DEADLINE: Millis = seconds(10);

/** ClientInfo of a stock client has 104 bytes; what it may carry besides fits as well. */
export const MAX_CLIENT_INFO_BYTES = 4096;

/** "Not here" answers to one client: 3 at once, then one a second. */
export const NOT_HERE_INTERVAL: Millis = seconds(1);
export const NOT_HERE_BURST = 3;

/** Bytes that wait for one client before the oldest packet goes: 0.2 s at 20 Mbit/s, four turns of a fast sender. */
export const MAX_QUEUED_BYTES = 524_288;

/** Frames of our own, and disco, that wait for one client; they go before packets. */
export const MAX_URGENT_FRAMES = 128;

/** A run of frames that is queued, and dropped, as one. */
export const MAX_RUN_BYTES = 16_384;

/** What one client may send: 64 MiB a second, more than two cores of a board relay; 8 MiB at once. */
export const RATE_BYTES_PER_SECOND = 67_108_864;
export const RATE_BURST_BYTES = 8_388_608;

/** Counted for each frame beside its bytes, so that empty frames are not for nothing. */
export const FRAME_COST_BYTES = 64;

/** A client that takes nothing for this long is cut off. */
export const STALL: Millis = seconds(15);

/** What a stopping relay tells its clients: come back after, and keep trying for. */
export const RESTART_AFTER: Millis = millis(500);
export const RESTART_TRY_FOR: Millis = seconds(30);
