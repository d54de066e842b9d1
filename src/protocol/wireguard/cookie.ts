/**
 * MACs and cookies (the paper, 5.3 and 5.4.4 to 5.4.7). mac1 proves that the sender knows whom it calls;
 * mac2, asked for only under load, that it can be reached at its source address.
 *
 *     mac1     MAC(HASH("mac1----", the receiver's public key), message before mac1)
 *     mac2     MAC(cookie, message before mac2), zeros without a cookie
 *     cookie   MAC(secret of these two minutes, source sockaddr)
 *     reply    the cookie, sealed with HASH("cookie--", the receiver's public key) for the mac1 it answers
 *
 * The responder keeps nothing for each asker: cookies are made anew from its secret. A secret lives for two
 * minutes and so does a cookie, by the clocks of both ends.
 */

import { equalSecret } from '../../base/bytes.ts';
import { SOCKADDR_BYTES } from '../../base/endpoint.ts';
import { BugError } from '../../base/errors.ts';
import { KEY_BYTES } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import { Blake2sMac, blake2s } from '../../crypto/blake2s.ts';
import { XNONCE_BYTES, xopen, xseal } from '../../crypto/xchacha.ts';
import { COOKIE_TIME } from './constants.ts';
import { MAC_BYTES, readCookieReply, senderIndex, writeCookieReply } from './messages.ts';

export type CookieDrop =
  | 'cookie: malformed'
  /** We have sent nothing that it could answer. */
  | 'cookie: not asked for'
  | 'cookie: forged';

const text = new TextEncoder();
const MAC1_LABEL = text.encode('mac1----');
const COOKIE_LABEL = text.encode('cookie--');

const mac1At = (message: Uint8Array): number => message.length - 2 * MAC_BYTES;
const mac2At = (message: Uint8Array): number => message.length - MAC_BYTES;

/** Judges the handshake messages that come to us. `message` is a whole initiation or response throughout. */
export class CookieChecker {
  readonly #mac1: Blake2sMac;
  readonly #sealingKey: Uint8Array;
  readonly #random: (lengthBytes: number) => Uint8Array;
  #secret: { readonly mac: Blake2sMac; readonly madeAt: Millis } | undefined;

  /** @param random unpredictable bytes */
  constructor(ownPublic: Uint8Array, random: (lengthBytes: number) => Uint8Array) {
    this.#mac1 = new Blake2sMac(blake2s(MAC1_LABEL, ownPublic), MAC_BYTES);
    this.#sealingKey = blake2s(COOKIE_LABEL, ownPublic);
    this.#random = random;
  }

  mac1Fits(message: Uint8Array): boolean {
    const at = mac1At(message);
    return equalSecret(
      this.#mac1.of(message.subarray(0, at)),
      message.subarray(at, at + MAC_BYTES),
    );
  }

  /** @param sockaddr where the message came from: 28 bytes, unused ones zero */
  mac2Fits(message: Uint8Array, sockaddr: Uint8Array, now: Millis): boolean {
    const at = mac2At(message);
    const mac = new Blake2sMac(this.#cookie(sockaddr, now), MAC_BYTES);
    return equalSecret(mac.of(message.subarray(0, at)), message.subarray(at));
  }

  /** The cookie reply to a message whose mac1 fits; 64 bytes, so never longer than what it answers. */
  reply(message: Uint8Array, sockaddr: Uint8Array, now: Millis): Uint8Array {
    const nonce = this.#random(XNONCE_BYTES);
    const mac1 = message.subarray(mac1At(message), mac2At(message));
    return writeCookieReply({
      receiver: senderIndex(message),
      nonce,
      sealedCookie: xseal(this.#sealingKey, nonce, this.#cookie(sockaddr, now), mac1),
    });
  }

  #cookie(sockaddr: Uint8Array, now: Millis): Uint8Array {
    if (sockaddr.length !== SOCKADDR_BYTES)
      throw new BugError(`a sockaddr is ${SOCKADDR_BYTES} bytes, not ${sockaddr.length}`);
    if (this.#secret === undefined || now - this.#secret.madeAt >= COOKIE_TIME) {
      const bytes = this.#random(KEY_BYTES);
      this.#secret?.mac.wipe();
      this.#secret = { mac: new Blake2sMac(bytes, MAC_BYTES), madeAt: now };
      bytes.fill(0);
    }
    return this.#secret.mac.of(sockaddr);
  }
}

/** Signs our handshake messages to one peer, and keeps the cookie it may send back. */
export class CookieGenerator {
  readonly #mac1: Blake2sMac;
  readonly #sealingKey: Uint8Array;
  #lastMac1: Uint8Array | undefined;
  #cookie: { readonly mac: Blake2sMac; readonly takenAt: Millis } | undefined;

  constructor(peerPublic: Uint8Array) {
    this.#mac1 = new Blake2sMac(blake2s(MAC1_LABEL, peerPublic), MAC_BYTES);
    this.#sealingKey = blake2s(COOKIE_LABEL, peerPublic);
  }

  /** Fills in the last 32 bytes of an initiation or a response. */
  addMacs(message: Uint8Array, now: Millis): void {
    const at = mac1At(message);
    this.#lastMac1 = this.#mac1.of(message.subarray(0, at));
    message.set(this.#lastMac1, at);
    message.fill(0, mac2At(message));
    if (this.#cookie === undefined || now - this.#cookie.takenAt >= COOKIE_TIME) return;
    message.set(this.#cookie.mac.of(message.subarray(0, mac2At(message))), mac2At(message));
  }

  /**
   * Takes a cookie reply; messages carry its mac2 from now on. It is no sign of life and makes nothing be
   * sent: the handshake is tried again at its own time.
   *
   * @returns undefined where it was good
   */
  takeReply(datagram: Uint8Array, now: Millis): CookieDrop | undefined {
    const reply = readCookieReply(datagram);
    if (typeof reply === 'string') return 'cookie: malformed';
    if (this.#lastMac1 === undefined) return 'cookie: not asked for';
    const cookie = xopen(this.#sealingKey, reply.nonce, reply.sealedCookie, this.#lastMac1);
    if (cookie === undefined) return 'cookie: forged';
    this.#cookie?.mac.wipe();
    this.#cookie = { mac: new Blake2sMac(cookie, MAC_BYTES), takenAt: now };
    return undefined;
  }
}
