/**
 * The link to one region of the map.
 *
 *                wanted                      greeted
 *        idle ----------> connecting -----------------------> connected
 *         ^                |      ^                              |
 *         |         failed |      | time                         | lost
 *         |                v      |                              |
 *         +-- not wanted -- waiting <----------------------------+
 *
 * Wanted: it is our home, or packets went through in the last minute; and there is a key. `#steer` looks at the
 * facts of this moment and does what is missing; every event leads to it.
 *
 * Make before break: under a new key, or when the map names other nodes, the old connection serves until the new
 * one has greeted, and is read for ten seconds more, since peers learn of the change after us.
 *
 * The queue is the link's, not the connection's: what opens a way outlives a lost connection. While there is none
 * it is short, so that what comes after is not held up by what was sent again long ago.
 */

import type { Env } from '../../base/env.ts';
import type { NodePublic } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis, NEVER, seconds } from '../../base/time.ts';
import type { OwnKey } from '../../crypto/x25519.ts';
import { notePreferred } from '../../protocol/derp/client-frames.ts';
import { MAX_QUEUED_BYTES } from '../../protocol/derp/constants.ts';
import type { DERPNode, DERPRegion } from '../../protocol/tailcfg/types.ts';
import { Alarm } from './alarm.ts';
import { Attempt, isSameNode } from './attempt.ts';
import { Backoff } from './backoff.ts';
import type { Connection, Sink } from './connection.ts';
import { NO_LOOK } from './lifeline.ts';
import type { RelayCounters, RelayStatus, RelaysPorts } from './ports.ts';
import { countEnd } from './ports.ts';
import type { SegmentPool } from './send-queue.ts';
import { SendQueue } from './send-queue.ts';
import { Succession } from './succession.ts';

/** A region that is not our home is let go of when nothing went through for this long. */
const IDLE: Millis = seconds(60);
/** A look that comes soon enough after a use, once for all packets until then. */
const LOOK_SOON: Millis = seconds(5);
/** While there is no connection. */
const WAITING_BYTES = 131_072;

export interface RegionHost {
  readonly env: Env;
  readonly ports: RelaysPorts;
  readonly pool: SegmentPool;
  readonly counters: RelayCounters;
  /** Undefined: we are nobody now. */
  key(): OwnKey | undefined;
}

export class Region {
  readonly id: number;
  readonly #host: RegionHost;
  readonly #queue: SendQueue;
  readonly #backoff: Backoff;
  readonly #sink: Sink;
  #map: DERPRegion;
  #home = false;
  readonly #connections = new Succession();
  readonly #alarm: Alarm;
  #attempt: Attempt | undefined;
  #retryAt: Millis = millis(Number.NEGATIVE_INFINITY);
  /** Packets went through since the last look, which then says when. */
  #used = false;
  #usedAt: Millis = millis(Number.NEGATIVE_INFINITY);
  /** The connection was found dead by us: nobody else has noticed, and it is dialled at once. */
  #hurry = false;
  #state: RelayStatus['state'] = 'idle';
  #reason: string | undefined;
  #closed = false;

  constructor(host: RegionHost, map: DERPRegion) {
    this.id = map.RegionID;
    this.#host = host;
    this.#map = map;
    this.#queue = new SendQueue(host.pool, WAITING_BYTES);
    const { env, ports } = host;
    this.#backoff = new Backoff((lengthBytes) => env.random(lengthBytes));
    this.#alarm = new Alarm(env, () => this.steer());
    this.#sink = {
      packet: (source, datagram) => ports.packet(this.id, source, datagram),
      batchEnd: () => {
        if (!this.#used) this.#use();
        ports.batchEnd();
      },
      gone: (peer, reason) => ports.gone(this.id, peer, reason),
    };
  }

  setMap(map: DERPRegion): void {
    this.#map = map;
    this.steer();
  }

  setHome(home: boolean): void {
    if (home === this.#home) return;
    this.#home = home;
    // What was home stays for a minute: peers learn of the change after us.
    this.#usedAt = this.#host.env.now();
    this.#connections.connection?.say(notePreferred(home));
    this.steer();
  }

  /** False: it is longer than a relay carries. */
  send(peer: NodePublic, datagram: Uint8Array): boolean {
    const dropped = this.#queue.push(peer, datagram);
    const { counters } = this.#host;
    if (dropped < 0) {
      counters.droppedUnsendable++;
      return false;
    }
    counters.droppedFull += dropped;
    counters.packetsOut++;
    counters.bytesOut += datagram.length;
    if (!this.#used) this.#use(true);
    this.#connections.connection?.ready();
    return true;
  }

  flush(): void {
    this.#connections.connection?.flush();
  }

  /** The network has changed: what is silent is dialled again after two seconds, what waits at once. */
  linkChanged(isOurs: (address: string) => boolean): void {
    const now = this.#host.env.now();
    this.#backoff.reset();
    this.#retryAt = now;
    this.#cancelAttempt();
    this.#connections.current?.networkChanged(now, isOurs);
    this.steer();
  }

  /** What packets go through, to ask it how far away the relay is. */
  get connection(): Connection | undefined {
    return this.#connections.connection;
  }

  close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#alarm.set(NEVER);
    this.#letGo();
    this.#change('idle', reason);
  }

  status(): RelayStatus {
    const { connection, since } = this.#connections.current ?? {};
    return {
      region: this.id,
      code: this.#map.RegionCode,
      home: this.#home,
      state: this.#state,
      host: connection?.node.HostName,
      since,
      retryAt: this.#state === 'waiting' ? this.#retryAt : undefined,
      reason: this.#reason,
      health: connection?.health,
      queuedBytes: this.#queue.bytes,
    };
  }

  /** From the facts of this moment to what is to be done. */
  steer(): void {
    if (this.#closed) return;
    const { env, key } = this.#host;
    const now = env.now();
    if (this.#used) this.#usedAt = now;
    this.#used = false;
    this.#connections.check(now);
    const own = key();
    const unused = after(this.#usedAt, IDLE);
    const wanted = own !== undefined && (this.#home || now < unused);
    if (!wanted) {
      this.#letGo();
      this.#alarm.set(NEVER);
      this.#change('idle', own === undefined ? 'there is no key' : 'not in use');
      return;
    }
    const lookAt = this.#watch(now);
    const fits = this.#fits(own);
    if (fits || this.#attempt?.key !== own) this.#cancelAttempt();
    if (!fits && this.#attempt === undefined && now >= this.#retryAt) this.#connect(own);
    this.#change(this.#stateNow(), this.#reason);
    const retry = !fits && this.#attempt === undefined ? this.#retryAt : NEVER;
    const { retireAt } = this.#connections;
    this.#alarm.set(millis(Math.min(lookAt, retry, this.#home ? NEVER : unused, retireAt)));
  }

  #stateNow(): RelayStatus['state'] {
    if (this.#connections.current !== undefined) return 'connected';
    return this.#attempt === undefined ? 'waiting' : 'connecting';
  }

  /** Whether the connection is under our key, to a node that the map still names. */
  #fits(own: OwnKey): boolean {
    const { key, node } = this.#connections.connection ?? {};
    return key === own && this.#map.Nodes.some((one) => isSameNode(one, node as DERPNode));
  }

  #use(sending = false): void {
    this.#used = true;
    const now = this.#host.env.now();
    this.#usedAt = now;
    if (sending) this.#connections.current?.sent(now);
    if (this.#state === 'idle') this.steer();
    else this.#alarm.noLaterThan(after(now, LOOK_SOON));
  }

  #watch(now: Millis): Millis {
    const found = this.#connections.current?.watch(now) ?? NO_LOOK;
    if ('lookAt' in found) return found.lookAt;
    this.#hurry = true;
    this.#connections.connection?.fail(found.dead);
    return NEVER;
  }

  #connect(key: OwnKey): void {
    const { env, ports, counters } = this.#host;
    const nodes = this.#map.Nodes.filter(({ STUNOnly }) => STUNOnly !== true);
    const done = (result: Connection | string): void => {
      this.#attempt = undefined;
      if (typeof result === 'string') this.#failed(result);
      else this.#adopt(result);
    };
    this.#attempt = new Attempt({ env, ports, counters, nodes, key, sink: this.#sink, done });
    this.#attempt.start();
  }

  #failed(reason: string): void {
    this.#retryAt = after(this.#host.env.now(), this.#backoff.next());
    this.#say('relay: cannot connect', reason);
    this.#reason = reason;
    this.steer();
  }

  #adopt(connection: Connection): void {
    const { env, counters } = this.#host;
    const now = env.now();
    const lifeline = this.#connections.follow(connection, now);
    this.#reason = undefined;
    counters.joined++;
    connection.onClosed = (reason) => this.#onClosed(connection, reason);
    if (this.#home) connection.say(notePreferred(true));
    if (!this.#queue.isEmpty) lifeline.sent(now);
    this.#queue.limit(MAX_QUEUED_BYTES);
    connection.serve(this.#queue);
    env.log.info('relay: connected', { region: this.id, host: connection.node.HostName });
    this.steer();
  }

  #onClosed(connection: Connection, reason: string): void {
    const { env, counters } = this.#host;
    const ended = this.#connections.ended(connection);
    if (ended === undefined) return;
    const now = env.now();
    counters.lost++;
    countEnd(counters, reason.startsWith('derp: ') ? reason : 'connection');
    counters.droppedFull += this.#queue.limit(WAITING_BYTES);
    const { restartAfter } = connection;
    const lived = millis(now - ended.since);
    const wait = this.#backoff.afterLoss({ lived, foundDead: this.#hurry, restartAfter });
    this.#retryAt = after(now, wait);
    this.#hurry = false;
    this.#say('relay: lost', reason);
    this.#reason = reason;
    this.#change('waiting', reason);
    this.steer();
  }

  #letGo(): void {
    this.#cancelAttempt();
    this.#connections.close();
    this.#host.counters.droppedFull += this.#queue.clear();
  }

  #cancelAttempt(): void {
    this.#attempt?.cancel();
    this.#attempt = undefined;
  }

  #change(state: RelayStatus['state'], reason: string | undefined): void {
    if (state === this.#state) return;
    this.#state = state;
    const { ports } = this.#host;
    if (state === 'connected' || state === 'connecting') ports.changed(this.id, state);
    else ports.changed(this.id, 'lost', reason);
  }

  /** The same reason again and again is one line. */
  #say(event: string, reason: string): void {
    if (reason !== this.#reason) this.#host.env.log.info(event, { region: this.id, reason });
  }
}
