/**
 * The known-answer test that a bulk AEAD must pass before it may carry packets. Its parts are found by name in
 * a library that promises nothing about them, so what they do is looked at, not believed.
 *
 * Asked, on the places of a datagram as the data plane has them (header 16 | text | tag 16, slots of 4 bytes):
 *
 *     1  the text and key of RFC 8439 2.8.2, without associated data and with a nonce of WireGuard's form
 *     2  texts of 0 to 1,424 bytes, also of lengths that fill no block, each with its known tag
 *     3  datagrams end to end: sealing or opening one leaves its neighbours as they are, and many at once are
 *        sealed and opened as one is
 *     4  a bit turned over in text, tag or counter is refused, and the datagram itself is still good after it
 *
 * Tags cover ciphertexts, so a right tag of a wrong text would be a forgery. The answers were computed with
 * @noble/ciphers, and the unit test computes them again.
 */

import { toHex } from '../base/bytes.ts';

/** BulkAead of node/dataplane/ports.ts, as far as this test asks. */
export interface TestedAead {
  seal(keyAt: number, slot: number, lengthBytes: number, low: number, high: number): void;
  open(keyAt: number, slot: number, lengthBytes: number, low: number, high: number): number;
  settle(): void;
  forged(index: number): boolean;
  startBatch(): void;
  forget(keyAt: number): void;
}

const HEADER_BYTES = 16;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
/** Keeps the first slot away from the key: an AEAD may use 64 bytes before a text and put them back. */
const MARGIN_BYTES = 128;

export const SUNSCREEN: Uint8Array = new TextEncoder().encode(
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
);
export const KEY: Uint8Array = Uint8Array.from({ length: KEY_BYTES }, (_, i) => 0x80 + i);
/** The last eight bytes of the RFC's nonce as a counter, cut to the 53 bits that a counter can have here. */
export const COUNTER_LOW = 0x43424140;
export const COUNTER_HIGH = 0x00064544;

const SUNSCREEN_SEALED =
  'ffc95342491946b98f426b18aa435448a4e7bd178fa4930c3e128ea3304e55dfdc3593e3964f21ee3ebcf82355db46c88ab09b91fb89bb9d3072762cfa6e0ebd57dff015bdb89b41a0e9e842d9716ba5d43cb3c00a43cc81f5387eb4f731457b32e6ef2bf8e9d143cf53eb79c92cc9d8f20c677b845af195d45543ed0033809191b8';

/** The text of each is `patterned`, its counter its place in this table. */
export const TAGS: readonly (readonly [lengthBytes: number, tag: string])[] = [
  [1420, '0265e475735eb01a4b17f84f673d89bc'],
  [16, '8afd29cbabbac694de4588163465df4d'],
  [0, '3c03b28d1b380a18c2902ea7324fae7c'],
  [1424, '292159ff73fcf3033b5f69882f50324e'],
  [1, 'ac46621ac2ef3fbea4a9db3c34d7eb4f'],
  [100, 'da9801b513b6bd1ba7b38dbd0cab3c02'],
  [64, '1c90b9a0aef83cf2522d682f41a9d8d4'],
  [1421, 'c9fdafca175795030f4dc9b6537436c2'],
];

/** Bytes from `at` on that `refuses` writes over. */
export const SCRATCH_BYTES: number =
  2 * MARGIN_BYTES +
  TAGS.reduce((bytes, [length]) => bytes + ((HEADER_BYTES + length + TAG_BYTES + 3) & ~3), 0);

/** A text of which no two neighbouring bytes, blocks or lengths are alike. */
export function patterned(lengthBytes: number): Uint8Array {
  return Uint8Array.from(
    { length: lengthBytes },
    (_, i) => (i * 131 + (i >> 6) + lengthBytes) & 255,
  );
}

/**
 * Why `aead` must not be used, or undefined where it may.
 *
 * @param bytes the memory it works on
 * @param at a multiple of 4, with SCRATCH_BYTES of room, and 64 bytes before it that are nobody's
 */
export function refuses(aead: TestedAead, bytes: Uint8Array, at: number): string | undefined {
  const keyAt = at;
  bytes.set(KEY, keyAt);
  aead.forget(keyAt);
  const reason =
    sunscreen(aead, bytes, keyAt) ?? endToEnd(aead, bytes, keyAt) ?? forged(aead, bytes, keyAt);
  aead.startBatch();
  bytes.fill(0, at, at + SCRATCH_BYTES);
  aead.forget(keyAt);
  return reason;
}

function sunscreen(aead: TestedAead, bytes: Uint8Array, keyAt: number): string | undefined {
  const slot = keyAt + MARGIN_BYTES;
  const text = slot + HEADER_BYTES;
  const end = text + SUNSCREEN.length + TAG_BYTES;
  bytes.set(SUNSCREEN, text);
  aead.seal(keyAt, slot, SUNSCREEN.length, COUNTER_LOW, COUNTER_HIGH);
  aead.settle();
  if (toHex(bytes.slice(text, end)) !== SUNSCREEN_SEALED) return 'seals the RFC 8439 text wrongly';
  aead.startBatch();
  const opened = openOne(aead, keyAt, slot, SUNSCREEN.length, COUNTER_LOW, COUNTER_HIGH);
  if (!stands(bytes, opened, SUNSCREEN)) return 'opens the RFC 8439 text wrongly';
  return undefined;
}

function endToEnd(aead: TestedAead, bytes: Uint8Array, keyAt: number): string | undefined {
  const slots = slotsFrom(keyAt + MARGIN_BYTES);
  bytes.fill(0xa5, keyAt + KEY_BYTES, keyAt + SCRATCH_BYTES);
  for (const [i, { slot, lengthBytes }] of slots.entries()) {
    const text = slot + HEADER_BYTES;
    bytes.set(patterned(lengthBytes), text);
    const before = bytes.slice(keyAt, keyAt + SCRATCH_BYTES);
    aead.seal(keyAt, slot, lengthBytes, i, 0);
    aead.settle();
    const end = text + lengthBytes + TAG_BYTES;
    // The own header may change: it is written after sealing, and may serve as the nonce until then.
    bytes.set(before.subarray(slot - keyAt, text - keyAt), slot);
    if (
      !sameOutside(before, bytes.subarray(keyAt, keyAt + SCRATCH_BYTES), text - keyAt, end - keyAt)
    )
      return `sealing ${lengthBytes} bytes changes bytes beside them`;
    if (toHex(bytes.slice(end - TAG_BYTES, end)) !== TAGS[i]?.[1])
      return `seals ${lengthBytes} bytes wrongly`;
  }
  return together(aead, bytes, keyAt, slots);
}

function together(
  aead: TestedAead,
  bytes: Uint8Array,
  keyAt: number,
  slots: readonly { slot: number; lengthBytes: number }[],
): string | undefined {
  bytes.fill(0xa5, keyAt + KEY_BYTES, keyAt + SCRATCH_BYTES);
  for (const [i, { slot, lengthBytes }] of slots.entries()) {
    bytes.set(patterned(lengthBytes), slot + HEADER_BYTES);
    aead.seal(keyAt, slot, lengthBytes, i, 0);
  }
  aead.settle();
  for (const [i, { slot, lengthBytes }] of slots.entries()) {
    const tag = slot + HEADER_BYTES + lengthBytes;
    if (toHex(bytes.slice(tag, tag + TAG_BYTES)) !== TAGS[i]?.[1])
      return `seals ${lengthBytes} bytes among others wrongly`;
  }
  aead.startBatch();
  const opened = slots.map(({ slot, lengthBytes }, i) => aead.open(keyAt, slot, lengthBytes, i, 0));
  aead.settle();
  for (const [i, { lengthBytes }] of slots.entries())
    if (aead.forged(i) || !stands(bytes, opened[i] ?? -1, patterned(lengthBytes)))
      return `opens ${lengthBytes} bytes among others wrongly`;
  return undefined;
}

/** Opens a datagram by itself: its plaintext's place, or -1. */
function openOne(
  aead: TestedAead,
  keyAt: number,
  slot: number,
  lengthBytes: number,
  low: number,
  high: number,
): number {
  const place = aead.open(keyAt, slot, lengthBytes, low, high);
  aead.settle();
  return place < 0 || aead.forged(0) ? -1 : place;
}

function forged(aead: TestedAead, bytes: Uint8Array, keyAt: number): string | undefined {
  const slot = keyAt + MARGIN_BYTES;
  const text = slot + HEADER_BYTES;
  for (const lengthBytes of [0, 13, 64, 1420]) {
    bytes.set(patterned(lengthBytes), text);
    aead.seal(keyAt, slot, lengthBytes, 7, 0);
    aead.settle();
    const end = text + lengthBytes + TAG_BYTES;
    const sealed = bytes.slice(text, end);
    for (const place of [0, lengthBytes - 1, lengthBytes, lengthBytes + 7, lengthBytes + 15]) {
      if (place < 0) continue;
      bytes.set(sealed, text);
      bytes[text + place] = (sealed[place] as number) ^ 0x80;
      aead.startBatch();
      if (openOne(aead, keyAt, slot, lengthBytes, 7, 0) !== -1)
        return `takes ${lengthBytes} bytes with a changed bit at ${place}`;
    }
    bytes.set(sealed, text);
    if (openOne(aead, keyAt, slot, lengthBytes, 8, 0) !== -1) return 'takes a wrong counter';
    bytes.set(sealed, text);
    if (openOne(aead, keyAt, slot, lengthBytes, 7, 1) !== -1) return 'takes a wrong high counter';
    bytes.set(sealed, text);
    if (!stands(bytes, openOne(aead, keyAt, slot, lengthBytes, 7, 0), patterned(lengthBytes)))
      return `refuses ${lengthBytes} good bytes after forged ones`;
  }
  return undefined;
}

function slotsFrom(first: number): { slot: number; lengthBytes: number }[] {
  let slot = first;
  return TAGS.map(([lengthBytes]) => {
    const here = slot;
    slot = (slot + HEADER_BYTES + lengthBytes + TAG_BYTES + 3) & ~3;
    return { slot: here, lengthBytes };
  });
}

function stands(bytes: Uint8Array, place: number, wanted: Uint8Array): boolean {
  return place >= 0 && wanted.every((byte, i) => bytes[place + i] === byte);
}

function sameOutside(before: Uint8Array, after: Uint8Array, from: number, to: number): boolean {
  return before.every((byte, i) => (i >= from && i < to) || after[i] === byte);
}
