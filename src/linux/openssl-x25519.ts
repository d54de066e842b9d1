/**
 * X25519 by OpenSSL's inner functions, where this Node exports them: without the key objects that node:crypto
 * wants made first. Handshakes are computed by it once it has passed the test of crypto/x25519.ts, which does without too.
 *
 * Source: RFC 7748; OpenSSL 3, include/crypto/ecx.h.
 */

import type { X25519 } from '../crypto/x25519.ts';
import type { Native } from './ffi.ts';
import { block } from './memory.ts';

const KEY_BYTES = 32;

/** The fit, or undefined where this Node has not the functions. One thread uses it. */
export function opensslX25519(native: Native): X25519 | undefined {
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
