/**
 * zstd bodies put together of frames: a decoder takes them one after another as one text (RFC 8878, 3.1), so
 * that what many are told is compressed once, whatever stands around it.
 *
 *     magic 28 b5 2f fd | 0x20, length 1  or  0x60, length - 256 2 LE | block: last, raw, length 3 LE | text
 *
 * is a frame that says a short text as it is (3.1.1): compressing it would cost 25 us and save nothing.
 *
 * Level 1: higher ones are slower and, on bodies like maps, no smaller.
 */

import { constants, zstdCompressSync } from 'node:zlib';

const OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
/** Up to here a text is said as it is. */
const MOST_RAW_BYTES = 1024;
const MAGIC = 0xfd2fb528;
const SINGLE_SEGMENT = 0x20;
const LENGTH_IN_TWO_BYTES = 0x40;
const SHORT_LENGTHS = 256;

export function zstdFrame(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  return bytes.length <= MOST_RAW_BYTES ? rawFrame(bytes) : zstdCompressSync(bytes, OPTIONS);
}

/**
 * A frame that is kept and sent often, and so is worth compressing. Copied: what zlib gives is a small part of 64 kB
 * that would be kept with it.
 */
export const keptZstdFrame = (text: string): Uint8Array =>
  new Uint8Array(zstdCompressSync(Buffer.from(text), OPTIONS));

function rawFrame(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  const isShort = length < SHORT_LENGTHS;
  const frame = Buffer.allocUnsafe(4 + 1 + (isShort ? 1 : 2) + 3 + length);
  let at = frame.writeUInt32LE(MAGIC);
  at = frame.writeUInt8(isShort ? SINGLE_SEGMENT : SINGLE_SEGMENT | LENGTH_IN_TWO_BYTES, at);
  at = isShort ? frame.writeUInt8(length, at) : frame.writeUInt16LE(length - SHORT_LENGTHS, at);
  at = frame.writeUIntLE(length * 8 + 1, at, 3);
  frame.set(bytes, at);
  return frame;
}
