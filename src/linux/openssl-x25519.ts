/**
 * X25519 by OpenSSL's inner functions, where this Node exports them: about 30 us a secret, without the key
 * objects that node:crypto wants made first. Optional: crypto/x25519.ts does without.
 *
 * Source: RFC 7748; OpenSSL 3, include/crypto/ecx.h.
 */

import type { Native } from './ffi.ts';
import { block } from './memory.ts';

export interface X25519Fit {
  /** @param secret 32 bytes, clamped when used */
  publicKey(secret: Uint8Array): Uint8Array;
  /** 32 bytes, which the caller wipes; undefined where it would be all zero (a peer's key of low order). */
  sharedSecret(secret: Uint8Array, peer: Uint8Array): Uint8Array | undefined;
}

const KEY_BYTES = 32;

/** The fit, or undefined where this Node has not the functions. One thread uses it. */
export function opensslX25519(native: Native): X25519Fit | undefined {
  const P = 'size_t';
  const agree = native.self.find<(out: number, own: number, peer: number) => number>(
    'ossl_x25519',
    'int',
    [P, P, P],
  );
  const derive = native.self.find<(out: number, own: number) => void>(
    'ossl_x25519_public_from_private',
    'void',
    [P, P],
  );
  if (agree === undefined || derive === undefined) return undefined;
  const { u8, address } = block(native, 3 * KEY_BYTES);
  const outside = address + 2 * KEY_BYTES;
  const result = (): Uint8Array => u8.slice(2 * KEY_BYTES);
  return {
    publicKey: (secret) => {
      u8.set(secret);
      derive(outside, address);
      const key = result();
      u8.fill(0);
      return key;
    },
    sharedSecret: (secret, peer) => {
      u8.set(secret);
      u8.set(peer, KEY_BYTES);
      // OpenSSL answers 0 for an all-zero secret, and looks at all of it before.
      const shared = agree(outside, address, address + KEY_BYTES) === 1 ? result() : undefined;
      u8.fill(0);
      return shared;
    },
  };
}
