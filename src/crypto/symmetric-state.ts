/**
 * The symmetric state of a Noise handshake (Noise specification, revision 34, 5.2) over X25519,
 * ChaCha20-Poly1305 and BLAKE2s. WireGuard (IKpsk2) and the control protocol (IK) share it.
 *
 *     chaining key   all secrets so far          hash   all bytes so far          key   for the next field
 *
 * In both patterns a new key is mixed in before each sealed field, so a nonce is always zero, and a second
 * field under one key is refused as a bug. The secrets are wiped by `wipe`; a fork is wiped apart.
 */

import { BugError } from '../base/errors.ts';
import { open, seal } from './aead.ts';
import { blake2s, wipeScratch } from './blake2s.ts';
import { kdf } from './hkdf.ts';
import type { OwnKey, PeerKey } from './x25519.ts';

const HASH_BYTES = 32;
const ZERO_NONCE = new Uint8Array(12);
const EMPTY = new Uint8Array(0);
const text = new TextEncoder();

export class SymmetricState {
  readonly #chainingKey: Uint8Array;
  readonly #key: Uint8Array;
  #hash: Uint8Array;
  #keyFresh = false;

  private constructor(chainingKey: Uint8Array, hash: Uint8Array) {
    this.#chainingKey = chainingKey.slice();
    this.#hash = hash;
    this.#key = new Uint8Array(HASH_BYTES);
  }

  static start(protocolName: string, prologue: Uint8Array): SymmetricState {
    const name = text.encode(protocolName);
    const first = new Uint8Array(HASH_BYTES);
    first.set(name.length <= HASH_BYTES ? name : blake2s(name));
    return new SymmetricState(first, blake2s(first, prologue));
  }

  /** A copy, for a message that may prove false without spoiling the handshake. */
  fork(): SymmetricState {
    const copy = new SymmetricState(this.#chainingKey, this.#hash);
    copy.#key.set(this.#key);
    copy.#keyFresh = this.#keyFresh;
    return copy;
  }

  /** The handshake hash so far, 32 bytes. */
  hash(): Uint8Array {
    return this.#hash.slice();
  }

  mixHash(data: Uint8Array): void {
    this.#hash = blake2s(this.#hash, data);
  }

  /** Token `e` of a pattern with a preshared key: hashed, and mixed in as key material besides. */
  mixEphemeral(publicKey: Uint8Array): void {
    this.mixHash(publicKey);
    this.#mixChain(...kdf(this.#chainingKey, publicKey, 1));
  }

  /** @param input a shared secret; the caller's to wipe */
  mixKey(input: Uint8Array): void {
    const [chainingKey, key] = kdf(this.#chainingKey, input, 2);
    this.#mixChain(chainingKey);
    this.#setKey(key);
  }

  /** Mixes in the secret of two keys; false for a peer's key of low order, which makes none. */
  mixDh(own: OwnKey, peer: PeerKey): boolean {
    const secret = own.agree(peer);
    if (secret === undefined) return false;
    this.mixKey(secret);
    secret.fill(0);
    return true;
  }

  mixKeyAndHash(presharedKey: Uint8Array): void {
    const [chainingKey, hashed, key] = kdf(this.#chainingKey, presharedKey, 3);
    this.#mixChain(chainingKey);
    this.mixHash(hashed);
    hashed.fill(0);
    this.#setKey(key);
  }

  sealAndHash(plaintext: Uint8Array): Uint8Array {
    const sealed = seal(this.#takeKey(), ZERO_NONCE, plaintext, this.#hash);
    this.mixHash(sealed);
    return sealed;
  }

  /** The plaintext, or undefined for a forged field, after which the state is of no more use. */
  openAndHash(sealed: Uint8Array): Uint8Array | undefined {
    const plaintext = open(this.#takeKey(), ZERO_NONCE, sealed, this.#hash);
    if (plaintext !== undefined) this.mixHash(sealed);
    return plaintext;
  }

  /** The keys of the session: the initiator sends under the first, and receives under the second. */
  split(): [Uint8Array, Uint8Array] {
    return kdf(this.#chainingKey, EMPTY, 2);
  }

  wipe(): void {
    this.#chainingKey.fill(0);
    this.#key.fill(0);
    this.#keyFresh = false;
    wipeScratch();
  }

  #mixChain(chainingKey: Uint8Array): void {
    this.#chainingKey.set(chainingKey);
    chainingKey.fill(0);
  }

  #setKey(key: Uint8Array): void {
    this.#key.set(key);
    this.#keyFresh = true;
    key.fill(0);
  }

  #takeKey(): Uint8Array {
    if (!this.#keyFresh) throw new BugError('a Noise field needs a key of its own');
    this.#keyFresh = false;
    return this.#key;
  }
}
