/** XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha): WireGuard's cookies. OpenSSL has none, so this is @noble's. */

import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';

export const XNONCE_BYTES = 24;

/** @returns ciphertext and 16-byte tag */
export function xseal(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  associated: Uint8Array,
): Uint8Array {
  return xchacha20poly1305(key, nonce, associated).encrypt(plaintext);
}

/** The plaintext, or undefined for a forged or too short message. */
export function xopen(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  associated: Uint8Array,
): Uint8Array | undefined {
  const cipher = xchacha20poly1305(key, nonce, associated);
  try {
    return cipher.decrypt(sealed);
  } catch {
    return undefined;
  }
}
