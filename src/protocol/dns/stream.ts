/**
 * DNS over TCP: each message behind its length.
 *
 *     length 2 | message | length 2 | message | ...
 *
 * Source: RFC 1035 4.2.2, RFC 7766.
 */

import { concat } from '../../base/bytes.ts';

export function frame(message: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(message.length >> 8, message.length & 0xff), message);
}

/** Bytes of a connection in, whole messages out. Holds at most one message and its length. */
export class Unframer {
  #held: Uint8Array = new Uint8Array(0);

  push(bytes: Uint8Array): Uint8Array[] {
    let rest = this.#held.length === 0 ? bytes : concat(this.#held, bytes);
    const messages: Uint8Array[] = [];
    for (;;) {
      const length = ((rest[0] ?? 0) << 8) | (rest[1] ?? 0);
      if (rest.length < 2 || rest.length < 2 + length) break;
      messages.push(rest.slice(2, 2 + length));
      rest = rest.subarray(2 + length);
    }
    this.#held = rest.slice();
    return messages;
  }
}
