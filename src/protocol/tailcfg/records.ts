/**
 * The record layer behind the ts2021 handshake: what HTTP/2 runs over.
 *
 *     04 | ciphertext length 2, big endian | ciphertext, its last 16 bytes the tag       4096 bytes at most
 *
 *     nonce   zeros 4 | count of records 8, BIG endian (the Noise specification has it little endian)
 *
 * There is no associated data. A record without text is legal and says nothing. Records count from 0 under a
 * key that lives as long as its connection, and 2^53 of them are more than any connection carries.
 *
 * Whoever sends one false record has broken the connection: an Opener that gave a reason gives it for ever.
 */

import { open, seal, TAG_BYTES } from '../../crypto/aead.ts';

export const MAX_RECORD_BYTES = 4096;
export const RECORD_HEADER_BYTES = 3;
/** Text of a full record: 4077 bytes. */
export const MAX_RECORD_TEXT: number = MAX_RECORD_BYTES - RECORD_HEADER_BYTES - TAG_BYTES;

const RECORD_TYPE = 4;
const EMPTY = new Uint8Array(0);

export type RecordDrop = 'record: unknown type' | 'record: wrong length' | 'record: forged';

/** One direction's key and its count. */
class Counted {
  readonly key: Uint8Array;
  readonly #nonce: Uint8Array = new Uint8Array(12);
  readonly #view: DataView = new DataView(this.#nonce.buffer);
  #count = 0;

  constructor(key: Uint8Array) {
    this.key = key.slice();
  }

  /** Good until the next call. */
  nextNonce(): Uint8Array {
    this.#view.setUint32(4, Math.floor(this.#count / 2 ** 32));
    this.#view.setUint32(8, this.#count % 2 ** 32);
    this.#count++;
    return this.#nonce;
  }
}

/** The sending side of a connection. */
export class Sealer {
  readonly #counted: Counted;

  /** @param key 32 bytes, copied */
  constructor(key: Uint8Array) {
    this.#counted = new Counted(key);
  }

  /** The records that carry `text`, in one array for one write; none for no text. */
  seal(text: Uint8Array): Uint8Array {
    const records = Math.ceil(text.length / MAX_RECORD_TEXT);
    const out = new Uint8Array(text.length + records * (RECORD_HEADER_BYTES + TAG_BYTES));
    let at = 0;
    for (let from = 0; from < text.length; from += MAX_RECORD_TEXT) {
      const part = text.subarray(from, from + MAX_RECORD_TEXT);
      const sealed = seal(this.#counted.key, this.#counted.nextNonce(), part, EMPTY);
      out[at] = RECORD_TYPE;
      out[at + 1] = sealed.length >> 8;
      out[at + 2] = sealed.length & 0xff;
      out.set(sealed, at + RECORD_HEADER_BYTES);
      at += RECORD_HEADER_BYTES + sealed.length;
    }
    return out;
  }

  wipe(): void {
    this.#counted.key.fill(0);
  }
}

/** The receiving side: takes the stream as it comes, and keeps less than one record of it. */
export class Opener {
  readonly #counted: Counted;
  /** Room for one record, while a part of one is held: most come whole, and there may be thousands of us. */
  #held: Uint8Array = EMPTY;
  #heldBytes = 0;
  #broken: RecordDrop | undefined;

  /** @param key 32 bytes, copied */
  constructor(key: Uint8Array) {
    this.#counted = new Counted(key);
  }

  /**
   * The texts of the records that `chunk` completes, in order and none of them empty; or the reason to end the
   * connection, and then nothing of this chunk is used. The caller may do with `chunk` what it likes after.
   */
  push(chunk: Uint8Array): readonly Uint8Array[] | RecordDrop {
    if (this.#broken !== undefined) return this.#broken;
    const texts: Uint8Array[] = [];
    let at = 0;
    while (at < chunk.length) {
      let record = chunk.subarray(at);
      const whole = this.#heldBytes === 0 ? recordLength(record) : undefined;
      if (typeof whole === 'number' && whole <= record.length) {
        // The usual case, opened where it lies.
        record = record.subarray(0, whole);
        at += whole;
      } else {
        at += this.#hold(record);
        record = this.#held.subarray(0, this.#heldBytes);
      }
      const length = recordLength(record);
      if (typeof length === 'string') return this.#breakOff(length);
      if (length !== record.length) continue;
      this.#heldBytes = 0;
      this.#held = EMPTY;
      const text = this.#open(record.subarray(RECORD_HEADER_BYTES));
      if (text === undefined) return this.#breakOff('record: forged');
      if (text.length > 0) texts.push(text);
    }
    return texts;
  }

  wipe(): void {
    this.#counted.key.fill(0);
    this.#held.fill(0);
    this.#heldBytes = 0;
  }

  /** Keeps as much of `bytes` as completes the header that is held, or else its record; at least one byte. */
  #hold(bytes: Uint8Array): number {
    if (this.#heldBytes === 0) this.#held = new Uint8Array(MAX_RECORD_BYTES);
    const length = recordLength(this.#held.subarray(0, this.#heldBytes));
    const want = typeof length === 'number' ? length : RECORD_HEADER_BYTES;
    const part = bytes.subarray(0, want - this.#heldBytes);
    this.#held.set(part, this.#heldBytes);
    this.#heldBytes += part.length;
    return part.length;
  }

  #open(sealed: Uint8Array): Uint8Array | undefined {
    return open(this.#counted.key, this.#counted.nextNonce(), sealed, EMPTY);
  }

  #breakOff(reason: RecordDrop): RecordDrop {
    this.#broken = reason;
    this.wipe();
    return reason;
  }
}

/** Bytes of the record that begins here, header and all; undefined where its header is not whole. */
function recordLength(bytes: Uint8Array): number | undefined | RecordDrop {
  if (bytes.length > 0 && bytes[0] !== RECORD_TYPE) return 'record: unknown type';
  if (bytes.length < RECORD_HEADER_BYTES) return undefined;
  const length = ((bytes[1] as number) << 8) | (bytes[2] as number);
  if (length < TAG_BYTES || length > MAX_RECORD_BYTES - RECORD_HEADER_BYTES)
    return 'record: wrong length';
  return RECORD_HEADER_BYTES + length;
}
