/**
 * X25519 (RFC 7748), by functions that fit where there are some (linux/openssl-x25519.ts), else on key objects of
 * node:crypto. In us on one core, warm and after the processor's caches held something else:
 *
 *                        fitted      key objects     @noble/curves
 *     a shared secret    46   70      43   172        2,000
 *     an own pair        39   73      51   246          300
 *     a peer's key        -    -       5   126            -
 *
 * The second figure is what a first contact pays. Key objects are made once: an own pair's for its life, a peer's for
 * as long as one asks for more than one secret with it.
 *
 * A point of low order makes the secret all zero, whatever the own key is; that is no secret, and no result.
 */

import type { KeyObject } from 'node:crypto';
import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import { isZero, plainBytes, toHex } from '../base/bytes.ts';
import { BugError } from '../base/errors.ts';

const KIND = { asymmetricKeyType: 'x25519' } as const;

/** Functions of one thread. */
export interface X25519 {
  /** 32 bytes. @param secret 32 bytes, clamped when used */
  publicKey(secret: Uint8Array): Uint8Array;
  /** 32 bytes, which the caller wipes; undefined where it would be all zero. */
  sharedSecret(secret: Uint8Array, peer: Uint8Array): Uint8Array | undefined;
}

/** An own pair. */
export interface OwnKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 32 bytes, which the caller wipes; undefined for a peer's key of low order. */
  agree(peer: PeerKey): Uint8Array | undefined;
  /** The private half is of no use any more. OpenSSL clears one that it holds when the object is collected. */
  wipe(): void;
}

/** Someone else's public key. */
export interface PeerKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly handle: KeyObject;
}

class FittedOwn implements OwnKey {
  readonly publicKey: Uint8Array;
  readonly #by: X25519;
  #secret: Uint8Array | null;

  constructor(secret: Uint8Array, by: X25519) {
    this.#by = by;
    this.#secret = secret.slice();
    this.publicKey = by.publicKey(secret);
  }

  agree({ publicKey }: PeerKey): Uint8Array | undefined {
    if (this.#secret === null) throw new BugError('a wiped key is used');
    const secret = this.#by.sharedSecret(this.#secret, publicKey);
    return secret === undefined || isZero(secret) ? undefined : secret;
  }

  wipe(): void {
    this.#secret?.fill(0);
    this.#secret = null;
  }
}

class ObjectOwn implements OwnKey {
  readonly publicKey: Uint8Array;
  #handle: KeyObject | null;

  constructor(secret: Uint8Array) {
    this.#handle = createPrivateKey({ key: secret, format: 'raw-private', ...KIND });
    const exported = createPublicKey(this.#handle).export({ format: 'raw-public' });
    this.publicKey = Uint8Array.from(exported);
  }

  agree(peer: PeerKey): Uint8Array | undefined {
    if (this.#handle === null) throw new BugError('a wiped key is used');
    let secret: Uint8Array;
    try {
      secret = plainBytes(diffieHellman({ privateKey: this.#handle, publicKey: peer.handle }));
    } catch {
      // OpenSSL refuses the all-zero result itself.
      return undefined;
    }
    return isZero(secret) ? undefined : secret;
  }

  wipe(): void {
    this.#handle = null;
  }
}

class Peer implements PeerKey {
  readonly publicKey: Uint8Array;
  #handle: KeyObject | undefined;

  constructor(publicKey: Uint8Array) {
    this.publicKey = Uint8Array.from(publicKey);
  }

  get handle(): KeyObject {
    this.#handle ??= createPublicKey({ key: this.publicKey, format: 'raw-public', ...KIND });
    return this.#handle;
  }
}

/** @param secret 32 bytes, clamped when used; copied, so that the caller can wipe them */
export function ownKey(secret: Uint8Array, by?: X25519): OwnKey {
  return by === undefined ? new ObjectOwn(secret) : new FittedOwn(secret, by);
}

/** The same for an ephemeral pair, whose bytes nobody else keeps: they are wiped. */
export function takeOwnKey(secret: Uint8Array, by?: X25519): OwnKey {
  const pair = ownKey(secret, by);
  secret.fill(0);
  return pair;
}

/** @param publicKey 32 bytes, copied; any 32 bytes are a key, also a bad one */
export function peerKey(publicKey: Uint8Array): PeerKey {
  return new Peer(publicKey);
}

/** RFC 7748 6.1. */
const KNOWN = {
  secret: '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a',
  publicKey: '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
  otherSecret: '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb',
  shared: '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742',
} as const;
const LOW_ORDER = new Uint8Array(32);

/** Whether functions found by name, in a library that promises nothing about them, are what they are taken for. */
export function isX25519({ publicKey, sharedSecret }: X25519): boolean {
  const [secret, other] = [bytes(KNOWN.secret), bytes(KNOWN.otherSecret)];
  const point = publicKey(secret);
  const shared = sharedSecret(other, point);
  return (
    toHex(point) === KNOWN.publicKey &&
    shared !== undefined &&
    toHex(shared) === KNOWN.shared &&
    sharedSecret(secret, LOW_ORDER) === undefined
  );
}

const bytes = (text: string): Uint8Array => Uint8Array.fromHex(text);
