/**
 * One line of the switchboard: the frames that come from a client's connection, and the queue of what goes to
 * it. See switchboard.ts.
 *
 *     bytes -> FrameCutter -> SendPacket    to the station's active line, as RecvPacket in our name
 *                             Ping          Pong
 *                             NotePreferred remembered
 *                             others        counted
 */

import { equalBytes, toHex } from '../../base/bytes.ts';
import type { Millis } from '../../base/time.ts';
import { millis } from '../../base/time.ts';
import { Budget } from './budget.ts';
import {
  FRAME,
  FRAME_COST_BYTES,
  GONE,
  HEADER_BYTES,
  KEY_BYTES,
  MAX_PACKET_BYTES,
  MAX_QUEUED_BYTES,
  MAX_RUN_BYTES,
  NOT_HERE_BURST,
  NOT_HERE_INTERVAL,
  PING_BYTES,
  RATE_BURST_BYTES,
  RATE_BYTES_PER_SECOND,
} from './constants.ts';
import { FrameCutter, frame, payloadBytes } from './frames.ts';
import { OutQueue } from './queue.ts';
import type { LineEnd, Outlet, Station, Switchboard } from './switchboard.ts';

export interface LineLimits {
  readonly queuedBytes: number;
  readonly bytesPerSecond: number;
  readonly burstBytes: number;
}

export const DEFAULT_LIMITS: LineLimits = {
  queuedBytes: MAX_QUEUED_BYTES,
  bytesPerSecond: RATE_BYTES_PER_SECOND,
  burstBytes: RATE_BURST_BYTES,
};

const PACKET_AT = HEADER_BYTES + KEY_BYTES;
/** Of a disco packet: "TS" and a speech balloon in UTF-8; a key of 32 and a nonce of 24 bytes follow. */
const DISCO_MAGIC = Uint8Array.of(0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac);
const MIN_DISCO_BYTES = 62;

export class Line {
  readonly station: Station;
  /** The client has said that this relay is its home. */
  preferred = false;
  keepAliveAt: Millis = millis(0);
  /** Ids of the stations that have got packets from this line. */
  readonly sentTo: Set<string> = new Set();
  readonly #board: Switchboard;
  readonly #outlet: Outlet;
  readonly #queue: OutQueue;
  readonly #cutter = new FrameCutter(KEY_BYTES + MAX_PACKET_BYTES);
  readonly #budget: Budget;
  readonly #notHere = new Budget(1000 / NOT_HERE_INTERVAL, NOT_HERE_BURST);
  #now: Millis = millis(0);
  #frames = 0;
  #ended = false;
  /** Where the last packet went: the next one mostly goes there too. */
  #last: Station | undefined;
  #runStart = 0;
  #runFrames = 0;

  constructor(board: Switchboard, station: Station, outlet: Outlet, limits: LineLimits) {
    this.station = station;
    this.#board = board;
    this.#outlet = outlet;
    this.#queue = new OutQueue(limits.queuedBytes);
    this.#budget = new Budget(limits.bytesPerSecond, limits.burstBytes);
  }

  /**
   * The next bytes of the connection, which are this line's from now on.
   *
   * @returns how long to wait before reading on; 0 for not at all
   */
  receive(bytes: Uint8Array, now: Millis): Millis {
    if (this.#ended) return millis(0);
    this.#now = now;
    this.#frames = 0;
    if (!this.#cutter.push(bytes, this.#take) && !this.#ended) this.end('derp: frame too long');
    return this.#budget.spend(bytes.length + this.#frames * FRAME_COST_BYTES, now);
  }

  /** Moves waiting frames to `into` (more than 64 KiB); 0 where none wait. */
  take(into: Uint8Array): number {
    return this.#queue.take(into);
  }

  get isEmpty(): boolean {
    return this.#queue.isEmpty;
  }

  /** Whether the line is ending: what still waits is to be written, and no more comes. */
  get ended(): boolean {
    return this.#ended;
  }

  end(reason: LineEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#outlet.end(reason);
  }

  pushUrgent(whole: Uint8Array): void {
    if (this.#ended) return;
    const wasEmpty = this.#queue.isEmpty;
    if (!this.#queue.pushUrgent(whole)) this.#board.counters.urgentDropped++;
    if (wasEmpty) this.#outlet.ready();
  }

  pushPackets(run: Uint8Array, frames: number): void {
    if (this.#ended) return;
    const wasEmpty = this.#queue.isEmpty;
    this.#board.counters.dropped += this.#queue.pushPackets(run, frames);
    if (wasEmpty) this.#outlet.ready();
  }

  readonly #take = (bytes: Uint8Array, start: number, end: number): boolean => {
    if (this.station.active !== this) this.#board.takeOver(this);
    let runTo: Station | undefined;
    let at = start;
    this.#runStart = start;
    this.#runFrames = 0;
    while (at < end && !this.#ended) {
      const next = at + HEADER_BYTES + payloadBytes(bytes, at);
      this.#frames++;
      const to = bytes[at] === FRAME.sendPacket ? this.#address(bytes, at, next) : undefined;
      if (to !== runTo || next - this.#runStart > MAX_RUN_BYTES) {
        this.#flush(runTo, bytes, at);
        runTo = to;
      }
      if (to !== undefined) this.#runFrames++;
      else if (bytes[at] !== FRAME.sendPacket) this.#other(bytes, at, next);
      at = next;
    }
    this.#flush(runTo, bytes, at);
    return !this.#ended;
  };

  /** Rewrites a SendPacket in place and gives where it goes; undefined where it is dealt with. */
  #address(bytes: Uint8Array, at: number, next: number): Station | undefined {
    if (next - at < PACKET_AT) {
      this.end('derp: packet malformed');
      return undefined;
    }
    const key = bytes.subarray(at + HEADER_BYTES, at + PACKET_AT);
    const to = this.#find(key);
    const active = to?.active;
    if (active === undefined) {
      this.#notHereFor(key, isDisco(bytes, at + PACKET_AT, next));
      return undefined;
    }
    bytes[at] = FRAME.recvPacket;
    bytes.set(this.station.key, at + HEADER_BYTES);
    const { counters } = this.#board;
    counters.packets++;
    counters.packetBytes += next - at - PACKET_AT;
    if (!isDisco(bytes, at + PACKET_AT, next)) return to;
    active.pushUrgent(bytes.subarray(at, next));
    return undefined;
  }

  #find(key: Uint8Array): Station | undefined {
    const last = this.#last;
    if (last?.active !== undefined && equalBytes(last.key, key)) return last;
    const id = toHex(key);
    const found = this.#board.station(id);
    if (found === undefined) return undefined;
    this.sentTo.add(id);
    this.#last = found;
    return found;
  }

  #flush(to: Station | undefined, bytes: Uint8Array, at: number): void {
    if (to !== undefined && this.#runFrames > 0)
      to.active?.pushPackets(bytes.subarray(this.#runStart, at), this.#runFrames);
    this.#runStart = at;
    this.#runFrames = 0;
  }

  /** As stock relays do, only one who seeks a path is told: for a tunnel's packets silence says as much. */
  #notHereFor(key: Uint8Array, disco: boolean): void {
    this.#board.counters.notHere++;
    if (!disco || !this.#notHere.trySpend(1, this.#now)) return;
    this.pushUrgent(frame(FRAME.peerGone, key, Uint8Array.of(GONE.notHere)));
  }

  #other(bytes: Uint8Array, at: number, next: number): void {
    const body = bytes.subarray(at + HEADER_BYTES, next);
    switch (bytes[at]) {
      case FRAME.ping:
        if (body.length === PING_BYTES) this.pushUrgent(frame(FRAME.pong, body));
        return;
      case FRAME.notePreferred:
        this.preferred = body[0] === 1;
        return;
      case FRAME.pong:
        return;
      default:
        this.#board.counters.unknownFrames++;
    }
  }
}

function isDisco(bytes: Uint8Array, at: number, end: number): boolean {
  if (bytes[at] !== DISCO_MAGIC[0] || end - at < MIN_DISCO_BYTES) return false;
  for (let i = 1; i < DISCO_MAGIC.length; i++) if (bytes[at + i] !== DISCO_MAGIC[i]) return false;
  return true;
}
