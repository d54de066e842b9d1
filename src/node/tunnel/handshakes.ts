/**
 * Handshakes: our own key, and what becomes of a datagram that is no transport data.
 *
 *     ring -> classify -> initiation   -> MAC1, load -> responder.ts
 *                         response     -> MAC1, load -> initiator.ts
 *                         cookie reply -> the peer whose message it answers
 *
 * Each datagram has an outcome in words, which is counted. A datagram that proves false changes nothing and,
 * unless its sender could compute MAC1, is answered with nothing. The debug log tells what happened with a
 * peer that we know; a datagram that has proved nothing makes no line.
 */

import { equalBytes } from '../../base/bytes.ts';
import type { Env } from '../../base/env.ts';
import type { NodePrivate, NodePublic } from '../../base/keys.ts';
import { shortKey } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis, seconds } from '../../base/time.ts';
import type { OwnKey, X25519 } from '../../crypto/x25519.ts';
import { ownKey, peerKey } from '../../crypto/x25519.ts';
import { REJECT_AFTER_TIME, REKEY_TIMEOUT } from '../../protocol/wireguard/constants.ts';
import { CookieChecker } from '../../protocol/wireguard/cookie.ts';
import { classify, readCookieReply } from '../../protocol/wireguard/messages.ts';
import { staticSecret } from '../../protocol/wireguard/noise.ts';
import { RateLimit } from '../../protocol/wireguard/rate-limit.ts';
import type { TimerFacts } from '../../protocol/wireguard/timers.ts';
import type { ActivePeers, Marks } from './active.ts';
import { EphemeralKeys } from './ephemeral-keys.ts';
import { Initiator } from './initiator.ts';
import type { Keypairs } from './keypairs.ts';
import type { Peer } from './peer.ts';
import type { TimestampStore } from './ports.ts';
import { Responder } from './responder.ts';
import type { Ways } from './ways.ts';

/** So long after we have a key, the first or another, a peer may not have heard of it, and drops what we begin without a word. */
const KEY_NEW: Millis = seconds(5);
const RETRY_WITH_NEW_KEY: Millis = millis(500);
/** None waits for more than these, some milliseconds. */
const ANSWERS_AT_ONCE = 8;
/** After the last sign of load, cookies are asked for this much longer. */
const LOAD_LINGERS: Millis = seconds(1);

export interface HandshakePorts {
  readonly x25519?: X25519 | undefined;
  readonly keypairs: Keypairs;
  readonly active: ActivePeers;
  readonly timestamps: TimestampStore;
  readonly ways: Ways;
  peer(publicKey: NodePublic): Peer | undefined;
  /** The peer's timers must be asked again. */
  changed(peer: Peer): void;
  /** Done once what was received has been answered: nobody waits for it. */
  afterwards(work: () => void): void;
}

/** What answering needs besides. */
export interface ResponderPorts extends HandshakePorts {
  /** Answers, once the worker knows the keypair that the peer will use then. */
  answer(source: Uint8Array, response: Uint8Array): void;
}

/** What became of handshakes: counted, and told where it concerns a peer. */
export interface Outcomes {
  count(outcome: string): void;
  tell(event: string, peer: Peer): void;
}

/** Our key, while there is one. */
interface Identity {
  readonly privateKey: NodePrivate;
  readonly own: OwnKey;
  readonly checker: CookieChecker;
}

export class Handshakes {
  readonly #env: Env;
  readonly #ports: HandshakePorts;
  readonly #ephemerals: EphemeralKeys;
  readonly #initiator: Initiator;
  readonly #responder: Responder;
  readonly #limit = new RateLimit();
  #identity: Identity | null = null;
  #loadUntil: Millis = millis(0);
  #keyNewUntil: Millis = millis(0);

  #afterwards: (() => void)[] = [];
  #answers: { readonly source: Uint8Array; readonly response: Uint8Array }[] = [];

  /** What happened, by outcome. */
  readonly counts: Map<string, number> = new Map();

  constructor(env: Env, shared: Omit<HandshakePorts, 'afterwards'>) {
    const ports = { ...shared, afterwards: (work: () => void) => void this.#afterwards.push(work) };
    this.#env = env;
    this.#ports = ports;
    this.#ephemerals = new EphemeralKeys(env, ports.x25519);
    const outcomes: Outcomes = {
      count: (outcome) => this.#count(outcome),
      tell: (event, peer) => this.#tell(event, peer),
    };
    const answer = (source: Uint8Array, response: Uint8Array): void => {
      this.#answers.push({ source, response });
    };
    const pause = (): Millis => this.#retryPause();
    this.#initiator = new Initiator(env, ports, outcomes, this.#ephemerals, pause);
    this.#responder = new Responder(env, { ...ports, answer }, outcomes, this.#ephemerals);
  }

  get privateKey(): NodePrivate | null {
    return this.#identity?.privateKey ?? null;
  }

  isOwn(publicKey: NodePublic): boolean {
    return this.#identity !== null && equalBytes(this.#identity.own.publicKey, publicKey);
  }

  /**
   * Takes the key over, and wipes the one before. Peers must be prepared anew.
   *
   * @returns false where it is the same key, and nothing changes
   */
  setPrivateKey(privateKey: NodePrivate | null): boolean {
    const before = this.#identity?.privateKey ?? null;
    if (privateKey === null ? before === null : before?.equals(privateKey) === true) return false;
    before?.wipe();
    this.#identity?.own.wipe();
    if (this.#ports.ways.keysToldLater) this.#keyNewUntil = after(this.#env.now(), KEY_NEW);
    this.#identity = null;
    this.#ephemerals.drop();
    if (privateKey === null) return true;
    const own = ownKey(privateKey.expose(), this.#ports.x25519);
    const checker = new CookieChecker(own.publicKey, (length) => this.#env.random(length));
    this.#identity = { privateKey, own, checker };
    this.#ephemerals.prepare();
    return true;
  }

  #retryPause(): Millis {
    return this.#env.now() < this.#keyNewUntil ? RETRY_WITH_NEW_KEY : REKEY_TIMEOUT;
  }

  /** What is computed once for a peer under the present private key. */
  prepare(peer: Peer): void {
    peer.peering?.staticSecret.fill(0);
    peer.peering = null;
    if (this.#identity === null) return;
    const { own } = this.#identity;
    const theirs = peerKey(peer.publicKey);
    const secret = staticSecret(own, theirs);
    if (secret !== undefined) peer.peering = { own, peer: theirs, staticSecret: secret };
  }

  /** Starts a handshake unless one is under way; false where there is no key or endpoint for it. */
  initiate(peer: Peer): boolean {
    return this.#initiator.initiate(peer);
  }

  /** The first initiation is to wait for no disk. */
  reserveTimestamps(): void {
    this.#initiator.reserve();
  }

  /** No answer in time: another initiation of the same handshake. */
  retry(peer: Peer): void {
    this.#initiator.retry(peer);
  }

  /** No answer for too long. */
  giveUp(peer: Peer): void {
    this.#initiator.abandon(peer);
    peer.gaveUpAt = this.#env.now();
    this.#count('handshake given up');
    this.#tell('given up', peer);
  }

  abandon(peer: Peer): void {
    this.#initiator.abandon(peer);
  }

  /** The peer is removed. */
  forget(peer: Peer): void {
    this.#initiator.abandon(peer);
    peer.peering?.staticSecret.fill(0);
    peer.peering = null;
    peer.presharedKey?.wipe();
  }

  /** The peer has used the keypair that we answered with. */
  confirmed(peer: Peer): void {
    peer.lastHandshake = this.#env.wall();
    this.#count('handshake confirmed');
    this.#tell('confirmed', peer);
    this.#ports.changed(peer);
  }

  facts(peer: Peer): Omit<TimerFacts, keyof Marks> {
    const age = this.#env.now() - peer.lastKeypairAt;
    return {
      handshake: peer.handshake,
      gaveUpAt: peer.gaveUpAt,
      lastKeypairAt: peer.lastKeypairAt,
      hasKeypair: peer.lastKeypairAt > 0 && age < REJECT_AFTER_TIME,
      persistentKeepalive: seconds(peer.persistentKeepaliveSeconds),
      jitter: peer.jitter,
    };
  }

  /** The ring fills faster than it is emptied. */
  busy(): void {
    this.#loadUntil = after(this.#env.now(), LOAD_LINGERS);
  }

  /** `flush` must follow the last of several. @param source 28 bytes of sockaddr */
  receive(datagram: Uint8Array, source: Uint8Array): void {
    this.#count(this.#outcome(datagram, source));
    if (this.#answers.length === ANSWERS_AT_ONCE) this.flush();
  }

  receiveAlone(datagram: Uint8Array, source: Uint8Array): void {
    this.receive(datagram, source);
    this.flush();
  }

  /** Sends the answers to what was received, after one message to the worker for all of them. */
  flush(): void {
    if (this.#afterwards.length === 0) return;
    const [answers, afterwards] = [this.#answers, this.#afterwards];
    [this.#answers, this.#afterwards] = [[], []];
    this.#ports.keypairs.announce();
    for (const { source, response } of answers) this.#ports.ways.answer(source, response);
    for (const work of afterwards) work();
  }

  close(): void {
    this.setPrivateKey(null);
  }

  #outcome(datagram: Uint8Array, source: Uint8Array): string {
    const identity = this.#identity;
    if (identity === null) return 'handshake: no private key';
    const type = classify(datagram);
    switch (type) {
      case 'initiation':
        return (
          this.#refusal(identity, datagram, source) ??
          this.#responder.answer(identity.own, datagram, source)
        );
      case 'response':
        return (
          this.#refusal(identity, datagram, source) ?? this.#initiator.finish(datagram, source)
        );
      case 'cookie reply':
        return this.#cookieReply(datagram);
      case 'transport':
        return 'wireguard: unknown type';
      default:
        return type;
    }
  }

  /** MAC1, and under load the cookie and the sender's share of our time; undefined where all is well. */
  #refusal({ checker }: Identity, datagram: Uint8Array, source: Uint8Array): string | undefined {
    const now = this.#env.now();
    if (!checker.mac1Fits(datagram)) return 'handshake: wrong MAC1';
    if (now >= this.#loadUntil) return undefined;
    if (!checker.mac2Fits(datagram, source, now)) {
      this.#ports.ways.answer(source, checker.reply(datagram, source, now));
      return 'handshake: cookie asked for';
    }
    return this.#limit.allow(source, now) ? undefined : 'handshake: too many from one address';
  }

  #cookieReply(datagram: Uint8Array): string {
    const message = readCookieReply(datagram);
    if (typeof message === 'string') return message;
    const { keypairs, active } = this.#ports;
    const peer =
      this.#initiator.waiting(message.receiver) ?? active.at(keypairs.peerSlot(message.receiver));
    if (peer === undefined) return 'cookie: not asked for';
    const drop = peer.cookies.takeReply(datagram, this.#env.now());
    if (drop !== undefined) return drop;
    this.#tell('cookie taken', peer);
    return 'cookie taken';
  }

  #tell(event: string, peer: Peer): void {
    this.#env.log.debug(`handshake: ${event}`, { peer: shortKey(peer.publicKey) });
  }

  #count(outcome: string): void {
    this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1);
  }
}
