/**
 * A map stream as it is received: cut into frames, unpacked, read.
 *
 *     length u32 LE | zstd of JSON, one frame or several        repeated
 *
 * What a server can make us hold: one compressed frame and one map, each with its limit. A part of a map that is
 * at fault is left out and counted (salvage.ts); what is no map at all is counted and passed over; only a frame
 * that cannot be cut ends the stream.
 *
 * Source: reference/protocol.md 3.2.
 */

import { zstdDecompressSync } from 'node:zlib';
import { concat } from '../../base/bytes.ts';
import { NetError } from '../../base/errors.ts';
import type { MapResponse } from '../../protocol/tailcfg/map-types.ts';
import { salvageMap } from '../../protocol/tailcfg/salvage.ts';
import { MAX_MAP_BYTES } from '../../protocol/tailcfg/validate.ts';

/** 100,000 peers, compressed, have less. */
const MAX_FRAME_BYTES = 32 * 1024 * 1024;
const LENGTH_BYTES = 4;

export class FrameCutter {
  #parts: Uint8Array[] = [];
  #held = 0;
  #want = LENGTH_BYTES;

  /** The bodies that `bytes` complete. @throws NetError for a frame that is too long */
  push(bytes: Uint8Array): Uint8Array[] {
    this.#parts.push(bytes);
    this.#held += bytes.length;
    const frames: Uint8Array[] = [];
    while (this.#held >= this.#want) {
      const whole =
        this.#parts.length === 1 ? (this.#parts[0] as Uint8Array) : concat(...this.#parts);
      const length = new DataView(whole.buffer, whole.byteOffset).getUint32(0, true);
      if (length > MAX_FRAME_BYTES)
        throw new NetError(`control: a map of ${length} bytes is more than is read`);
      this.#want = LENGTH_BYTES + length;
      this.#parts = [whole];
      if (this.#held < this.#want) break;
      frames.push(whole.subarray(LENGTH_BYTES, this.#want));
      this.#parts = [whole.subarray(this.#want)];
      this.#held -= this.#want;
      this.#want = LENGTH_BYTES;
    }
    return frames;
  }
}

/**
 * The map in a frame, or undefined where there is none in it.
 *
 * @param count is told each part that was left out
 */
export function readFrame(
  frame: Uint8Array,
  count: (reason: string, detail: string) => void,
): MapResponse | undefined {
  let body: Uint8Array;
  try {
    body = zstdDecompressSync(frame, { maxOutputLength: MAX_MAP_BYTES });
  } catch (error) {
    count('map: cannot be unpacked', (error as Error).message);
    return undefined;
  }
  const found = salvageMap(body);
  if ('reason' in found) {
    count(found.reason, found.detail);
    return undefined;
  }
  for (const lost of found.lost) count('map: part at fault', lost);
  return found.map;
}
