/**
 * A relay's client: what comes on its connection, from the answer to the upgrade on.
 *
 *     head --101--> server key --ServerKey, ClientInfo sent--> server info --ServerInfo--> joined
 *       |               |                                          |                          |
 *       +---------------+------------------------------------------+--------------------------+--> broken
 *
 *     joined:   RecvPacket   packet(source, datagram)
 *               PeerGone     gone(peer, reason)
 *               Ping         its 8 bytes are to be sent back
 *               Pong, Health, Restarting   handed on
 *               KeepAlive    nothing: to have come is what it is for
 *               others       counted
 *
 * Bytes in, calls out; whoever has the connection sends what `write` asks for. A relay that breaks the rules is
 * named by a fault and the connection is useless then. Nothing that comes makes it throw.
 *
 * Source: the open Tailscale protocol.
 */

import type { NodePublic } from '../../base/keys.ts';
import { nodePublic } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import { millis } from '../../base/time.ts';
import type { OwnKey } from '../../crypto/x25519.ts';
import { PACKET_AT, pong } from './client-frames.ts';
import type { AnswerDrop } from './client-upgrade.ts';
import { AnswerHead, SWITCHING_PROTOCOLS } from './client-upgrade.ts';
import { FRAME, GONE, HEADER_BYTES, KEY_BYTES, MAX_PACKET_BYTES, PING_BYTES } from './constants.ts';
import { FrameCutter, payloadBytes } from './frames.ts';
import type { GreetingDrop } from './greeting.ts';
import { clientInfo, readServerInfo, readServerKey } from './greeting.ts';

/** Why the connection is of no use any more; each is a counter. */
export type ClientFault =
  | GreetingDrop
  | AnswerDrop
  | 'derp: upgrade refused'
  | 'derp: frame too long'
  | 'derp: frame malformed';

export type GoneReason = 'disconnected' | 'not here';

export interface DerpClientEvents {
  /** To be sent, in the order of the calls. */
  write(bytes: Uint8Array): void;
  joined(): void;
  /**
   * @param source the same object for the same key, mostly
   * @param datagram valid during the call alone
   */
  packet(source: NodePublic, datagram: Uint8Array): void;
  gone(peer: NodePublic, reason: GoneReason): void;
  /** @param token 8 bytes, valid during the call alone */
  pong(token: Uint8Array): void;
  /** What the relay says is wrong with this connection; empty: nothing any more. */
  health(text: string): void;
  /** The relay is about to stop: come back after, and keep trying for. */
  restarting(after: Millis, tryFor: Millis): void;
}

export interface DerpClientOptions {
  readonly key: OwnKey;
  /** 24 random bytes, for the one box that is sealed. */
  readonly nonce: Uint8Array;
}

/** Senders whose keys are kept as objects. */
const MAX_SOURCES = 16;
const MAX_HEALTH_BYTES = 1024;
const HEALTH_DECODER = new TextDecoder();

export class DerpClient {
  /** Frames of a type that is not known here. */
  unknownFrames = 0;
  readonly #options: DerpClientOptions;
  readonly #events: DerpClientEvents;
  readonly #cutter = new FrameCutter(KEY_BYTES + MAX_PACKET_BYTES);
  readonly #sources: NodePublic[] = [];
  #phase: 'server key' | 'server info' | 'joined' = 'server key';
  /** Undefined once the answer to the upgrade is here. */
  #head: AnswerHead | undefined = new AnswerHead();
  /** The relay's key, for reading ServerInfo. */
  #relay: Uint8Array | undefined;
  #fault: ClientFault | undefined;
  #nextSource = 0;

  constructor(options: DerpClientOptions, events: DerpClientEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** Takes the next bytes of the connection. A fault stays: nothing is read after it. */
  receive(bytes: Uint8Array): ClientFault | undefined {
    if (this.#fault !== undefined) return this.#fault;
    const rest = this.#head === undefined ? bytes : this.#answer(this.#head, bytes);
    if (this.#fault === undefined && rest !== undefined && !this.#cutter.push(rest, this.#take))
      this.#fault ??= 'derp: frame too long';
    return this.#fault;
  }

  #answer(head: AnswerHead, bytes: Uint8Array): Uint8Array | undefined {
    const answer = head.push(bytes);
    if (answer === undefined) return undefined;
    this.#head = undefined;
    if (typeof answer === 'string') this.#fault = answer;
    else if (answer.status !== SWITCHING_PROTOCOLS) this.#fault = 'derp: upgrade refused';
    else return answer.rest;
    return undefined;
  }

  readonly #take = (bytes: Uint8Array, start: number, end: number): boolean => {
    for (let at = start; at < end; ) {
      const next = at + HEADER_BYTES + payloadBytes(bytes, at);
      if (this.#phase !== 'joined') this.#fault = this.#greet(bytes.subarray(at, next));
      else if (bytes[at] === FRAME.recvPacket && next - at >= PACKET_AT)
        this.#events.packet(this.#sourceOf(bytes, at), bytes.subarray(at + PACKET_AT, next));
      else this.#fault = this.#other(bytes[at] as number, bytes.subarray(at + HEADER_BYTES, next));
      if (this.#fault !== undefined) return false;
      at = next;
    }
    return true;
  };

  #greet(whole: Uint8Array): ClientFault | undefined {
    const { key, nonce } = this.#options;
    if (this.#relay === undefined) {
      const relay = readServerKey(whole);
      if (typeof relay === 'string') return relay;
      const said = clientInfo(key, relay, nonce);
      if (typeof said === 'string') return said;
      this.#relay = relay;
      this.#phase = 'server info';
      this.#events.write(said);
      return undefined;
    }
    const info = readServerInfo(key, this.#relay, whole);
    if (typeof info === 'string') return info;
    this.#phase = 'joined';
    this.#events.joined();
    return undefined;
  }

  /** What later versions append to a body is left alone; a body cut short breaks the rules. */
  #other(type: number, body: Uint8Array): ClientFault | undefined {
    const least = LEAST_BODY.get(type);
    if (least === undefined) {
      this.unknownFrames++;
      return undefined;
    }
    if (body.length < least) return 'derp: frame malformed';
    switch (type) {
      case FRAME.ping:
        this.#events.write(pong(body.slice(0, PING_BYTES)));
        return undefined;
      case FRAME.pong:
        this.#events.pong(body.subarray(0, PING_BYTES));
        return undefined;
      case FRAME.peerGone: {
        const notHere = body[KEY_BYTES] === GONE.notHere;
        const peer = nodePublic(body.subarray(0, KEY_BYTES));
        this.#events.gone(peer, notHere ? 'not here' : 'disconnected');
        return undefined;
      }
      case FRAME.health:
        this.#events.health(HEALTH_DECODER.decode(body.subarray(0, MAX_HEALTH_BYTES)));
        return undefined;
      case FRAME.restarting: {
        const view = new DataView(body.buffer, body.byteOffset, body.length);
        this.#events.restarting(millis(view.getUint32(0)), millis(view.getUint32(4)));
        return undefined;
      }
      default:
        return undefined;
    }
  }

  #sourceOf(bytes: Uint8Array, frameAt: number): NodePublic {
    const at = frameAt + HEADER_BYTES;
    for (const source of this.#sources) if (isAt(bytes, at, source)) return source;
    const source = nodePublic(bytes.subarray(at, at + KEY_BYTES));
    this.#sources[this.#nextSource] = source;
    this.#nextSource = (this.#nextSource + 1) % MAX_SOURCES;
    return source;
  }
}

/** Types that are known here, and how short their bodies may be. PeerGone had no reason once. */
const LEAST_BODY: ReadonlyMap<number, number> = new Map([
  [FRAME.recvPacket, KEY_BYTES],
  [FRAME.keepAlive, 0],
  [FRAME.peerGone, KEY_BYTES],
  [FRAME.ping, PING_BYTES],
  [FRAME.pong, PING_BYTES],
  [FRAME.health, 0],
  [FRAME.restarting, 8],
]);

function isAt(bytes: Uint8Array, at: number, key: Uint8Array): boolean {
  for (let i = 0; i < KEY_BYTES; i++) if (bytes[at + i] !== key[i]) return false;
  return true;
}
