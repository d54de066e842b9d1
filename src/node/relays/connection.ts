/**
 * One connection to a relay: a stream, first while it greets, then with the region's queue behind it.
 *
 *     greeting --ServerInfo--> joined --serve(queue)--> serving
 *        |                        |                        |
 *        +--------- fault, error, end, close(), fail() ----+--> closed, told once
 *
 * Output: what comes in one turn of the event loop leaves in one write, since a write call and a TLS record cost
 * more than the frame in it. One write is under way at a time; it ends when the system has taken it, and
 * what has come meanwhile is the next one. So the queue is the only place where packets wait, and it is bounded.
 *
 * Time is asked for once in each read and write, never in each packet.
 */

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { equalBytes, plainBytes } from '../../base/bytes.ts';
import type { Env } from '../../base/env.ts';
import type { NodePublic } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import { millis } from '../../base/time.ts';
import { BOX_NONCE_BYTES } from '../../crypto/box.ts';
import type { OwnKey } from '../../crypto/x25519.ts';
import type { GoneReason } from '../../protocol/derp/client.ts';
import { DerpClient } from '../../protocol/derp/client.ts';
import { ping } from '../../protocol/derp/client-frames.ts';
import { upgradeRequest } from '../../protocol/derp/client-upgrade.ts';
import { PING_BYTES } from '../../protocol/derp/constants.ts';
import type { DERPNode } from '../../protocol/tailcfg/types.ts';
import type { RelayCounters } from './ports.ts';
import type { Segment, SendQueue } from './send-queue.ts';

/** Where what comes is handed on to. */
export interface Sink {
  packet(source: NodePublic, datagram: Uint8Array): void;
  batchEnd(): void;
  gone(peer: NodePublic, reason: GoneReason): void;
}

export interface ConnectionOptions {
  readonly env: Env;
  readonly node: DERPNode;
  readonly stream: Duplex;
  readonly key: OwnKey;
  readonly sink: Sink;
  readonly counters: RelayCounters;
}

/** Pongs and pings that wait; a relay that asks faster than it reads gets no answer. */
const MAX_CONTROL_FRAMES = 32;

export class Connection {
  readonly node: DERPNode;
  readonly key: OwnKey;
  /** When bytes last came, and how often. */
  heardAt: Millis;
  reads = 0;
  /** Since when a write is under way that the system does not take. */
  writingSince: Millis | undefined;
  /** What the relay said of a restart: come back after this time. */
  restartAfter: Millis | undefined;
  health: string | undefined;
  onJoined: () => void = () => {};
  onClosed: (reason: string) => void = () => {};
  readonly #env: Env;
  readonly #stream: Duplex;
  readonly #sink: Sink;
  readonly #counters: RelayCounters;
  readonly #client: DerpClient;
  #queue: SendQueue | undefined;
  #serving = false;
  #underWay: Segment | undefined;
  #control: Uint8Array[] = [];
  #scheduled = false;
  #closed = false;
  #packets = 0;
  #measuring: { token: Uint8Array; since: Millis; done: (took: Millis) => void } | undefined;

  constructor(options: ConnectionOptions) {
    const { env, node, stream, key, sink, counters } = options;
    this.node = node;
    this.key = key;
    this.#env = env;
    this.#stream = stream;
    this.#sink = sink;
    this.#counters = counters;
    this.heardAt = env.now();
    this.#client = this.#newClient();
    stream.on('data', this.#onData);
    stream.on('error', (error) => this.fail(error.message));
    stream.on('end', () => this.fail('the relay has closed the connection'));
    stream.on('close', () => this.fail('the connection was cut'));
    stream.write(upgradeRequest(hostOf(node)));
  }

  /** Where it comes from; undefined for what is no socket. */
  get localAddress(): string | undefined {
    return (this.#stream as Partial<Socket>).localAddress;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** From now on the queue's packets go out here. */
  serve(queue: SendQueue): void {
    this.#queue = queue;
    this.#serving = true;
    this.ready();
  }

  /** Another connection takes the queue's packets from now on; what comes here is still read. */
  retire(): void {
    this.#serving = false;
  }

  /** There may be something in the queue; it is written at the end of this turn. */
  ready(): void {
    if (this.#scheduled || this.#underWay !== undefined) return;
    this.#scheduled = true;
    setImmediate(this.#onTurnEnd);
  }

  /** Writes what waits now, where no write is under way. */
  flush(): void {
    if (this.#closed || this.writingSince !== undefined) return;
    const control = this.#control;
    const segment = this.#serving ? this.#queue?.take() : undefined;
    if (segment === undefined && control.length === 0) return;
    this.#control = [];
    this.#underWay = segment;
    this.writingSince = this.#env.now();
    this.#counters.writes++;
    const done = (error?: Error | null): void => this.#onWritten(segment, error);
    this.#stream.cork();
    for (const [i, frame] of control.entries())
      this.#stream.write(frame, segment === undefined && i === control.length - 1 ? done : nothing);
    if (segment !== undefined) this.#stream.write(segment.bytes.subarray(0, segment.used), done);
    this.#stream.uncork();
  }

  /** Sends a frame of our own. */
  say(frame: Uint8Array): void {
    if (this.#control.length < MAX_CONTROL_FRAMES) this.#control.push(frame);
    this.ready();
  }

  /** Asks the relay for a sign of life. @param done gets how long the answer took */
  ping(done: (took: Millis) => void = () => {}): void {
    const token = this.#env.random(PING_BYTES);
    this.#measuring = { token, since: this.#env.now(), done };
    this.say(ping(token));
    this.flush();
  }

  /** Ends it; what opens a way and was not written goes back to the queue. `onClosed` is told why. */
  fail(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.destroy();
    const segment = this.#underWay;
    this.#underWay = undefined;
    if (segment !== undefined) this.#counters.lostUnderWay += this.#queue?.unsent(segment) ?? 0;
    this.#counters.unknownFrames += this.#client.unknownFrames;
    this.onClosed(reason);
  }

  /** Ends it without a word. */
  close(): void {
    this.onClosed = () => {};
    this.fail('closed');
  }

  #newClient(): DerpClient {
    const { key } = this;
    const nonce = this.#env.random(BOX_NONCE_BYTES);
    const counters = this.#counters;
    return new DerpClient(
      { key, nonce },
      {
        write: (bytes) => this.say(bytes),
        joined: () => this.onJoined(),
        packet: (source, datagram) => {
          this.#packets++;
          counters.bytesIn += datagram.length;
          this.#sink.packet(source, datagram);
        },
        gone: (peer, reason) => this.#sink.gone(peer, reason),
        pong: (token) => this.#onPong(token),
        health: (text) => {
          this.health = text === '' ? undefined : text;
        },
        restarting: (wait) => {
          this.restartAfter = wait;
        },
      },
    );
  }

  readonly #onData = (bytes: Buffer): void => {
    if (this.#closed) return;
    this.heardAt = this.#env.now();
    this.reads++;
    this.#counters.reads++;
    this.#packets = 0;
    const fault = this.#client.receive(plainBytes(bytes));
    if (this.#packets > 0) {
      this.#counters.packetsIn += this.#packets;
      this.#sink.batchEnd();
    }
    if (fault !== undefined) this.fail(fault);
  };

  readonly #onTurnEnd = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  #onWritten(segment: Segment | undefined, error: Error | null | undefined): void {
    if (this.#closed || (error !== null && error !== undefined)) return;
    this.#underWay = undefined;
    this.writingSince = undefined;
    if (segment !== undefined) this.#queue?.written(segment);
    this.flush();
  }

  #onPong(token: Uint8Array): void {
    const measuring = this.#measuring;
    if (measuring === undefined || !equalBytes(measuring.token, token)) return;
    this.#measuring = undefined;
    measuring.done(millis(this.#env.now() - measuring.since));
  }
}

function nothing(): void {}

/** How a node is named in a request. */
export function hostOf({ HostName, DERPPort }: DERPNode): string {
  const port = DERPPort || 443;
  const host = HostName.includes(':') ? `[${HostName}]` : HostName;
  return port === 443 ? host : `${host}:${port}`;
}
