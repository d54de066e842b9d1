/**
 * All sessions: who has a place, and the sweep that looks at each once a second.
 *
 *     opened ──> strangers (crowd.ts) ──proved, a member's machine──> members, a few for each machine
 *                    └──registered──────────────────────────────────────^
 */

import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { MachineKeyText } from '../../protocol/tailcfg/keys.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import { Crowd } from './crowd.ts';
import type { Limits } from './limits.ts';
import type { SessionHost, SessionStart } from './session.ts';
import { Session } from './session.ts';
import type { Tally } from './tally.ts';

export interface SessionsOptions {
  readonly coordinator: Pick<Coordinator, 'network'>;
  readonly tally: Tally;
  readonly limits: Limits;
  request(session: Session, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void;
}

export class Sessions implements SessionHost {
  readonly tally: Tally;
  readonly #options: SessionsOptions;
  readonly #strangers: Crowd<Session>;
  /** Of each machine in order of their coming. */
  readonly #members = new Map<MachineKeyText, Set<Session>>();
  #memberCount = 0;
  #whenEmpty: (() => void) | undefined;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.tally = options.tally;
    const { strangers, strangersOfAddress } = options.limits;
    this.#strangers = new Crowd(strangers, strangersOfAddress, (session) => session.isIdle);
  }

  get strangers(): number {
    return this.#strangers.size;
  }

  get members(): number {
    return this.#memberCount;
  }

  /** A session that has its place, to be started; undefined: there is none. */
  open(start: Omit<SessionStart, 'host'>): Session | undefined {
    const session = new Session({ ...start, host: this });
    const { admitted, evicted } = this.#strangers.admit(session, start.remote.group);
    evicted?.refuse('ts2021: too many sessions');
    if (!admitted) return undefined;
    this.tally.count('ts2021: opened');
    return session;
  }

  isMember(machine: MachineKeyText): boolean {
    return this.#options.coordinator.network.model.index.nodesByMachine.has(machine);
  }

  /** The session is a member's, where its machine is one by now. */
  proved(session: Session): void {
    if (!this.#strangers.has(session) || !this.isMember(session.machine)) return;
    this.#strangers.remove(session);
    const its = this.#members.get(session.machine) ?? new Set<Session>();
    this.#members.set(session.machine, its);
    if (its.size >= this.#options.limits.sessionsOfMachine) {
      const [oldest] = [...its].sort((a, b) => Number(a.hasLongPoll) - Number(b.hasLongPoll));
      oldest?.refuse('ts2021: too many sessions');
    }
    its.add(session);
    this.#memberCount++;
  }

  request(session: Session, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    this.#options.request(session, stream, headers);
  }

  ended(session: Session): void {
    this.#strangers.remove(session);
    const its = this.#members.get(session.machine);
    if (its?.delete(session)) this.#memberCount--;
    if (its?.size === 0) this.#members.delete(session.machine);
    if (this.#strangers.size + this.#memberCount === 0) this.#whenEmpty?.();
  }

  tick(): void {
    for (const session of this.#all()) session.tick();
  }

  /** Each is told to come back. @param done is called when all have gone */
  leave(done: () => void): void {
    this.#whenEmpty = done;
    const all = this.#all();
    if (all.length === 0) done();
    for (const session of all) session.leave();
  }

  end(): void {
    for (const session of this.#all()) session.end();
  }

  #all(): readonly Session[] {
    return [...this.#strangers, ...[...this.#members.values()].flatMap((its) => [...its])];
  }
}
