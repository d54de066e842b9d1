/**
 * ChaCha20-Poly1305 (RFC 8439) for one message at a time, with associated data: handshakes. 5 us for 32 bytes.
 * Packets go through a BulkAead instead.
 */

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concat, plainBytes } from '../base/bytes.ts';

export const TAG_BYTES = 16;

const CIPHER = 'chacha20-poly1305';

/** @returns ciphertext and tag */
export function seal(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  associated: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associated, { plaintextLength: plaintext.length });
  return concat(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
}

/** The plaintext, or undefined for a forged or too short message. */
export function open(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  associated: Uint8Array,
): Uint8Array | undefined {
  const textBytes = sealed.length - TAG_BYTES;
  if (textBytes < 0) return undefined;
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(associated, { plaintextLength: textBytes });
  decipher.setAuthTag(sealed.subarray(textBytes));
  const plaintext = decipher.update(sealed.subarray(0, textBytes));
  try {
    // The tag is compared here, in constant time; a wrong one throws.
    decipher.final();
  } catch {
    plaintext.fill(0);
    return undefined;
  }
  return plainBytes(plaintext);
}
