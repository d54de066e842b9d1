/**
 * Bulk ChaCha20-Poly1305 by OpenSSL's public interface (EVP), of the Node binary or of a libcrypto.so.3 beside
 * it; 4 calls and 1.3 us for 1,424 bytes, since OpenSSL then starts ChaCha three times a packet.
 *
 * One context for each direction; each remembers whose key it was given last, and takes the next one when
 * another place is named (0.2 us more) or that place was forgotten. Both directions work in place.
 *
 *     scratch   nonce 16 | out-length 16 | OSSL_PARAM 40, end 40 | "tag"
 *
 * Fits BulkAead of node/dataplane/ports.ts, where the contract stands; the known-answer test of crypto/ comes
 * before the first packet.
 *
 * Source: OpenSSL 3, EVP_EncryptInit(3), OSSL_PARAM(3).
 */

import { BugError } from '../base/errors.ts';
import type { Library, Native } from './ffi.ts';
import type { SharedMemory } from './memory.ts';
import { store64 } from './memory.ts';

export interface EvpPlaces {
  /** 4 KiB of this fit's own, a multiple of 64. */
  readonly scratch: number;
}

/** Whose OpenSSL: that in Node, or the system's shared library. */
export type EvpSource = 'node' | 'system';

const SYSTEM_LIBRARY = 'libcrypto.so.3';

/** The fit, or undefined where `source` has not all of its functions. */
export function evpAead(
  native: Native,
  arena: SharedMemory,
  places: EvpPlaces,
  source: EvpSource = 'node',
): EvpAead | undefined {
  const library = source === 'node' ? native.self : native.deepLibrary(SYSTEM_LIBRARY);
  const functions = library && findEvp(library);
  return functions && new EvpAead(functions, native.addressOf(arena.memory.buffer), arena, places);
}

export type { EvpAead };

const HEADER_BYTES = 16;
const TAG_BYTES = 16;

const NONCE = 0;
const OUT_LENGTH = 16;
const PARAMS = 32;
const PARAM_NAME = 112;
const SCRATCH_USED_BYTES = 128;

/** OSSL_PARAM, 40 bytes: key, data type, data, size of data, size returned. */
const PARAM = { key: 0, type: 8, data: 16, size: 24 } as const;
const OSSL_PARAM_OCTET_STRING = 5;
const EVP_CTRL_AEAD_GET_TAG = 0x10;

interface EvpFunctions {
  cipher(): number;
  newContext(): number;
  freeContext(context: number): void;
  reset(context: number): number;
  encryptInit(context: number, cipher: number, engine: number, key: number, iv: number): number;
  encryptUpdate(
    context: number,
    out: number,
    outBytes: number,
    from: number,
    bytes: number,
  ): number;
  encryptFinal(context: number, out: number, outBytes: number): number;
  control(context: number, command: number, bytes: number, to: number): number;
  decryptInit(context: number, cipher: number, key: number, iv: number, params: number): number;
  decryptUpdate(
    context: number,
    out: number,
    outBytes: number,
    from: number,
    bytes: number,
  ): number;
  decryptFinal(context: number, out: number, outBytes: number): number;
}

function findEvp(library: Library): EvpFunctions | undefined {
  const P = 'size_t';
  const update = [P, P, P, P, 'int'] as const;
  const five = [P, P, P, P, P] as const;
  const found = {
    cipher: library.find('EVP_chacha20_poly1305', P, []),
    newContext: library.find('EVP_CIPHER_CTX_new', P, []),
    freeContext: library.find('EVP_CIPHER_CTX_free', 'void', [P]),
    reset: library.find('EVP_CIPHER_CTX_reset', 'int', [P]),
    encryptInit: library.find('EVP_EncryptInit_ex', 'int', five),
    encryptUpdate: library.find('EVP_EncryptUpdate', 'int', update),
    encryptFinal: library.find('EVP_EncryptFinal_ex', 'int', [P, P, P]),
    control: library.find('EVP_CIPHER_CTX_ctrl', 'int', [P, 'int', 'int', P]),
    decryptInit: library.find('EVP_DecryptInit_ex2', 'int', five),
    decryptUpdate: library.find('EVP_DecryptUpdate', 'int', update),
    decryptFinal: library.find('EVP_DecryptFinal_ex', 'int', [P, P, P]),
  };
  return Object.values(found).includes(undefined) ? undefined : (found as unknown as EvpFunctions);
}

/** No place of the arena: its first 1,024 bytes belong to nobody. */
const NO_KEY = 0;

class EvpAead {
  readonly name = 'openssl-evp';
  readonly #f: EvpFunctions;
  readonly #base: number;
  readonly #u32: Uint32Array;
  readonly #scratch: number;
  readonly #cipher: number;
  readonly #sealing: number;
  readonly #opening: number;
  #sealingKey = NO_KEY;
  #openingKey = NO_KEY;

  constructor(f: EvpFunctions, base: number, arena: SharedMemory, places: EvpPlaces) {
    this.#f = f;
    this.#base = base;
    this.#u32 = arena.u32;
    this.#scratch = places.scratch;
    this.#cipher = f.cipher();
    this.#sealing = f.newContext();
    this.#opening = f.newContext();
    this.#prepareParams(arena.u8);
  }

  #prepareParams(u8: Uint8Array): void {
    const at = this.#scratch;
    u8.fill(0, at, at + SCRATCH_USED_BYTES);
    u8.set(new TextEncoder().encode('tag'), at + PARAM_NAME);
    store64(this.#u32, at + PARAMS + PARAM.key, this.#base + at + PARAM_NAME);
    this.#u32[(at + PARAMS + PARAM.type) >> 2] = OSSL_PARAM_OCTET_STRING;
    store64(this.#u32, at + PARAMS + PARAM.size, TAG_BYTES);
  }

  seal(keyAt: number, slot: number, lengthBytes: number, low: number, high: number): void {
    const f = this.#f;
    const context = this.#sealing;
    const nonce = this.#nonce(low, high);
    const same = this.#sealingKey === keyAt;
    const key = same ? 0 : this.#base + keyAt;
    const begun = f.encryptInit(context, same ? 0 : this.#cipher, 0, key, nonce);
    this.#sealingKey = keyAt;
    const text = this.#base + slot + HEADER_BYTES;
    const outLength = this.#base + this.#scratch + OUT_LENGTH;
    const tag = text + lengthBytes;
    const done =
      begun === 1 &&
      (lengthBytes === 0 || f.encryptUpdate(context, text, outLength, text, lengthBytes) === 1) &&
      f.encryptFinal(context, tag, outLength) === 1 &&
      f.control(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) === 1;
    // Were it to go on, a plaintext might leave as it is.
    if (!done) throw new BugError('openssl: sealing failed');
  }

  open(keyAt: number, slot: number, lengthBytes: number, low: number, high: number): number {
    const f = this.#f;
    const context = this.#opening;
    const nonce = this.#nonce(low, high);
    const params = this.#scratch + PARAMS;
    const text = this.#base + slot + HEADER_BYTES;
    store64(this.#u32, params + PARAM.data, text + lengthBytes);
    const same = this.#openingKey === keyAt;
    const key = same ? 0 : this.#base + keyAt;
    const begun = f.decryptInit(context, same ? 0 : this.#cipher, key, nonce, this.#base + params);
    this.#openingKey = keyAt;
    const outLength = this.#base + this.#scratch + OUT_LENGTH;
    const genuine =
      begun === 1 &&
      (lengthBytes === 0 || f.decryptUpdate(context, text, outLength, text, lengthBytes) === 1) &&
      f.decryptFinal(context, outLength, outLength) === 1;
    return genuine ? slot + HEADER_BYTES : -1;
  }

  settle(): void {}

  /** Known at once. */
  forged(): boolean {
    return false;
  }

  startBatch(): void {}

  forget(keyAt: number): void {
    if (this.#sealingKey === keyAt) {
      this.#f.reset(this.#sealing);
      this.#sealingKey = NO_KEY;
    }
    if (this.#openingKey === keyAt) {
      this.#f.reset(this.#opening);
      this.#openingKey = NO_KEY;
    }
  }

  /** Frees the contexts and the keys in them; nothing may be called after. */
  close(): void {
    this.#f.freeContext(this.#sealing);
    this.#f.freeContext(this.#opening);
  }

  #nonce(low: number, high: number): number {
    const at = this.#scratch + NONCE;
    this.#u32[at >> 2] = 0;
    this.#u32[(at >> 2) + 1] = low;
    this.#u32[(at >> 2) + 2] = high;
    return this.#base + at;
  }
}
