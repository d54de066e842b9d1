/**
 * Keys that cannot be mistaken for one another. Public keys are branded bytes made by the readers here;
 * secret ones are objects that neither print nor compare by `===`.
 *
 * Text forms: hexadecimal on the UAPI socket, padded base64 in wg.conf.
 */

import { equalSecret, toBase64, toHex } from './bytes.ts';
import { BugError } from './errors.ts';

declare const brand: unique symbol;

export const KEY_BYTES = 32;

/** A node's WireGuard public key: 32 bytes. */
export type NodePublic = Uint8Array & { readonly [brand]: 'NodePublic' };

/** @throws BugError unless `bytes` are 32; the result is a copy. */
export function nodePublic(bytes: Uint8Array): NodePublic {
  if (bytes.length !== KEY_BYTES)
    throw new BugError(`a public key is 32 bytes, not ${bytes.length}`);
  return bytes.slice() as NodePublic;
}

/** A key as a Map's key. */
export const keyText = (key: NodePublic): string => toHex(key);

/** Enough of a key to tell it from others in a log. */
export const shortKey = (key: NodePublic): string => toBase64(key).slice(0, 8);

class Secret {
  readonly #bytes: Uint8Array;
  readonly #kind: string;

  /** Keeps a copy of `bytes`, which must be 32. */
  constructor(kind: string, bytes: Uint8Array) {
    if (bytes.length !== KEY_BYTES)
      throw new BugError(`a ${kind} is 32 bytes, not ${bytes.length}`);
    this.#bytes = bytes.slice();
    this.#kind = kind;
    // What `console.log` asks for; without it a secret would show as an empty object, not as its kind.
    Object.defineProperty(this, Symbol.for('nodejs.util.inspect.custom'), {
      value: () => this.toString(),
    });
  }

  /** The bytes themselves; whoever copies them wipes the copy. */
  expose(): Uint8Array {
    return this.#bytes;
  }

  equals(other: Secret): boolean {
    return equalSecret(this.#bytes, other.#bytes);
  }

  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return `[${this.#kind}]`;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** A node's WireGuard private key, clamped by the curve's functions when used. */
export class NodePrivate extends Secret {
  constructor(bytes: Uint8Array) {
    super('node private key', bytes);
  }
}

/** The symmetric key that two WireGuard peers may share besides (the paper, 5.2). */
export class PresharedKey extends Secret {
  constructor(bytes: Uint8Array) {
    super('preshared key', bytes);
  }
}
