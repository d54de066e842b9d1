/**
 * Machines that wait for a person: each has asked by a follow-up, and is answered when its approval is settled,
 * pushed out by a newer one, or over.
 *
 *     wait ──approval settled, gone or run out──> look again
 *          ├──the machine hung up──> gone
 *          └──the server stops──> leaving
 */

import type { Coordinator, Network, News } from '../coordinator/coordinator.ts';

export type WaitEnd = 'look again' | 'gone' | 'leaving';

interface Waiter {
  readonly approval: string;
  readonly end: (how: WaitEnd) => void;
}

export class Followups {
  readonly #coordinator: Pick<Coordinator, 'network'>;
  readonly #waiters = new Set<Waiter>();
  readonly #unsubscribe: () => void;

  constructor(coordinator: Pick<Coordinator, 'network' | 'subscribe'>) {
    this.#coordinator = coordinator;
    this.#unsubscribe = coordinator.subscribe((network, news) => this.#heard(network, news));
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** @param asked is given what ends the wait from outside */
  async wait(approval: string, asked: (end: (how: WaitEnd) => void) => void): Promise<WaitEnd> {
    const { promise, resolve } = Promise.withResolvers<WaitEnd>();
    const waiter = { approval, end: resolve };
    this.#waiters.add(waiter);
    asked(resolve);
    // It may have been settled between the decision to wait and now.
    if (isOver(waiter, this.#coordinator.network)) resolve('look again');
    const end = await promise;
    this.#waiters.delete(waiter);
    return end;
  }

  /** Ends the waits whose approvals have run out. */
  tick(): void {
    const { network } = this.#coordinator;
    for (const waiter of this.#waiters) if (isOver(waiter, network)) waiter.end('look again');
  }

  close(): void {
    this.#unsubscribe();
    for (const waiter of this.#waiters) waiter.end('leaving');
  }

  #heard(network: Network, news: readonly News[]): void {
    if (this.#waiters.size === 0 || !news.some(isOfInterest)) return;
    for (const waiter of this.#waiters) if (isOver(waiter, network)) waiter.end('look again');
  }
}

function isOfInterest({ type }: News): boolean {
  return type === 'approval opened' || type === 'approval settled';
}

function isOver({ approval }: Waiter, { model, now }: Network): boolean {
  const waits = model.approvals.get(approval);
  return waits === undefined || waits.refused || now >= waits.expires;
}
