/**
 * The Noise Protocol Framework (revision 34) for the two patterns used here, written down from the
 * specification alone and on @noble alone: slow, whole, and sharing no line with src/.
 *
 *     IK         <- s   ...   -> e, es, s, ss     <- e, ee, se
 *     IKpsk2     <- s   ...   -> e, es, s, ss     <- e, ee, se, psk
 */

import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { x25519 } from '@noble/curves/ed25519.js';
import { blake2s } from '@noble/hashes/blake2.js';
import { extract } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';

type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss' | 'psk';
type Role = 'initiator' | 'responder';

const PATTERNS: Readonly<Record<string, readonly (readonly Token[])[]>> = {
  IK: [
    ['e', 'es', 's', 'ss'],
    ['e', 'ee', 'se'],
  ],
  IKpsk2: [
    ['e', 'es', 's', 'ss'],
    ['e', 'ee', 'se', 'psk'],
  ],
};

/** 5.1: a key and its count of messages. */
export class CipherState {
  #key: Uint8Array | undefined;
  #nonce = 0n;

  constructor(key?: Uint8Array) {
    this.#key = key;
  }

  encrypt(associated: Uint8Array, plaintext: Uint8Array): Uint8Array {
    return this.#key ? this.#cipher(this.#key, associated).encrypt(plaintext) : plaintext;
  }

  /** Throws for a forged one. */
  decrypt(associated: Uint8Array, sealed: Uint8Array): Uint8Array {
    return this.#key ? this.#cipher(this.#key, associated).decrypt(sealed) : sealed;
  }

  #cipher(key: Uint8Array, associated: Uint8Array): ReturnType<typeof chacha20poly1305> {
    const nonce = new Uint8Array(12);
    new DataView(nonce.buffer).setBigUint64(4, this.#nonce++, true);
    return chacha20poly1305(key, nonce, associated);
  }
}

function hkdf(chainingKey: Uint8Array, material: Uint8Array, count: number): Uint8Array[] {
  const secret = extract(blake2s, material, chainingKey);
  const outputs: Uint8Array[] = [];
  for (let i = 1; i <= count; i++)
    outputs.push(hmac(blake2s, secret, Uint8Array.of(...(outputs.at(-1) ?? []), i)));
  return outputs;
}

export interface Party {
  readonly role: Role;
  readonly protocolName: string;
  readonly prologue: Uint8Array;
  readonly staticPrivate: Uint8Array;
  readonly ephemeralPrivate: Uint8Array;
  /** The responder's static key; for a responder it is its own. */
  readonly responderPublic: Uint8Array;
  readonly presharedKey?: Uint8Array;
}

/** 5.2 and 5.3. */
export class HandshakeState {
  readonly #party: Party;
  readonly #patterns: (readonly Token[])[];
  readonly #withPsk: boolean;
  #chainingKey: Uint8Array;
  #hash: Uint8Array;
  #cipher = new CipherState();
  #remoteStatic: Uint8Array | undefined;
  #remoteEphemeral: Uint8Array | undefined;

  constructor(party: Party) {
    this.#party = party;
    const pattern = party.protocolName.split('_')[1] as string;
    this.#patterns = [...(PATTERNS[pattern] as (readonly Token[])[])];
    this.#withPsk = pattern.includes('psk');
    const name = new TextEncoder().encode(party.protocolName);
    this.#hash = name.length > 32 ? blake2s(name) : Uint8Array.from({ ...name, length: 32 });
    this.#chainingKey = this.#hash;
    this.#mixHash(party.prologue);
    this.#mixHash(party.responderPublic);
    if (party.role === 'initiator') this.#remoteStatic = party.responderPublic;
  }

  get hash(): Uint8Array {
    return this.#hash;
  }

  get remoteStatic(): Uint8Array | undefined {
    return this.#remoteStatic;
  }

  write(payload: Uint8Array): Uint8Array {
    const parts: Uint8Array[] = [];
    for (const token of this.#patterns.shift() ?? []) {
      if (token === 'e')
        parts.push(this.#ephemeral(x25519.getPublicKey(this.#party.ephemeralPrivate)));
      else if (token === 's')
        parts.push(this.#encrypt(x25519.getPublicKey(this.#party.staticPrivate)));
      else this.#mixToken(token);
    }
    parts.push(this.#encrypt(payload));
    return Uint8Array.from(parts.flatMap((part) => [...part]));
  }

  /** The payload. Throws for a forged message. */
  read(message: Uint8Array): Uint8Array {
    let at = 0;
    const take = (length: number): Uint8Array => {
      at += length;
      return message.slice(at - length, at);
    };
    for (const token of this.#patterns.shift() ?? []) {
      if (token === 'e') this.#remoteEphemeral = this.#ephemeral(take(32));
      else if (token === 's') this.#remoteStatic = this.#decrypt(take(48));
      else this.#mixToken(token);
    }
    return this.#decrypt(message.slice(at));
  }

  /** The keys of both directions, the initiator's first. */
  split(): [Uint8Array, Uint8Array] {
    return hkdf(this.#chainingKey, new Uint8Array(0), 2) as [Uint8Array, Uint8Array];
  }

  #ephemeral(publicKey: Uint8Array): Uint8Array {
    this.#mixHash(publicKey);
    if (this.#withPsk) this.#mixKey(publicKey);
    return publicKey;
  }

  /** A token of two letters names the initiator's key, then the responder's. */
  #mixToken(token: Token): void {
    const { role, staticPrivate, ephemeralPrivate, presharedKey } = this.#party;
    if (token === 'psk') {
      const [chainingKey, hashed, key] = hkdf(this.#chainingKey, presharedKey as Uint8Array, 3);
      this.#chainingKey = chainingKey as Uint8Array;
      this.#mixHash(hashed as Uint8Array);
      this.#cipher = new CipherState(key);
      return;
    }
    const [mine, theirs] = role === 'initiator' ? token : [...token].reverse();
    this.#mixKey(
      x25519.getSharedSecret(
        mine === 'e' ? ephemeralPrivate : staticPrivate,
        (theirs === 'e' ? this.#remoteEphemeral : this.#remoteStatic) as Uint8Array,
      ),
    );
  }

  #mixHash(data: Uint8Array): void {
    this.#hash = blake2s(Uint8Array.from([...this.#hash, ...data]));
  }

  #mixKey(material: Uint8Array): void {
    const [chainingKey, key] = hkdf(this.#chainingKey, material, 2);
    this.#chainingKey = chainingKey as Uint8Array;
    this.#cipher = new CipherState(key);
  }

  #encrypt(plaintext: Uint8Array): Uint8Array {
    const sealed = this.#cipher.encrypt(this.#hash, plaintext);
    this.#mixHash(sealed);
    return sealed;
  }

  #decrypt(sealed: Uint8Array): Uint8Array {
    const plaintext = this.#cipher.decrypt(this.#hash, sealed);
    this.#mixHash(sealed);
    return plaintext;
  }
}
