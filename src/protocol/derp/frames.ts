/**
 * DERP frames: how they are written, and how a byte stream is cut into them.
 *
 *     0      1            5
 *     | type | length, BE | payload
 *
 *     1  server  ServerKey      magic 8 | relay's key 32 | what later versions add
 *     2  client  ClientInfo     node key 32 | box(JSON)
 *     3  server  ServerInfo     box(JSON)
 *     4  client  SendPacket     destination's key 32 | packet, to 64 KiB
 *     5  server  RecvPacket     source's key 32 | packet
 *     6  server  KeepAlive
 *     7  client  NotePreferred  1: this relay is my home, 0: not
 *     8  server  PeerGone       key 32 | reason 1
 *     18 both    Ping           8 bytes, which come back in
 *     19 both    Pong
 *     20 server  Health         text; empty: well again
 *     21 server  Restarting     come back after 4 (ms, BE) | try for 4 (ms, BE)
 *
 * Source: the open Tailscale protocol.
 */

import { HEADER_BYTES } from './constants.ts';

/** A frame of these parts. */
export function frame(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((bytes, part) => bytes + part.length, 0);
  const whole = new Uint8Array(HEADER_BYTES + length);
  whole[0] = type;
  new DataView(whole.buffer).setUint32(1, length);
  let at = HEADER_BYTES;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Length of the payload, from a header at `at`. */
export function payloadBytes(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at + 1] as number) * 0x1000000 +
    (((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 8) |
      (bytes[at + 4] as number))
  );
}

/** Called with whole frames: from `start` on, `end` is behind the last. False: nothing more is wanted. */
export type FramesTaker = (bytes: Uint8Array, start: number, end: number) => boolean;

/**
 * Cuts a stream into runs of whole frames, where they lie; only a frame that comes in pieces is copied, once,
 * into a place of its full length. So a stream of single bytes costs no more than its length.
 */
export class FrameCutter {
  readonly #maxPayloadBytes: number;
  readonly #head = new Uint8Array(HEADER_BYTES);
  #headBytes = 0;
  #partial: Uint8Array | undefined;
  #partialBytes = 0;

  constructor(maxPayloadBytes: number) {
    this.#maxPayloadBytes = maxPayloadBytes;
  }

  /**
   * @param bytes the next of the stream; whole frames in it are handed on in place
   * @returns false for a frame longer than is allowed, or once `take` has said so; the stream is useless then
   */
  push(bytes: Uint8Array, take: FramesTaker): boolean {
    let at = 0;
    if (this.#headBytes > 0 || this.#partial !== undefined) {
      const next = this.#finish(bytes, take);
      if (next === undefined) return false;
      at = next;
    }
    const start = at;
    while (bytes.length - at >= HEADER_BYTES) {
      const length = payloadBytes(bytes, at);
      if (length > this.#maxPayloadBytes) return false;
      const end = at + HEADER_BYTES + length;
      if (end > bytes.length) break;
      at = end;
    }
    if (at > start && !take(bytes, start, at)) return false;
    return at === bytes.length || this.#begin(bytes, at);
  }

  /** Keeps the beginning of a frame. */
  #begin(bytes: Uint8Array, at: number): boolean {
    const rest = bytes.subarray(at);
    if (rest.length < HEADER_BYTES) {
      this.#head.set(rest);
      this.#headBytes = rest.length;
      return true;
    }
    this.#partial = new Uint8Array(HEADER_BYTES + payloadBytes(rest, 0));
    this.#partial.set(rest);
    this.#partialBytes = rest.length;
    return true;
  }

  /** Goes on with the frame begun; gives the place behind it in `bytes`. */
  #finish(bytes: Uint8Array, take: FramesTaker): number | undefined {
    let at = 0;
    if (this.#partial === undefined) {
      while (this.#headBytes < HEADER_BYTES) {
        if (at === bytes.length) return at;
        this.#head[this.#headBytes++] = bytes[at++] as number;
      }
      const length = payloadBytes(this.#head, 0);
      if (length > this.#maxPayloadBytes) return undefined;
      this.#partial = new Uint8Array(HEADER_BYTES + length);
      this.#partial.set(this.#head);
      this.#partialBytes = HEADER_BYTES;
      this.#headBytes = 0;
    }
    const partial = this.#partial;
    const piece = bytes.subarray(at, at + partial.length - this.#partialBytes);
    partial.set(piece, this.#partialBytes);
    this.#partialBytes += piece.length;
    at += piece.length;
    if (this.#partialBytes < partial.length) return at;
    this.#partial = undefined;
    return take(partial, 0, partial.length) ? at : undefined;
  }
}
