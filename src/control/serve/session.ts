/**
 * One machine's connection behind its handshake.
 *
 *     opened ──first record──> proved: HTTP/2 begins ──> requests ──> ended
 *        └──none in time──> ended                          │ idle for too long, broken, silent, or asked to leave
 *
 * An initiation can be recorded and sent again by somebody else, who then cannot seal a record. So nothing is
 * built, nor any limit of the machine touched, before the first record: until then a session is 21 kB.
 *
 * Whether the client is there is seen by its records, of whatever kind. Where none comes a ping asks for one.
 * Time is counted in ticks of the sweep, not by a clock: while our own loop stands still no tick passes, so a
 * stall of ours ends nobody's session.
 */

import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { constants, performServerHandshake } from 'node:http2';
import type { Socket } from 'node:net';
import type { MachinePublic } from '../../base/keys.ts';
import type { LogFields } from '../../base/log.ts';
import type { MachineKeyText } from '../../protocol/tailcfg/keys.ts';
import { formatMachinePublic } from '../../protocol/tailcfg/keys.ts';
import type { Channel } from '../../protocol/tailcfg/ts2021.ts';
import {
  BODY_TICKS,
  IDLE_MEMBER_TICKS,
  IDLE_STRANGER_TICKS,
  PING_TICKS,
  PROOF_TICKS,
  REQUESTS,
} from './limits.ts';
import { RecordStream } from './record-stream.ts';
import type { Remote } from './remote.ts';
import type { Refusal, Tally } from './tally.ts';

/**
 * Bounds of what one session can make us keep; a stock client has three streams at a time. Node's HTTP/2 takes 34 kB
 * of native memory for each, whatever the tables for headers are.
 */
const HTTP2 = {
  maxSessionMemory: 1,
  maxHeaderListPairs: 64,
  maxOutstandingPings: 2,
  maxSettings: 16,
  maxSessionRejectedStreams: 32,
  maxSessionInvalidFrames: 32,
  streamResetBurst: 200,
  streamResetRate: 10,
  settings: {
    enablePush: false,
    maxConcurrentStreams: 32,
    maxHeaderListSize: 16_384,
  },
} as const;

export interface SessionHost {
  readonly tally: Tally;
  isMember(machine: MachineKeyText): boolean;
  /** The machine has its key; asked again when it may have become a member's. */
  proved(session: Session): void;
  request(session: Session, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void;
  ended(session: Session): void;
}

export interface SessionStart {
  readonly host: SessionHost;
  readonly socket: Socket;
  readonly channel: Channel;
  readonly machine: MachinePublic;
  /** The client's capability version. */
  readonly version: number;
  readonly remote: Remote;
}

/** What is open on a session. */
interface Open {
  /** Its body is being read since; undefined: it has been. */
  readingSince: number | undefined;
  /** It may stay open for as long as it likes, so the client is asked for signs of life. */
  isLongPoll: boolean;
  /** Ends it well. */
  leave: () => void;
}

export class Session {
  readonly machine: MachineKeyText;
  readonly version: number;
  readonly remote: Remote;
  readonly #host: SessionHost;
  readonly #records: RecordStream;
  readonly #open = new Map<ServerHttp2Stream, Open>();
  #http: ServerHttp2Session | undefined;
  #tick = 0;
  #heardAt = 0;
  #busyAt = 0;
  #longPolls = 0;
  #mayAsk: number = REQUESTS.burst;
  #silent = false;
  #leaving = false;
  #ended = false;

  constructor({ host, socket, channel, machine, version, remote }: SessionStart) {
    this.machine = formatMachinePublic(machine);
    this.version = version;
    this.remote = remote;
    this.#host = host;
    this.#records = new RecordStream(socket, channel, {
      heard: () => this.#heard(),
      broken: (reason) => this.refused(reason),
    });
    this.#records.on('error', () => {});
    this.#records.on('close', () => {
      this.#http?.destroy();
      host.ended(this);
    });
  }

  start(head: Uint8Array): void {
    this.#records.start(head);
  }

  get isProved(): boolean {
    return this.#http !== undefined;
  }

  /** Nobody would miss it. */
  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  get hasLongPoll(): boolean {
    return this.#longPolls > 0;
  }

  /** It was ended because the client was not heard. */
  get wasSilent(): boolean {
    return this.#silent;
  }

  /** The body of a request is here. */
  bodyRead(stream: ServerHttp2Stream): void {
    const open = this.#open.get(stream);
    if (open !== undefined) open.readingSince = undefined;
  }

  /** Takes a request of those that a session has for a while. @returns whether there was one */
  mayAsk(): boolean {
    if (this.#mayAsk < 1) return false;
    this.#mayAsk--;
    return true;
  }

  /** @param leave ends the request well when the server stops */
  longPoll(stream: ServerHttp2Stream, leave: () => void): void {
    const open = this.#open.get(stream);
    if (open === undefined || open.isLongPoll) return;
    open.isLongPoll = true;
    open.leave = leave;
    this.#longPolls++;
    this.#heardAt = this.#tick;
  }

  /** A second has passed. */
  tick(): void {
    if (this.#ended) return;
    this.#tick++;
    this.#mayAsk = Math.min(REQUESTS.burst, this.#mayAsk + REQUESTS.perSecond);
    const quiet = this.#tick - this.#heardAt;
    if (!this.isProved) {
      if (quiet >= PROOF_TICKS) this.refuse('ts2021: never proved');
      return;
    }
    if (this.#longPolls > 0) {
      if (quiet === PING_TICKS) this.#http?.ping(() => {});
      if (quiet >= 2 * PING_TICKS) this.#endSilent();
    }
    for (const [stream, { readingSince }] of this.#open) {
      if (readingSince === undefined || this.#tick - readingSince < BODY_TICKS) continue;
      this.refused('body: too slow');
      stream.close(constants.NGHTTP2_CANCEL);
    }
    if (!this.isIdle) this.#busyAt = this.#tick;
    const isMember = this.#host.isMember(this.machine);
    const patience = isMember ? IDLE_MEMBER_TICKS : IDLE_STRANGER_TICKS;
    if (this.#tick - this.#busyAt >= patience) {
      if (!isMember) this.refused('session: idle');
      this.end();
    }
  }

  /** Tells the client to come back on another connection, and ends what it waits for. */
  leave(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    if (this.#http === undefined) {
      this.end();
      return;
    }
    for (const { leave } of this.#open.values()) leave();
    this.#http.close();
  }

  refused(reason: Refusal, fields: LogFields = {}): void {
    this.#host.tally.refuse(reason, { from: this.remote.text, ...fields });
  }

  /** The whole session. */
  refuse(reason: Refusal): void {
    this.refused(reason);
    this.end();
  }

  end(): void {
    this.#ended = true;
    if (this.#http === undefined) this.#records.destroy();
    else this.#http.destroy();
  }

  #heard(): void {
    this.#heardAt = this.#tick;
    if (this.#http !== undefined || this.#records.destroyed) return;
    this.#host.proved(this);
    this.#busyAt = this.#tick;
    this.#http = this.#begin();
  }

  #begin(): ServerHttp2Session {
    const http = performServerHandshake(this.#records, HTTP2);
    http.on('error', () => this.refused('session: broken'));
    http.on('close', () => this.#records.destroy());
    http.on('stream', (stream, headers) => {
      this.#open.set(stream, { readingSince: this.#tick, isLongPoll: false, leave: () => {} });
      stream.on('error', () => {});
      stream.on('close', () => {
        if (this.#open.get(stream)?.isLongPoll) this.#longPolls--;
        this.#open.delete(stream);
      });
      this.#host.request(this, stream, headers);
    });
    return http;
  }

  #endSilent(): void {
    this.#silent = true;
    this.#host.tally.count('session: silent');
    this.end();
  }
}
