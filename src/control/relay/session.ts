/**
 * A DERP connection: a socket, first while it greets, then as a line of the switchboard.
 *
 *     greeting --ClientInfo of an admitted key--> line --end--> ending (what waits is written) --> closed
 *        |                                         |
 *        +--- 10 s, forged, not admitted ----------+--- 15 s without taking anything ---> closed
 *
 * Output: what comes for a client in one turn of the event loop leaves in one write, since a write call and a
 * TLS record cost more than the frame in it. One write is under way at a time, from a buffer of the pool; the
 * rest waits in the line's queue, which is the only one and is bounded.
 */

import type { Duplex } from 'node:stream';
import type { NodePublic } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import { after } from '../../base/time.ts';
import type { OwnKey } from '../../crypto/x25519.ts';
import {
  GREETING_DEADLINE,
  HEADER_BYTES,
  MAX_CLIENT_INFO_BYTES,
  STALL,
} from '../../protocol/derp/constants.ts';
import { payloadBytes } from '../../protocol/derp/frames.ts';
import { readClientInfo, serverInfo, serverKey } from '../../protocol/derp/greeting.ts';
import type { Line } from '../../protocol/derp/line.ts';
import type { LineEnd, Outlet, Switchboard } from '../../protocol/derp/switchboard.ts';
import type { BufferPool } from './buffer-pool.ts';

/**
 * What one client may send in a turn of the event loop. libuv reads up to 2 MB of one socket before it looks at
 * the next: more than a queue holds, and than the others should wait for.
 */
const TURN_BYTES = 131_072;

/** What all sessions share. */
export interface SessionHost {
  readonly key: OwnKey;
  readonly board: Switchboard;
  readonly pool: BufferPool;
  readonly sessions: Set<Session>;
  now(): Millis;
  /** Another number in each turn of the event loop. */
  turn(): number;
  random(lengthBytes: number): Uint8Array;
  admits(key: NodePublic): boolean;
  joined(key: NodePublic, remote: string): void;
  left(key: NodePublic, reason: string, connections: number): void;
  refused(reason: string): void;
  wrote(): void;
}

export class Session implements Outlet {
  readonly #host: SessionHost;
  readonly #socket: Duplex;
  readonly #remote: string;
  #deadline: Millis;
  #greeting: Buffer = Buffer.alloc(0);
  #line: Line | undefined;
  #reason: string | undefined;
  #scheduled = false;
  #writing = false;
  #resume: NodeJS.Timeout | NodeJS.Immediate | undefined;
  #turn = 0;
  #turnBytes = 0;

  /** Takes the socket over. @param head what of DERP has come already */
  constructor(host: SessionHost, socket: Duplex, remote: string, head: Buffer) {
    this.#host = host;
    this.#socket = socket;
    this.#remote = remote;
    this.#deadline = after(host.now(), GREETING_DEADLINE);
    host.sessions.add(this);
    socket.on('data', (bytes: Buffer) => this.#onData(bytes));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#onClose());
    socket.write(serverKey(host.key.publicKey));
    if (head.length > 0) this.#onData(head);
    socket.resume();
  }

  ready(): void {
    if (this.#scheduled || this.#writing) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  end(reason: LineEnd): void {
    this.#reason ??= reason;
    this.#deadline = after(this.#host.now(), STALL);
    this.ready();
  }

  /** Cuts off who has not greeted in time, or takes nothing. */
  check(now: Millis): void {
    if (now < this.#deadline) return;
    if (this.#line === undefined) this.#refuse('front: too slow');
    else if (this.#writing || this.#line.ended) {
      this.#reason ??= 'derp: stalled';
      this.#socket.destroy();
    }
  }

  #onData(bytes: Buffer): void {
    if (this.#line === undefined) {
      this.#greet(bytes);
      return;
    }
    const wait = this.#line.receive(bytes, this.#host.now());
    const turn = this.#host.turn();
    this.#turnBytes = (turn === this.#turn ? this.#turnBytes : 0) + bytes.length;
    this.#turn = turn;
    if (this.#resume !== undefined) return;
    if (wait > 0) this.#resume = setTimeout(this.#readOn, wait);
    else if (this.#turnBytes >= TURN_BYTES) this.#resume = setImmediate(this.#readOn);
    else return;
    this.#socket.pause();
  }

  readonly #readOn = (): void => {
    this.#resume = undefined;
    if (!this.#socket.destroyed) this.#socket.resume();
  };

  #greet(bytes: Buffer): void {
    this.#greeting = Buffer.concat([this.#greeting, bytes]);
    if (this.#greeting.length < HEADER_BYTES) return;
    const length = payloadBytes(this.#greeting, 0);
    if (length > MAX_CLIENT_INFO_BYTES) {
      this.#refuse('derp: greeting too long');
      return;
    }
    const end = HEADER_BYTES + length;
    if (this.#greeting.length < end) return;
    const { key, board, random, now } = this.#host;
    const greeted = readClientInfo(key, this.#greeting.subarray(0, end));
    if (typeof greeted === 'string') {
      this.#refuse(greeted);
      return;
    }
    if (!this.#host.admits(greeted.node)) {
      this.#refuse('derp: not admitted');
      return;
    }
    const { bytesPerSecond, burstBytes } = board.limits;
    const info = serverInfo(greeted.boxKey, random(24), { bytesPerSecond, burstBytes });
    greeted.boxKey.fill(0);
    this.#line = board.join(greeted.node, this, now());
    this.#line.pushUrgent(info);
    this.#host.joined(greeted.node, this.#remote);
    const rest = this.#greeting.subarray(end);
    this.#greeting = Buffer.alloc(0);
    if (rest.length > 0) this.#onData(rest);
  }

  #refuse(reason: string): void {
    if (!this.#socket.destroyed) this.#host.refused(reason);
    this.#socket.destroy();
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    const line = this.#line;
    if (line === undefined || this.#socket.destroyed) return;
    if (line.isEmpty) {
      if (line.ended) this.#socket.end(() => this.#socket.destroy());
      return;
    }
    const buffer = this.#host.pool.borrow();
    const length = line.take(buffer);
    this.#writing = true;
    // An end has its own deadline, which a client that still reads does not move.
    if (!line.ended) this.#deadline = after(this.#host.now(), STALL);
    this.#host.wrote();
    this.#socket.write(buffer.subarray(0, length), () => {
      this.#host.pool.giveBack(buffer);
      this.#writing = false;
      if (!line.isEmpty || line.ended) this.ready();
    });
  };

  #onClose(): void {
    this.#host.sessions.delete(this);
    const line = this.#line;
    if (line === undefined) return;
    this.#host.board.leave(line);
    const { key, lines } = line.station;
    this.#host.left(key, this.#reason ?? 'derp: closed', lines.size);
    line.end('derp: closed');
  }
}
