/** A virtual clock: time moves only from one event to the next, so a day takes as long as its events. */

import type { Millis } from '../../src/base/time.ts';
import { millis } from '../../src/base/time.ts';

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly action: () => void;
  cancelled: boolean;
}

export class Clock {
  #now = 0;
  #order = 0;
  readonly #heap: Entry[] = [];

  now(): Millis {
    return millis(this.#now);
  }

  /** Calls `action` at `at`; entries of one instant keep their order. */
  setTimer(at: number, action: () => void): () => void {
    const entry = { at: Math.max(at, this.#now), order: this.#order++, action, cancelled: false };
    this.#push(entry);
    return () => {
      entry.cancelled = true;
    };
  }

  /** Lives through everything up to `until`. */
  runTo(until: number): void {
    for (
      let entry = this.#heap[0];
      entry !== undefined && entry.at <= until;
      entry = this.#heap[0]
    ) {
      this.#pop();
      if (entry.cancelled) continue;
      this.#now = entry.at;
      entry.action();
    }
    this.#now = until;
  }

  /** Events that are still to come. */
  get pending(): number {
    return this.#heap.filter((entry) => !entry.cancelled).length;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(entry, heap[parent] as Entry)) break;
      heap[i] = heap[parent] as Entry;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry))
        child++;
      if (!before(heap[child] as Entry, last)) break;
      heap[i] = heap[child] as Entry;
      i = child;
    }
    heap[i] = last;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
