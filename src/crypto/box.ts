/**
 * The NaCl box: a message from one Curve25519 key to another, which only these two can read or make.
 *
 *     box key   HSalsa20(X25519(own, peer), 16 zero bytes)      the same at both ends
 *     sealed    nonce 24 | Poly1305 tag 16 | XSalsa20 ciphertext
 *
 * Disco messages and the greeting of a relay travel in it. OpenSSL has no Salsa20, so the cipher is @noble's;
 * the key is worth keeping, since it costs more than sealing a short message.
 *
 * Source: "Cryptography in NaCl" (Bernstein, 2009), sections 5 to 10.
 */

import { hsalsa, xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { concat } from '../base/bytes.ts';
import type { OwnKey, PeerKey } from './x25519.ts';

export const BOX_NONCE_BYTES = 24;
export const BOX_TAG_BYTES = 16;
/** What a box is longer than its message. */
export const BOX_EXTRA_BYTES: number = BOX_NONCE_BYTES + BOX_TAG_BYTES;

/** "expand 32-byte k" in four little-endian words. */
const SIGMA = Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574);

/** 32 bytes; undefined for a peer's key of low order, with which there is no secret. */
export function boxKey(own: OwnKey, peer: PeerKey): Uint8Array | undefined {
  const secret = own.agree(peer);
  if (secret === undefined) return undefined;
  const words = new Uint32Array(secret.slice().buffer);
  const key = new Uint32Array(8);
  hsalsa(SIGMA, words, new Uint32Array(4), key);
  words.fill(0);
  secret.fill(0);
  return new Uint8Array(key.buffer);
}

/** @param nonce 24 bytes, never used twice with one key: random ones are */
export function sealBox(key: Uint8Array, nonce: Uint8Array, message: Uint8Array): Uint8Array {
  return concat(nonce, xsalsa20poly1305(key, nonce).encrypt(message));
}

/** The message, or undefined for a box that is forged, cut short or meant for someone else. */
export function openBox(key: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < BOX_EXTRA_BYTES) return undefined;
  const cipher = xsalsa20poly1305(key, sealed.subarray(0, BOX_NONCE_BYTES));
  try {
    return cipher.decrypt(sealed.subarray(BOX_NONCE_BYTES));
  } catch {
    return undefined;
  }
}
