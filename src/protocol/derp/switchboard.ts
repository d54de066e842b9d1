/**
 * The switchboard of a DERP relay: which client a packet goes to.
 *
 *     line      one connection of a client that has greeted: what comes from it, what waits for it
 *     station   a node key and its lines; `active` is the one that packets go to
 *
 * A key may have several lines: an old one that a cut cable left behind, or a copied disk. The line that came
 * or spoke last is active. An old line may still have something in the pipe; where the place goes to and fro,
 * two machines share a key, and both are told (Health) until one leaves.
 *
 * SendPacket and RecvPacket are equally long: a frame is rewritten where it lies, and a run of frames to one
 * station is queued as one. Who stands behind a key is decided before (greeting.ts, `admits`); here every
 * line is one of ours, and what it sends can only be in its own name.
 *
 * Effects go to the line's `outlet`. Source: the open Tailscale protocol.
 */

import { toHex } from '../../base/bytes.ts';
import type { NodePublic } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis } from '../../base/time.ts';
import {
  FRAME,
  GONE,
  KEEP_ALIVE,
  KEEP_ALIVE_JITTER,
  RESTART_AFTER,
  RESTART_TRY_FOR,
} from './constants.ts';
import { frame } from './frames.ts';
import type { LineLimits } from './line.ts';
import { DEFAULT_LIMITS, Line } from './line.ts';

/** Why a line ended; each is a counter. */
export type LineEnd =
  | 'derp: frame too long'
  | 'derp: packet malformed'
  | 'derp: no longer admitted'
  | 'derp: stalled'
  | 'derp: relay stops'
  | 'derp: closed';

/** What a line needs from its connection. */
export interface Outlet {
  /** There is something to take, where there was nothing. */
  ready(): void;
  /** The connection is to be closed, after what waits has been written where it can be. */
  end(reason: LineEnd): void;
}

export interface SwitchboardOptions {
  readonly limits?: Partial<LineLimits>;
  /** A number of at least 0 and less than 1, so that keep-alives do not come all at once. */
  readonly jitter: () => number;
}

export interface Station {
  readonly id: string;
  readonly key: NodePublic;
  readonly lines: Set<Line>;
  /** Undefined once the last line has left; whoever remembers the station looks it up again. */
  active: Line | undefined;
  /** How often a line took the place of another since one last came or left. */
  turns: number;
  disputed: boolean;
}

/** Since start. */
export interface SwitchboardCounters {
  packets: number;
  packetBytes: number;
  dropped: number;
  urgentDropped: number;
  notHere: number;
  unknownFrames: number;
  disputes: number;
}

export class Switchboard {
  readonly counters: SwitchboardCounters = {
    packets: 0,
    packetBytes: 0,
    dropped: 0,
    urgentDropped: 0,
    notHere: 0,
    unknownFrames: 0,
    disputes: 0,
  };
  readonly #stations = new Map<string, Station>();
  readonly #lines = new Set<Line>();
  readonly #limits: LineLimits;
  readonly #jitter: () => number;

  constructor({ limits, jitter }: SwitchboardOptions) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#jitter = jitter;
  }

  get lines(): number {
    return this.#lines.size;
  }

  get stations(): number {
    return this.#stations.size;
  }

  get limits(): LineLimits {
    return this.#limits;
  }

  /** A client that has greeted and is admitted; its line becomes the active one of its key. */
  join(key: NodePublic, outlet: Outlet, now: Millis): Line {
    const id = toHex(key);
    let station = this.#stations.get(id);
    if (station === undefined) {
      station = { id, key, lines: new Set(), active: undefined, turns: 0, disputed: false };
      this.#stations.set(id, station);
    }
    const line = new Line(this, station, outlet, this.#limits);
    line.keepAliveAt = this.#nextKeepAlive(now);
    station.lines.add(line);
    this.#lines.add(line);
    station.active = line;
    station.turns = 0;
    return line;
  }

  station(id: string): Station | undefined {
    return this.#stations.get(id);
  }

  /** A line has sent something while another was active. */
  takeOver(line: Line): void {
    const { station } = line;
    station.active = line;
    station.turns++;
    if (station.turns < DISPUTE_TURNS || station.disputed) return;
    station.disputed = true;
    this.counters.disputes++;
    for (const each of station.lines) each.pushUrgent(frame(FRAME.health, text(DISPUTE)));
  }

  /** The connection is closed. Those that got packets from it learn that it is gone, unless it has another. */
  leave(line: Line): void {
    if (!this.#lines.delete(line)) return;
    const { station } = line;
    station.lines.delete(line);
    station.turns = 0;
    if (station.active === line) station.active = [...station.lines].at(-1);
    if (station.disputed && station.lines.size === 1) {
      station.disputed = false;
      for (const each of station.lines) each.pushUrgent(frame(FRAME.health));
    }
    if (station.lines.size > 0) return;
    this.#stations.delete(station.id);
    const gone = frame(FRAME.peerGone, station.key, Uint8Array.of(GONE.disconnected));
    for (const id of line.sentTo) this.#stations.get(id)?.active?.pushUrgent(gone);
  }

  /** The key is no longer admitted. */
  expel(key: NodePublic): void {
    const station = this.#stations.get(toHex(key));
    for (const line of [...(station?.lines ?? [])]) line.end('derp: no longer admitted');
  }

  /** Keep-alives that are due. To be called every few seconds. */
  beat(now: Millis): void {
    for (const line of this.#lines) {
      if (now < line.keepAliveAt) continue;
      line.keepAliveAt = this.#nextKeepAlive(now);
      line.pushUrgent(KEEP_ALIVE_FRAME);
    }
  }

  /** Tells every client to come back soon, and ends all lines. */
  stop(): void {
    const times = new Uint8Array(8);
    new DataView(times.buffer).setUint32(0, RESTART_AFTER);
    new DataView(times.buffer).setUint32(4, RESTART_TRY_FOR);
    const restarting = frame(FRAME.restarting, times);
    for (const line of [...this.#lines]) {
      line.pushUrgent(restarting);
      line.end('derp: relay stops');
    }
  }

  #nextKeepAlive(now: Millis): Millis {
    return after(now, millis(KEEP_ALIVE + this.#jitter() * KEEP_ALIVE_JITTER));
  }
}

/** One turn is an old line's last words, a second the new one's next. */
const DISPUTE_TURNS = 4;
const DISPUTE =
  'another machine is using the key of this node; log one of the two out and in again';
const KEEP_ALIVE_FRAME = frame(FRAME.keepAlive);
const text = (words: string): Uint8Array => new TextEncoder().encode(words);
