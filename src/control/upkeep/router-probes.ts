/**
 * Routers that stand in for each other are asked whether they are there: by a PingRequest on the map stream, to
 * which a client answers with a HEAD request inside Noise. Who is not heard is unhealthy, and its prefixes move.
 *
 *     idle ──a prefix has two connected routers──> second 0    ask each of them, with a new id
 *       ^                                          second 5    who has not answered is unhealthy; ids are forgotten
 *       └─── none has two: all are healthy <────── second 10   is second 0
 *
 *     healthy ──no answer, but one before in this stream──> unhealthy ──an answer, or another stream──> healthy
 *
 * A client that has never answered in its stream may be one that cannot, and is left alone; so is one whose
 * stream is closed or full, which is for others to judge. A router that is no longer one of two is healthy again:
 * where nobody stands in, a doubtful one is better than none.
 *
 * An answer counts once, within its 5 s, and from the machine that was asked. Seconds are ticks: while our own
 * loop stands still none passes, so a stall of ours makes nobody unhealthy.
 *
 * Source: reference/protocol.md 3.3, 8.
 */

import { toHex } from '../../base/bytes.ts';
import type { Env } from '../../base/env.ts';
import type { Health } from '../../base/health.ts';
import { after, millis } from '../../base/time.ts';
import type { MachineKeyText } from '../../protocol/tailcfg/keys.ts';
import type { PingRequest } from '../../protocol/tailcfg/map-types.ts';
import type { Coordinator, Network, News } from '../coordinator/coordinator.ts';
import { effectiveRoutes } from '../registry/effective-routes.ts';
import { isOnline, liveNode } from '../registry/live.ts';
import type { NodeId } from '../registry/model.ts';
import { routersOf } from '../registry/routes.ts';

const TICK = millis(1000);
const ROUND_TICKS = 10;
const PATIENCE_TICKS = 5;
const ID_BYTES = 16;
const ITEM = 'router-silent';
const MAX_NAMED = 3;

export interface RouterProbesOptions {
  readonly coordinator: Pick<Coordinator, 'network' | 'probed' | 'subscribe'>;
  /** The streams of control/map. */
  readonly maps: {
    isOpen(node: NodeId): boolean;
    ping(node: NodeId, request: PingRequest): boolean;
  };
  readonly env: Env;
  readonly health: Pick<Health, 'raise' | 'lower'>;
  /** What clients know the server by: `http://192.168.1.2:8080`. */
  controlUrl(): string;
}

export interface ProbeCounters {
  readonly asked: number;
  readonly answered: number;
  /** Of clients that cannot answer too. */
  readonly unanswered: number;
}

/** A question that was put to a stream. */
interface Question {
  readonly node: NodeId;
  readonly machine: MachineKeyText;
  readonly session: number;
}

export class RouterProbes {
  readonly #options: RouterProbesOptions;
  /** By id. */
  readonly #waiting = new Map<string, Question>();
  /** The session in which a router has last answered. */
  readonly #answered = new Map<NodeId, number>();
  readonly #count = { asked: 0, answered: 0, unanswered: 0 };
  readonly #unsubscribe: () => void;
  #cancel: (() => void) | undefined;
  #second = 0;

  constructor(options: RouterProbesOptions) {
    this.#options = options;
    this.#unsubscribe = options.coordinator.subscribe((network, news) => {
      if (this.#cancel !== undefined || !news.some((one) => isOfRouter(network, one))) return;
      if (standIns(network).size > 0) this.#arm();
    });
  }

  /** @param machine whose request it is, where it came inside Noise. @returns whether it was waited for */
  answered(id: string, machine: MachineKeyText | undefined): boolean {
    const question = this.#waiting.get(id);
    if (question === undefined || question.machine !== machine) return false;
    this.#waiting.delete(id);
    this.#count.answered++;
    const { node, session } = question;
    const { coordinator } = this.#options;
    const its = liveNode(coordinator.network.live, node);
    if (its.session !== session) return true;
    this.#answered.set(node, session);
    if (!its.healthy) this.#judge(node, true);
    return true;
  }

  counters(): ProbeCounters {
    return { ...this.#count };
  }

  close(): void {
    this.#unsubscribe();
    this.#cancel?.();
  }

  #arm(): void {
    const { env } = this.#options;
    this.#cancel = env.setTimer(after(env.now(), TICK), () => this.#tick());
  }

  #tick(): void {
    this.#cancel = undefined;
    const second = this.#second;
    this.#second = (second + 1) % ROUND_TICKS;
    if (second === 0 && !this.#ask()) this.#second = 0;
    else {
      if (second === PATIENCE_TICKS) this.#miss();
      this.#arm();
    }
  }

  /** @returns whether there is anybody to ask */
  #ask(): boolean {
    const { coordinator, maps, env, controlUrl } = this.#options;
    const { network } = coordinator;
    const asked = standIns(network);
    this.#release(asked);
    // Inside Noise a client fetches https alone, and by the server's own name on the connection that it has.
    const url = controlUrl().replace(/^http:/, 'https:');
    for (const node of asked) {
      const machine = network.model.nodes.get(node)?.machine;
      const id = toHex(env.random(ID_BYTES));
      const request = { URL: `${url}/machine/ping-response?id=${id}`, URLIsNoise: true };
      if (machine === undefined || !maps.ping(node, request)) continue;
      this.#waiting.set(id, { node, machine, session: liveNode(network.live, node).session });
      this.#count.asked++;
    }
    return asked.size > 0;
  }

  /** Those who are not asked any more. */
  #release(asked: ReadonlySet<NodeId>): void {
    const { coordinator } = this.#options;
    for (const node of this.#answered.keys()) {
      if (asked.has(node)) continue;
      this.#answered.delete(node);
      coordinator.probed(node, true);
    }
    this.#report();
  }

  #miss(): void {
    const { coordinator, maps } = this.#options;
    const missed = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#count.unanswered += missed.length;
    for (const { node, session } of missed) {
      const its = liveNode(coordinator.network.live, node);
      const could = its.session === session && this.#answered.get(node) === session;
      if (could && its.healthy && maps.isOpen(node)) this.#judge(node, false);
    }
  }

  #judge(node: NodeId, healthy: boolean): void {
    const { coordinator, env } = this.#options;
    env.log.info(`routers: ${healthy ? 'answers again' : 'does not answer'}`, { node });
    coordinator.probed(node, healthy);
    this.#report();
  }

  #report(): void {
    const { coordinator, health } = this.#options;
    const { model, live } = coordinator.network;
    const silent = [...this.#answered.keys()].filter((node) => !liveNode(live, node).healthy);
    if (silent.length === 0) {
      health.lower(ITEM);
      return;
    }
    const names = silent.slice(0, MAX_NAMED).map((node) => model.nodes.get(node)?.name ?? node);
    health.raise({
      code: ITEM,
      severity: 'warning',
      text: `${silent.length} connected but silent, so others route in their place: ${names.join(', ')}`,
      remedy: 'look at the load of these machines, or restart their client',
    });
  }
}

/** Connected routers of prefixes that have at least two. */
function standIns({ model, live, now }: Network): ReadonlySet<NodeId> {
  const found = new Set<NodeId>();
  for (const routers of routersOf(model, now).values()) {
    if (routers.length < 2) continue;
    const connected = routers.filter((node) => isOnline(live, node));
    if (connected.length >= 2) for (const node of connected) found.add(node);
  }
  return found;
}

/** Whether it may be why there is somebody to ask; most news are of nodes that route nothing. */
function isOfRouter({ model }: Network, news: News): boolean {
  const node = 'node' in news ? model.nodes.get(news.node) : undefined;
  return node !== undefined && effectiveRoutes(node).length > 0;
}
