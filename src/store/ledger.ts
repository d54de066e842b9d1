/**
 * The ledger: one change after another, each acknowledged only when it is on the disk.
 *
 *     change ──reduce──> pending ──commit──> published ──> listeners, then the caller
 *                           │        one at a time; what came meanwhile is the next group
 *                           └── commit failed: pending is published again, and everybody
 *                               whose change was in it or built on it gets the error
 *
 * `model` is what is published: readers never wait and never see what a power cut could take back. A change
 * is reduced at once against the pending model, so of two that want the last use of something the second is
 * refused; a refusal is told in its turn, since what it saw may yet be dropped. A group whose models differ
 * in no row costs no commit.
 */

import { BugError, NetError } from '../base/errors.ts';
import type { Commit, CommitPort, Row } from './port.ts';

/** A change as its function makes it. */
export interface Made<M, E> {
  readonly ok: true;
  readonly model: M;
  readonly events: readonly E[];
  /** Its line of the log; null for none. */
  readonly audit: { readonly at: number } | null;
}

export interface NotMade {
  readonly ok: false;
}

/** Told after each change, in order: a model that is on the disk, and what led to it. */
export type Listener<M, E> = (model: M, events: readonly E[]) => void;

export interface LedgerOptions<M> {
  /** As the store has it. */
  readonly model: M;
  readonly store: CommitPort;
  rowsBetween(before: M, after: M): readonly Row[];
}

/** Changes that wait for the disk; more come only where it has stopped, and each costs memory. */
export const MAX_WAITING = 10_000;

interface Entry<M, E> {
  readonly outcome: Made<M, E> | NotMade;
  readonly settle: () => void;
  readonly reject: (error: unknown) => void;
}

export class Ledger<M, E> {
  readonly #options: LedgerOptions<M>;
  readonly #listeners = new Set<Listener<M, E>>();
  #published: M;
  #pending: M;
  #waiting: Entry<M, E>[] = [];
  /** Those of the commit that is under way. */
  #underWay = 0;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: LedgerOptions<M>) {
    this.#options = options;
    this.#published = options.model;
    this.#pending = options.model;
  }

  /** What is acknowledged. */
  get model(): M {
    return this.#published;
  }

  /** How many changes wait for the disk. */
  get waiting(): number {
    return this.#waiting.length + this.#underWay;
  }

  /**
   * Makes a change, or learns why not.
   *
   * @param reduce called once, at once; what it throws is thrown here, and changes nothing
   * @throws NetError where it could not be saved, or an earlier change that it built on; nothing has changed
   */
  async change<O extends Made<M, E> | NotMade>(reduce: (model: M) => O): Promise<O> {
    if (this.#closed) throw new NetError('store: it is being closed');
    if (this.waiting >= MAX_WAITING)
      throw new NetError(`store: ${this.waiting} changes wait for the disk; try again later`);
    const outcome = reduce(this.#pending);
    if (outcome.ok) this.#pending = outcome.model;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ outcome, settle: () => resolve(outcome), reject });
      this.#running ??= this.#run();
    });
  }

  /** The result ends it. A listener must not throw. */
  subscribe(listener: Listener<M, E>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when everything asked before is settled; later changes are refused. The store stays open. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    // Changes of this very turn go together.
    await undefined;
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      this.#underWay = group.length;
      try {
        await this.#save(group);
      } catch (error) {
        this.#drop(group, error);
      }
      this.#underWay = 0;
    }
    this.#running = undefined;
  }

  async #save(group: readonly Entry<M, E>[]): Promise<void> {
    const made = group.map(({ outcome }) => outcome).filter((outcome) => outcome.ok);
    const last = made.at(-1);
    if (last !== undefined) {
      const commit: Commit = {
        rows: this.#options.rowsBetween(this.#published, last.model),
        log: made.flatMap(({ audit }) =>
          audit === null ? [] : [{ at: audit.at, body: JSON.stringify(audit) }],
        ),
      };
      if (commit.rows.length + commit.log.length > 0) await this.#options.store.commit(commit);
    }
    for (const { outcome, settle } of group) {
      if (outcome.ok) this.#publish(outcome);
      settle();
    }
  }

  #publish({ model, events }: Made<M, E>): void {
    this.#published = model;
    for (const listener of this.#listeners)
      try {
        listener(model, events);
      } catch (error) {
        // The change is made and saved; it must not look as if it had failed. The process hears of it.
        queueMicrotask(() => {
          throw new BugError('a listener of the ledger threw', { cause: error });
        });
      }
  }

  /** The group, and all that was reduced on top of it. */
  #drop(group: readonly Entry<M, E>[], error: unknown): void {
    const after = this.#waiting;
    this.#waiting = [];
    this.#pending = this.#published;
    for (const { reject } of group) reject(error);
    const text = `an earlier change could not be saved: ${(error as Error).message}`;
    for (const { reject } of after) reject(new NetError(text, { cause: error }));
  }
}
