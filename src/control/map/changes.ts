/**
 * What news have named, in order, so that each stream can ask what was touched since it last looked: a stream
 * keeps one number, however much happens while it cannot be written to.
 *
 *     ... forgotten | 7 live 3 | 8 member 9 | 9 live 3 | end        a stream at 8 is told: 9 is another member,
 *                                                                   3 is live in another way
 *     a stream at a forgotten place, or news of everything          all is touched
 */

import type { News } from '../coordinator/coordinator.ts';
import type { NodeId } from '../registry/model.ts';
import { rangeOf } from './pages.ts';

export interface Touched {
  /** Everything may differ. */
  readonly all: boolean;
  /** Other members, other rights, other devices. */
  readonly members: ReadonlySet<NodeId>;
  /** Connected, moved, expired. */
  readonly live: ReadonlySet<NodeId>;
  /** Both, by page. */
  readonly byRange: ReadonlyMap<number, ReadonlySet<NodeId>>;
}

/** One that is further behind than this looks at everything again. */
const KEPT = 8192;

type Entry =
  | { readonly kind: 'member' | 'live'; readonly node: NodeId }
  | { readonly kind: 'all' | 'facts' };

export class Changes {
  #first = 0;
  #entries: Entry[] = [];
  readonly #since = new Map<number, Touched>();

  /** The place behind the last entry. */
  get end(): number {
    return this.#first + this.#entries.length;
  }

  /** @param isNoise whether a live change of this node is nothing that others need to hear */
  note(news: readonly News[], isNoise: (node: NodeId) => boolean): void {
    const before = this.end;
    for (const one of news) this.#noteOne(one, isNoise);
    if (this.end === before) return;
    this.#since.clear();
    const extra = this.#entries.length - KEPT;
    if (extra < KEPT) return;
    this.#entries = this.#entries.slice(extra);
    this.#first += extra;
  }

  /** Main knows something new; no node is touched by it. */
  noteFacts(): void {
    this.#entries.push({ kind: 'facts' });
    this.#since.clear();
  }

  since(place: number): Touched {
    const known = this.#since.get(place);
    if (known !== undefined) return known;
    const from = place - this.#first;
    const entries = from < 0 ? [] : this.#entries.slice(from);
    const all = from < 0 || entries.some(({ kind }) => kind === 'all');
    const members = new Set<NodeId>();
    const live = new Set<NodeId>();
    for (const entry of all ? [] : entries)
      if ('node' in entry) (entry.kind === 'member' ? members : live).add(entry.node);
    const byRange = new Map<number, Set<NodeId>>();
    for (const id of [...members, ...live]) {
      const ids = byRange.get(rangeOf(id));
      if (ids === undefined) byRange.set(rangeOf(id), new Set([id]));
      else ids.add(id);
    }
    const touched = { all, members, live, byRange };
    this.#since.set(place, touched);
    return touched;
  }

  #noteOne(one: News, isNoise: (node: NodeId) => boolean): void {
    switch (one.type) {
      case 'node added':
      case 'node changed':
      case 'node removed':
      case 'devices changed':
        this.#entries.push({ kind: 'member', node: one.node });
        return;
      case 'node live':
        if (!isNoise(one.node)) this.#entries.push({ kind: 'live', node: one.node });
        return;
      case 'primaries moved':
        for (const node of one.nodes) this.#entries.push({ kind: 'live', node });
        return;
      case 'user changed':
      case 'user removed':
      case 'dns changed':
      case 'policy changed':
        this.#entries.push({ kind: 'all' });
        return;
      case 'approval opened':
      case 'approval settled':
      case 'keys changed':
        return;
    }
  }
}
