/**
 * One attempt to reach a region: its nodes in the order of the map, until one has greeted.
 *
 *     dial --stream--> greeting --ServerInfo--> done(connection)
 *       |                 |
 *       +-- fault, 15 s --+--> the next node; after the last: done(reason)
 *
 * All clients of a region begin with its first node: only those on the same node reach one another.
 */

import type { Env } from '../../base/env.ts';
import type { Millis } from '../../base/time.ts';
import { after, seconds } from '../../base/time.ts';
import type { OwnKey } from '../../crypto/x25519.ts';
import type { DERPNode } from '../../protocol/tailcfg/types.ts';
import type { Sink } from './connection.ts';
import { Connection, hostOf } from './connection.ts';
import type { RelayCounters, RelaysPorts } from './ports.ts';
import { countEnd } from './ports.ts';

/** Longer than the dialler's own deadline: this one is for a dialler that never answers. */
const DIAL_DEADLINE: Millis = seconds(15);
const GREETING_DEADLINE: Millis = seconds(10);

export interface AttemptOptions {
  readonly env: Env;
  readonly ports: Pick<RelaysPorts, 'dial'>;
  readonly counters: RelayCounters;
  readonly nodes: readonly DERPNode[];
  readonly key: OwnKey;
  readonly sink: Sink;
  /** Called once, unless it is cancelled: with a connection that is joined, or why there is none. */
  readonly done: (result: Connection | string) => void;
}

export class Attempt {
  readonly key: OwnKey;
  readonly #options: AttemptOptions;
  #next = 0;
  /** Another number for each node that is tried, so that a late stream is known as such. */
  #step = 0;
  #reason = 'the map names no node that relays';
  #greeting: Connection | undefined;
  #stopTimer: () => void = () => {};

  constructor(options: AttemptOptions) {
    this.#options = options;
    this.key = options.key;
  }

  start(): void {
    this.#tryNext();
  }

  cancel(): void {
    this.#step = -1;
    this.#stopTimer();
    this.#greeting?.close();
  }

  #tryNext(): void {
    const { env, ports, nodes, done } = this.#options;
    const node = nodes[this.#next++];
    if (node === undefined) {
      this.cancel();
      done(this.#reason);
      return;
    }
    const step = ++this.#step;
    const failed = (reason: string): void => {
      if (step !== this.#step) return;
      countEnd(this.#options.counters, 'dial');
      this.#giveUp(reason);
    };
    this.#stopTimer = env.setTimer(after(env.now(), DIAL_DEADLINE), () =>
      failed(`${hostOf(node)} does not answer`),
    );
    ports.dial(node).then(
      (stream) => {
        if (step === this.#step) this.#greet(node, stream);
        else stream.on('error', () => {}).destroy();
      },
      (error: Error) => failed(error.message),
    );
  }

  #greet(node: DERPNode, stream: Awaited<ReturnType<RelaysPorts['dial']>>): void {
    const { env, key, sink, counters, done } = this.#options;
    this.#stopTimer();
    const connection = new Connection({ env, node, stream, key, sink, counters });
    this.#greeting = connection;
    this.#stopTimer = env.setTimer(after(env.now(), GREETING_DEADLINE), () =>
      connection.fail('the relay did not greet in time'),
    );
    connection.onClosed = (reason) => {
      countEnd(this.#options.counters, reason.startsWith('derp: ') ? reason : 'greeting');
      this.#giveUp(`${hostOf(node)}: ${reason}`);
    };
    connection.onJoined = () => {
      this.#greeting = undefined;
      this.cancel();
      done(connection);
    };
  }

  #giveUp(reason: string): void {
    this.#stopTimer();
    this.#greeting = undefined;
    this.#reason = reason;
    this.#tryNext();
  }
}

/** Whether both lead to the same place. Another certificate alone is no reason to connect again. */
export const isSameNode = (a: DERPNode, b: DERPNode): boolean =>
  a.HostName === b.HostName && a.DERPPort === b.DERPPort && a.IPv4 === b.IPv4 && a.IPv6 === b.IPv6;
