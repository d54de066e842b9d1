/**
 * What this network lets through: rounds of STUN to the relays, and HTTPS where UDP gets no answer.
 *
 *               any peer active: 20 to 26 s after the last round
 *     silent ------------------------------------------------------> light   home and the two nearest
 *       ^    a map, a changed link, a person, 5 minutes since             |
 *       |    the last one -----------------------------------> full       | no answer at all
 *       |                                                      ^   all regions
 *       |                                                      +----------+
 *       +---- result: endpoints, latencies, whether the NAT is easy ------+
 *
 * With no peer active there is no round, and so no packet. One round at a time; who asks for one while it
 * runs gets its result, unless he wants a full one and it is light.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import type { Env } from '../../base/env.ts';
import { IPV4_BYTES, IPV6_BYTES } from '../../base/ip.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis, seconds } from '../../base/time.ts';
import { LONG_AGO } from '../../protocol/disco/candidates.ts';
import type { DERPMap } from '../../protocol/tailcfg/types.ts';
import type { PathsPorts } from './ports.ts';
import type { AnswerDrop, StunAnswer } from './stun-round.ts';
import { mappingVaries, StunRound } from './stun-round.ts';
import { StunTargets } from './stun-targets.ts';

const FULL_EVERY: Millis = seconds(300);
const AGAIN_MILLIS = 20_000;
const AGAIN_SPREAD_MILLIS = 6000;
const LIGHT_REGIONS = 3;
/** So many regions are asked by HTTPS, each with a TLS connection of its own. */
const HTTPS_REGIONS = 6;
const HTTPS_PATIENCE: Millis = seconds(5);

export interface CheckResult {
  readonly full: boolean;
  readonly answers: readonly StunAnswer[];
  /** By region, where UDP was blocked; in milliseconds. */
  readonly https: ReadonlyMap<number, number>;
  readonly mappingVaries: boolean | undefined;
}

export interface NetcheckEvents {
  /** A first answer of a family in a round: endpoints can be told without waiting for the others. */
  answered(answer: StunAnswer): void;
  result(result: CheckResult): void;
}

type Ports = Pick<PathsPorts, 'sendUdp' | 'localEndpoints' | 'measureRelay' | 'resolve'>;

export class Netcheck {
  readonly #env: Env;
  readonly #ports: Ports;
  readonly #events: NetcheckEvents;
  readonly #targets: StunTargets;
  #round: { readonly stun: StunRound; readonly full: boolean } | undefined;
  /** Counts what was given up, so that a late HTTPS measurement does not speak for another network. */
  #epoch = 0;
  #fullWanted = false;
  #waiting: ((result: CheckResult | undefined) => void)[] = [];
  #nearest: readonly number[] = [];
  #home = 0;
  #active = false;
  #knownAt: Millis = LONG_AGO;
  #fullAt: Millis = LONG_AGO;
  #cancelTimer: () => void = () => {};

  constructor(env: Env, ports: Ports, events: NetcheckEvents) {
    this.#env = env;
    this.#ports = ports;
    this.#events = events;
    this.#targets = new StunTargets((host) => ports.resolve(host));
    this.#targets.onResolved = () => this.#round?.stun.add(this.#wanted(this.#round.full));
  }

  setMap(map: DERPMap): void {
    this.#targets.setMap(map);
    this.restart();
  }

  setHome(region: number): void {
    this.#home = region;
  }

  /** Whether any peer is active: only then are there rounds by the clock. */
  setActive(active: boolean): void {
    if (active === this.#active) return;
    this.#active = active;
    this.#schedule();
  }

  /** Whether the last round found what it found, be it nothing, less than `age` ago. */
  isFresh(age: Millis): boolean {
    return this.#env.now() < this.#knownAt + age;
  }

  /** What was known is of another network. */
  restart(): void {
    this.#epoch++;
    this.#round?.stun.cancel();
    this.#round = undefined;
    this.#knownAt = LONG_AGO;
    this.#targets.forgetNames();
    this.start(true);
  }

  start(full: boolean): void {
    if (this.#round !== undefined) {
      if (full && !this.#round.full) this.#fullWanted = true;
      return;
    }
    const now = this.#env.now();
    const all = full || this.#nearest.length === 0 || now >= this.#fullAt + FULL_EVERY;
    this.#cancelTimer();
    const events = {
      send: (to: Endpoint, datagram: Uint8Array) => this.#ports.sendUdp(to, datagram),
      answered: (answer: StunAnswer) => {
        this.#knownAt = this.#env.now();
        this.#events.answered(answer);
      },
      over: (answers: readonly StunAnswer[]) => this.#over(answers, all),
    };
    this.#round = { stun: new StunRound(this.#env, this.#wanted(all), events), full: all };
  }

  /** The result of a full round; undefined if it was given up for a changed network or the end. */
  check(): Promise<CheckResult | undefined> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.start(true);
    });
  }

  receive(datagram: Uint8Array, from: Endpoint): AnswerDrop | undefined {
    return this.#round === undefined
      ? 'stun: unknown transaction'
      : this.#round.stun.receive(datagram, from);
  }

  close(): void {
    this.#epoch++;
    this.#active = false;
    this.#round?.stun.cancel();
    this.#round = undefined;
    this.#cancelTimer();
    for (const resolve of this.#waiting.splice(0)) resolve(undefined);
  }

  #wanted(full: boolean): ReturnType<StunTargets['of']> {
    const all = this.#targets.regions();
    const near = [this.#home, ...this.#nearest].filter((region) => all.includes(region));
    const regions = full ? all : [...new Set(near)].slice(0, LIGHT_REGIONS);
    const local = this.#ports.localEndpoints();
    const families = new Set([IPV4_BYTES]);
    if (local.some(({ address }) => address.length === IPV6_BYTES)) families.add(IPV6_BYTES);
    return this.#targets.of(regions, families);
  }

  #over(answers: readonly StunAnswer[], full: boolean): void {
    this.#round = undefined;
    if (answers.length === 0 && !full) {
      this.start(true);
      return;
    }
    if (answers.length > 0 || this.#targets.regions().length === 0) {
      this.#finish(answers, full, new Map());
      return;
    }
    const epoch = this.#epoch;
    this.#byHttps((https) => {
      if (epoch === this.#epoch && this.#round === undefined) this.#finish([], full, https);
    });
  }

  #finish(answers: readonly StunAnswer[], full: boolean, https: ReadonlyMap<number, number>): void {
    this.#knownAt = this.#env.now();
    if (full) this.#fullAt = this.#knownAt;
    if (full) this.#nearest = nearest(answers);
    const result = { full, answers, https, mappingVaries: mappingVaries(answers) };
    this.#events.result(result);
    if (full) for (const resolve of this.#waiting.splice(0)) resolve(result);
    if (this.#fullWanted && !full) this.start(true);
    this.#fullWanted = false;
    this.#schedule();
  }

  #byHttps(done: (latencies: ReadonlyMap<number, number>) => void): void {
    const latencies = new Map<number, number>();
    const all = this.#targets.regions();
    const regions = [...new Set([this.#home, ...all])].filter((region) => all.includes(region));
    let open = 1;
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      cancel();
      done(latencies);
    };
    const cancel = this.#env.setTimer(after(this.#env.now(), HTTPS_PATIENCE), end);
    const settle = (): void => {
      open--;
      if (open === 0) end();
    };
    for (const region of regions.slice(0, HTTPS_REGIONS)) {
      open++;
      const measured = (latency: Millis): void => {
        latencies.set(region, latency);
        settle();
      };
      this.#ports.measureRelay(region).then(measured, settle);
    }
    settle();
  }

  #schedule(): void {
    this.#cancelTimer();
    if (!this.#active || this.#round !== undefined) return;
    const [chance = 0] = this.#env.random(1);
    const pause = millis(AGAIN_MILLIS + (AGAIN_SPREAD_MILLIS * chance) / 255);
    this.#cancelTimer = this.#env.setTimer(after(this.#env.now(), pause), () => this.start(false));
  }
}

function nearest(answers: readonly StunAnswer[]): readonly number[] {
  const sorted = [...answers].sort((a, b) => a.latencyMillis - b.latencyMillis);
  return [...new Set(sorted.map(({ target }) => target.region))];
}
