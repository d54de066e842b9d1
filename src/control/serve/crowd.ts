/**
 * A crowd of strangers: bounded in all and for each group (an address). For a new one the oldest goes that does
 * nothing, of the same group where that is full; where none is idle the new one has no place.
 *
 * So a flood pushes out its own, and who is being served stays.
 */

export interface Admission<T> {
  readonly admitted: boolean;
  /** Has been taken out; its end is the caller's. */
  readonly evicted: T | undefined;
}

export class Crowd<T extends object> {
  readonly #most: number;
  readonly #mostOfGroup: number;
  readonly #isIdle: (member: T) => boolean;
  /** In order of their coming. */
  readonly #members = new Map<T, string | undefined>();
  readonly #counts = new Map<string, number>();

  constructor(most: number, mostOfGroup: number, isIdle: (member: T) => boolean = () => true) {
    this.#most = most;
    this.#mostOfGroup = mostOfGroup;
    this.#isIdle = isIdle;
  }

  get size(): number {
    return this.#members.size;
  }

  has(member: T): boolean {
    return this.#members.has(member);
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.#members.keys();
  }

  /** @param group undefined: bounded with all alone */
  admit(member: T, group: string | undefined): Admission<T> {
    const groupIsFull = group !== undefined && (this.#counts.get(group) ?? 0) >= this.#mostOfGroup;
    let evicted: T | undefined;
    if (groupIsFull || this.#members.size >= this.#most) {
      evicted = this.#oldestIdle(groupIsFull ? group : undefined);
      if (evicted === undefined) return { admitted: false, evicted };
      this.remove(evicted);
    }
    this.#members.set(member, group);
    if (group !== undefined) this.#counts.set(group, (this.#counts.get(group) ?? 0) + 1);
    return { admitted: true, evicted };
  }

  remove(member: T): void {
    const group = this.#members.get(member);
    if (!this.#members.delete(member) || group === undefined) return;
    const count = (this.#counts.get(group) ?? 0) - 1;
    if (count > 0) this.#counts.set(group, count);
    else this.#counts.delete(group);
  }

  #oldestIdle(group: string | undefined): T | undefined {
    for (const [member, its] of this.#members)
      if ((group === undefined || its === group) && this.#isIdle(member)) return member;
    return undefined;
  }
}
