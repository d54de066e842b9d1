/** A record by @noble and bigint, from the layout alone: what Sealer and Opener are held against. */

import { chacha20poly1305 } from '@noble/ciphers/chacha.js';

export function naiveRecord(key: Uint8Array, text: Uint8Array, count: bigint): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, count, false);
  const sealed = chacha20poly1305(key, nonce).encrypt(text);
  return Uint8Array.from([4, sealed.length >> 8, sealed.length & 0xff, ...sealed]);
}
