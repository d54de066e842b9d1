/**
 * The bulk AEAD by node:crypto, 6 us for a packet of 1,400 bytes: what remains where the symbols of OpenSSL
 * cannot be called. It fits BulkAead of node/dataplane/ports.ts by shape, where the contract stands.
 *
 * node:crypto reads SharedArrayBuffer memory as it reads any other, but hands its results out in arrays of its
 * own, which are copied in place here. A datagram that proves forged is left as it came.
 */

import type { KeyObject } from 'node:crypto';
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';
import { TAG_BYTES } from './aead.ts';

const CIPHER = 'chacha20-poly1305';
const OPTIONS = { authTagLength: TAG_BYTES } as const;
const HEADER_BYTES = 16;
const KEY_BYTES = 32;

class NodeCryptoAead {
  readonly name = 'node-crypto';
  readonly #bytes: Uint8Array;
  readonly #keys = new Map<number, KeyObject>();
  readonly #nonce = new Uint8Array(12);
  readonly #nonceView = new DataView(this.#nonce.buffer);

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  seal(
    keyAt: number,
    slot: number,
    lengthBytes: number,
    counterLow: number,
    counterHigh: number,
  ): void {
    const text = slot + HEADER_BYTES;
    const cipher = createCipheriv(
      CIPHER,
      this.#key(keyAt),
      this.#nonceOf(counterLow, counterHigh),
      OPTIONS,
    );
    this.#bytes.set(cipher.update(this.#bytes.subarray(text, text + lengthBytes)), text);
    cipher.final();
    this.#bytes.set(cipher.getAuthTag(), text + lengthBytes);
  }

  open(
    keyAt: number,
    slot: number,
    lengthBytes: number,
    counterLow: number,
    counterHigh: number,
  ): number {
    const text = slot + HEADER_BYTES;
    const tag = text + lengthBytes;
    const decipher = createDecipheriv(
      CIPHER,
      this.#key(keyAt),
      this.#nonceOf(counterLow, counterHigh),
      OPTIONS,
    );
    decipher.setAuthTag(this.#bytes.subarray(tag, tag + TAG_BYTES));
    const plaintext = decipher.update(this.#bytes.subarray(text, tag));
    try {
      decipher.final();
    } catch {
      return -1;
    }
    this.#bytes.set(plaintext, text);
    return text;
  }

  settle(): void {}

  /** Known at once. */
  forged(): boolean {
    return false;
  }

  startBatch(): void {}

  forget(keyAt: number): void {
    this.#keys.delete(keyAt);
  }

  #key(keyAt: number): KeyObject {
    const known = this.#keys.get(keyAt);
    if (known !== undefined) return known;
    const key = createSecretKey(this.#bytes.subarray(keyAt, keyAt + KEY_BYTES));
    this.#keys.set(keyAt, key);
    return key;
  }

  #nonceOf(counterLow: number, counterHigh: number): Uint8Array {
    this.#nonceView.setUint32(4, counterLow, true);
    this.#nonceView.setUint32(8, counterHigh, true);
    return this.#nonce;
  }
}

/** @param bytes the whole arena, shared or not */
export function nodeCryptoAead(bytes: Uint8Array): NodeCryptoAead {
  return new NodeCryptoAead(bytes);
}

export type { NodeCryptoAead };
