/**
 * HKDF (RFC 5869) over HMAC-BLAKE2s, without info: KDF1 to KDF3 of the WireGuard paper (5.4), and HKDF of the
 * Noise specification (4.3).
 *
 *     secret = HMAC(key, input)   T1 = HMAC(secret, 1)   T2 = HMAC(secret, T1 | 2)   T3 = HMAC(secret, T2 | 3)
 */

import { hmac } from './blake2s.ts';

/**
 * The first `count` outputs, 32 bytes each.
 *
 * @param key the chaining key, 32 bytes
 * @param input of any length, also empty
 */
export function kdf(key: Uint8Array, input: Uint8Array, count: 1): [Uint8Array];
export function kdf(key: Uint8Array, input: Uint8Array, count: 2): [Uint8Array, Uint8Array];
export function kdf(
  key: Uint8Array,
  input: Uint8Array,
  count: 3,
): [Uint8Array, Uint8Array, Uint8Array];
export function kdf(key: Uint8Array, input: Uint8Array, count: number): Uint8Array[] {
  const secret = hmac(key, input);
  const outputs: Uint8Array[] = [];
  let previous: Uint8Array = new Uint8Array(0);
  for (let i = 1; i <= count; i++) {
    previous = hmac(secret, previous, Uint8Array.of(i));
    outputs.push(previous);
  }
  secret.fill(0);
  return outputs;
}
