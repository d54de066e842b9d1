/**
 * Keys that cannot be mistaken for one another. Public keys are branded bytes made by the readers here;
 * secret ones are objects that neither print nor compare by `===`.
 *
 * Text forms: hexadecimal on the UAPI socket, padded base64 in wg.conf, a prefix and hexadecimal towards the
 * coordination server (protocol/tailcfg/keys.ts).
 */

import { equalSecret, toBase64, toHex } from './bytes.ts';
import { BugError } from './errors.ts';

declare const brand: unique symbol;

export const KEY_BYTES = 32;

/** A node's WireGuard public key: 32 bytes. */
export type NodePublic = Uint8Array & { readonly [brand]: 'NodePublic' };

/** The key by which the coordination server knows a machine, whatever node key it has today: 32 bytes. */
export type MachinePublic = Uint8Array & { readonly [brand]: 'MachinePublic' };

/** The key that a node's path finding messages are sealed for, new with each start: 32 bytes. */
export type DiscoPublic = Uint8Array & { readonly [brand]: 'DiscoPublic' };

/** @throws BugError unless `bytes` are 32; the result is a copy. */
export const nodePublic = (bytes: Uint8Array): NodePublic => publicBytes(bytes) as NodePublic;

/** @throws BugError unless `bytes` are 32; the result is a copy. */
export const machinePublic = (bytes: Uint8Array): MachinePublic =>
  publicBytes(bytes) as MachinePublic;

/** @throws BugError unless `bytes` are 32; the result is a copy. */
export const discoPublic = (bytes: Uint8Array): DiscoPublic => publicBytes(bytes) as DiscoPublic;

function publicBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== KEY_BYTES)
    throw new BugError(`a public key is 32 bytes, not ${bytes.length}`);
  return bytes.slice();
}

/** A key as a Map's key; keys of two kinds do not belong into one Map. */
export const keyText = (key: NodePublic | MachinePublic | DiscoPublic): string => toHex(key);

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

/** A machine's private key: who it is to the coordination server, or the server to its machines. */
export class MachinePrivate extends Secret {
  constructor(bytes: Uint8Array) {
    super('machine private key', bytes);
  }
}

/** The symmetric key that two WireGuard peers may share besides (the paper, 5.2). */
export class PresharedKey extends Secret {
  constructor(bytes: Uint8Array) {
    super('preshared key', bytes);
  }
}
