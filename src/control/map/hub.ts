/**
 * All open map streams. News of the coordinator are noted, and in rounds each stream is told the difference of
 * what it was told last and what is so now.
 *
 *     news ──> changes ──> round: for each stream  view of before, touched ──> view ──> difference ──> frame
 *     open ──> first map, before anything else ─────────────────────────────────────────┘
 *
 * What many streams are told alike is written and compressed once a round. Frames of one stream keep their
 * order; a stream without room costs one number, and is told everything at once when it has room (`fallbacks`).
 *
 * A node that the vocabulary finds fault with is in nobody's map; a part with a fault is left out, so that a
 * client keeps the last good one; without its own node a first map is nothing, and the stream ends.
 *
 * Source: reference/protocol.md 3.1 to 3.3.
 */

import type { Env } from '../../base/env.ts';
import type { Health } from '../../base/health.ts';
import { millis } from '../../base/time.ts';
import type { MapResponse, PingRequest } from '../../protocol/tailcfg/map-types.ts';
import { formatTime } from '../../protocol/tailcfg/time.ts';
import { mapFault } from '../../protocol/tailcfg/validate.ts';
import type { Coordinator, Network, News } from '../coordinator/coordinator.ts';
import type { LiveNode } from '../registry/live.ts';
import { liveNode } from '../registry/live.ts';
import type { NodeId } from '../registry/model.ts';
import { isExpired } from '../registry/model.ts';
import { Changes } from './changes.ts';
import type { Difference } from './difference.ts';
import { difference, firstMap } from './difference.ts';
import { isEndpointNoise } from './endpoint-noise.ts';
import { Frames, frameOf, textOf } from './frames.ts';
import { Gate } from './gate.ts';
import { keepAliveFrame, keepAlives } from './keep-alive.ts';
import type { MapSink, MapStream, StreamRequest } from './line.ts';
import { Line } from './line.ts';
import { Sharing } from './pages.ts';
import { Rounds } from './rounds.ts';
import type { MapFacts } from './view.ts';
import { Common, revised, view } from './view.ts';

export interface MapHubOptions {
  readonly coordinator: Pick<Coordinator, 'network' | 'connect' | 'disconnect' | 'subscribe'>;
  readonly env: Env;
  readonly facts: MapFacts;
  readonly health?: Pick<Health, 'raise' | 'lower'>;
}

export interface MapCounters {
  readonly streams: number;
  readonly frames: number;
  readonly bytes: number;
  /** Maps that held all peers. */
  readonly fullMaps: number;
  /** Streams that had no room, missed something, and were told what it came to. */
  readonly fallbacks: number;
  /** Nodes and parts that were left out. */
  readonly faults: number;
}

const BETWEEN_ROUNDS = millis(25);

export class MapHub {
  readonly #options: MapHubOptions;
  readonly #lines = new Map<NodeId, Line>();
  readonly #changes = new Changes();
  readonly #common: Common;
  readonly #sharing: Sharing;
  readonly #gate: Gate;
  /** What others last heard of a node that is live. */
  readonly #heardOf = new Map<NodeId, LiveNode>();
  readonly #rounds: Rounds<Line>;
  readonly #firsts: Rounds<Line>;
  /** Streams that were told nothing yet. */
  readonly #waiting = new Set<Line>();
  readonly #frames = new Frames();
  /** Frames of this round that many are told. */
  readonly #told = new Map<string, Uint8Array>();
  readonly #unsubscribe: () => void;
  readonly #count = { frames: 0, bytes: 0, fullMaps: 0, fallbacks: 0 };
  #facts: MapFacts;

  constructor(options: MapHubOptions) {
    const { env, coordinator } = options;
    this.#options = options;
    this.#facts = options.facts;
    this.#sharing = new Sharing(env.log);
    this.#gate = new Gate(this.#sharing, env.log, options.health);
    this.#common = new Common(this.#sharing);
    this.#rounds = new Rounds<Line>({
      env,
      least: BETWEEN_ROUNDS,
      begin: () => [...this.#lines.values()].filter((line) => this.#isBehind(line)),
      visit: (line) => this.#bring(line),
      end: () => {
        this.#told.clear();
        this.#frames.endRound();
        this.#gate.report();
      },
    });
    this.#firsts = new Rounds<Line>({
      env,
      least: millis(0),
      begin: () => this.#takeWaiting(),
      visit: (line) => this.#bring(line),
      end: () => this.#gate.report(),
    });
    this.#unsubscribe = coordinator.subscribe((network, news) => this.#heard(network, news));
  }

  /** Takes the place of an older stream of the node, whose sink it ends. */
  open(node: NodeId, request: StreamRequest, sink: MapSink): MapStream {
    const { coordinator } = this.#options;
    this.#lines.get(node)?.end();
    const line = new Line({ id: node, version: request.version }, request.compress, sink);
    if (!coordinator.network.model.nodes.has(node)) {
      line.end();
      return { drained: () => {}, close: () => {} };
    }
    this.#lines.set(node, line);
    this.#waiting.add(line);
    this.#firsts.want();
    line.session = coordinator.connect(node);
    if (request.keepAlive) this.#keepAlive(line);
    return {
      drained: () => this.#drained(line),
      close: (how) => this.#closed(line, how),
    };
  }

  /** Whether the node has a stream; one that came back within the coordinator's grace has one again. */
  isOpen(node: NodeId): boolean {
    return this.#lines.has(node);
  }

  /**
   * Asks the client of a node to fetch something, at once and in a frame that changes nothing of its map.
   *
   * @returns whether it was said: to a stream that has had its first map and has room
   */
  ping(node: NodeId, request: PingRequest): boolean {
    const line = this.#lines.get(node);
    if (!line?.isListening) return false;
    const map = this.#gate.sound({ KeepAlive: true, PingRequest: request });
    if (map.PingRequest === undefined) return false;
    this.#write(line, frameOf(textOf(map), line.compress));
    return true;
  }

  /** Each stream is told what differs. */
  setFacts(facts: MapFacts): void {
    this.#facts = facts;
    this.#changes.noteFacts();
    this.#rounds.want();
  }

  counters(): MapCounters {
    const faults = this.#gate.faults + this.#sharing.faults;
    return { streams: this.#lines.size, ...this.#count, faults };
  }

  /** Ends all streams; who is online stays the coordinator's matter. */
  close(): void {
    this.#unsubscribe();
    this.#rounds.close();
    this.#firsts.close();
    for (const line of this.#lines.values()) line.end();
    this.#lines.clear();
    this.#waiting.clear();
  }

  #heard(network: Network, news: readonly News[]): void {
    this.#changes.note(news, (node) => this.#isNoise(network, node));
    for (const one of news) {
      if (one.type !== 'node removed') continue;
      this.#heardOf.delete(one.node);
      this.#sharing.faulty.delete(one.node);
      const line = this.#lines.get(one.node);
      if (line !== undefined) this.#sayFarewell(line, network);
    }
    this.#rounds.want();
  }

  #isNoise({ model, live, now }: Network, id: NodeId): boolean {
    const told = this.#heardOf.get(id);
    const its = liveNode(live, id);
    const node = model.nodes.get(id);
    const expired = node !== undefined && isExpired(node, now);
    if (told !== undefined && told !== its && !expired && isEndpointNoise(told, its)) return true;
    this.#heardOf.set(id, its);
    return false;
  }

  #isBehind(line: Line): boolean {
    return line.isListening && line.place < this.#changes.end;
  }

  #takeWaiting(): readonly Line[] {
    const lines = [...this.#waiting];
    this.#waiting.clear();
    return lines;
  }

  /** Tells a stream all that it does not know yet. */
  #bring(line: Line): void {
    if (line.state !== 'ready') return;
    const network = this.#options.coordinator.network;
    const node = network.model.nodes.get(line.viewer.id);
    if (node === undefined) return;
    const { sent, viewer } = line;
    const place = this.#changes.end;
    const facts = this.#facts;
    const next =
      sent === undefined
        ? view(network, viewer, node, facts, this.#common)
        : revised(sent, network, node, facts, this.#changes.since(line.place), this.#common);
    const time = formatTime(network.now);
    const found = sent === undefined ? firstMap(next, time) : difference(sent, next, time);
    line.sent = next;
    line.place = place;
    if (found !== undefined) this.#say(line, found, sent === undefined);
  }

  #say(line: Line, found: Difference, first: boolean): void {
    const key = found.shared ? `${line.compress} ${found.peersKey}` : undefined;
    const known = key === undefined ? undefined : this.#told.get(key);
    if (known !== undefined) {
      this.#write(line, known);
      return;
    }
    const map = this.#gate.sound(found.map);
    if (first && map.Node === undefined) {
      this.#closed(line, 'closed');
      return;
    }
    if (Object.keys(map).length === 0) return;
    if (found.whole !== undefined) this.#count.fullMaps++;
    const frame = line.compress ? this.#frames.frameOf(found, map) : frameOf(textOf(map), false);
    if (key !== undefined) this.#told.set(key, frame);
    this.#write(line, frame);
  }

  #write(line: Line, frame: Uint8Array): void {
    this.#count.frames++;
    this.#count.bytes += frame.length;
    if (!line.sink.write(frame) && line.state === 'ready') line.state = 'full';
  }

  #drained(line: Line): void {
    if (line.state !== 'full') return;
    line.state = 'ready';
    if (line.farewell === undefined && line.place < this.#changes.end) this.#count.fallbacks++;
    this.#goOn(line);
  }

  /** A stream can be written to again. */
  #goOn(line: Line): void {
    if (line.state !== 'ready') return;
    if (line.farewell !== undefined) this.#endWith(line, line.farewell);
    else if (this.#isBehind(line)) this.#rounds.want();
  }

  /** The node is no member any more; its client hears so, or meets a closed stream. */
  #sayFarewell(line: Line, { now }: Network): void {
    const farewell = line.farewellAt(now);
    if (farewell === undefined) this.#forget(line);
    else if (line.state === 'ready') this.#endWith(line, farewell);
    else line.farewell = farewell;
  }

  #endWith(line: Line, last: MapResponse): void {
    if (mapFault(last) === undefined) this.#write(line, frameOf(textOf(last), line.compress));
    this.#forget(line);
  }

  #closed(line: Line, how: 'closed' | 'silent'): void {
    const wasOpen = line.state !== 'ended';
    this.#forget(line);
    if (wasOpen) this.#options.coordinator.disconnect(line.viewer.id, line.session, how);
  }

  #forget(line: Line): void {
    line.end();
    this.#waiting.delete(line);
    if (this.#lines.get(line.viewer.id) === line) this.#lines.delete(line.viewer.id);
  }

  #keepAlive(line: Line): void {
    line.cancelKeepAlive = keepAlives(this.#options.env, () => {
      if (line.isListening) this.#write(line, keepAliveFrame(line.compress));
    });
  }
}
