/**
 * A map that is never changed: `set` and `delete` give another one that shares all but one path with it, so
 * that a change among thousands of nodes copies a few small arrays.
 *
 *     branch    bitmap 32 | one slot for each bit that is set     5 bits of the key's hash choose the bit
 *     slot      entry (key, value), or a branch for the next 5 bits
 *     bucket    entries of one hash, below the 7th branch
 *
 * What two maps share is the same object, so `changedSince` walks only the paths that differ: a difference
 * costs as much as the changes that made it.
 *
 * Source: P. Bagwell, "Ideal Hash Trees", EPFL, 2001.
 */

export type Key = string | number;

interface Entry<K, V> {
  readonly kind: 'entry';
  readonly key: K;
  readonly value: V;
}
interface Branch<K, V> {
  readonly kind: 'branch';
  readonly bitmap: number;
  readonly slots: readonly Slot<K, V>[];
}
interface Bucket<K, V> {
  readonly kind: 'bucket';
  readonly entries: readonly Entry<K, V>[];
}
type Slot<K, V> = Entry<K, V> | Branch<K, V> | Bucket<K, V>;

const BITS = 5;
const MASK = 31;
const HASH_BITS = 32;

/** One key whose value differs; undefined on the side that has it not. */
export interface Changed<K, V> {
  readonly key: K;
  readonly before: V | undefined;
  readonly after: V | undefined;
}

export class PersistentMap<K extends Key, V> {
  readonly size: number;
  readonly #root: Slot<K, V> | undefined;

  private constructor(root: Slot<K, V> | undefined, size: number) {
    this.#root = root;
    this.size = size;
  }

  static empty<K extends Key, V>(): PersistentMap<K, V> {
    return new PersistentMap<K, V>(undefined, 0);
  }

  get(key: K): V | undefined {
    const hash = hashOf(key);
    let slot = this.#root;
    for (let shift = 0; slot?.kind === 'branch'; shift += BITS) {
      const bit = bitOf(hash, shift);
      slot = (slot.bitmap & bit) === 0 ? undefined : slot.slots[indexOf(slot.bitmap, bit)];
    }
    if (slot?.kind === 'bucket') return slot.entries.find((entry) => entry.key === key)?.value;
    return slot?.key === key ? slot.value : undefined;
  }

  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  /** The same map where the key has this very value already. */
  set(key: K, value: V): PersistentMap<K, V> {
    const old = this.get(key);
    if (old === value) return this;
    const root = inserted(this.#root, hashOf(key), 0, { kind: 'entry', key, value });
    return new PersistentMap(root, this.size + (old === undefined ? 1 : 0));
  }

  delete(key: K): PersistentMap<K, V> {
    if (this.#root === undefined || !this.has(key)) return this;
    return new PersistentMap(removed(this.#root, hashOf(key), 0, key), this.size - 1);
  }

  /** In no order that means anything. */
  *entries(): Generator<readonly [K, V]> {
    for (const { key, value } of entriesOf(this.#root)) yield [key, value];
  }

  *keys(): Generator<K> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): Generator<V> {
    for (const { value } of entriesOf(this.#root)) yield value;
  }

  /** What one must do to `before` to have this map; values are compared by identity. */
  changedSince(before: PersistentMap<K, V>): readonly Changed<K, V>[] {
    const changes: Changed<K, V>[] = [];
    difference(before.#root, this.#root, changes);
    return changes;
  }
}

function inserted<K extends Key, V>(
  slot: Slot<K, V> | undefined,
  hash: number,
  shift: number,
  entry: Entry<K, V>,
): Slot<K, V> {
  if (slot === undefined) return entry;
  switch (slot.kind) {
    case 'entry': {
      if (slot.key === entry.key) return entry;
      if (shift >= HASH_BITS) return { kind: 'bucket', entries: [slot, entry] };
      const bitmap = bitOf(hashOf(slot.key), shift);
      return inserted({ kind: 'branch', bitmap, slots: [slot] }, hash, shift, entry);
    }
    case 'bucket':
      return {
        kind: 'bucket',
        entries: [...slot.entries.filter(({ key }) => key !== entry.key), entry],
      };
    case 'branch': {
      const bit = bitOf(hash, shift);
      const index = indexOf(slot.bitmap, bit);
      if ((slot.bitmap & bit) === 0)
        return {
          kind: 'branch',
          bitmap: slot.bitmap | bit,
          slots: slot.slots.toSpliced(index, 0, entry),
        };
      const child = inserted(slot.slots[index], hash, shift + BITS, entry);
      return { kind: 'branch', bitmap: slot.bitmap, slots: slot.slots.with(index, child) };
    }
  }
}

/** The slot without a key that is in it; a branch or bucket with one entry left becomes that entry. */
function removed<K extends Key, V>(
  slot: Slot<K, V>,
  hash: number,
  shift: number,
  key: K,
): Slot<K, V> | undefined {
  switch (slot.kind) {
    case 'entry':
      return undefined;
    case 'bucket': {
      const entries = slot.entries.filter((entry) => entry.key !== key);
      return entries.length === 1 ? entries[0] : { kind: 'bucket', entries };
    }
    case 'branch': {
      const bit = bitOf(hash, shift);
      const index = indexOf(slot.bitmap, bit);
      const child = removed(slot.slots[index] as Slot<K, V>, hash, shift + BITS, key);
      const slots =
        child === undefined ? slot.slots.toSpliced(index, 1) : slot.slots.with(index, child);
      if (slots.length === 0) return undefined;
      // A lone entry moves up; branches and buckets stay, since their level is their meaning.
      if (slots.length === 1 && slots[0]?.kind === 'entry') return slots[0];
      return {
        kind: 'branch',
        bitmap: child === undefined ? slot.bitmap ^ bit : slot.bitmap,
        slots,
      };
    }
  }
}

function difference<K extends Key, V>(
  before: Slot<K, V> | undefined,
  after: Slot<K, V> | undefined,
  changes: Changed<K, V>[],
): void {
  if (before === after) return;
  if (before?.kind === 'branch' && after?.kind === 'branch') {
    for (let union = before.bitmap | after.bitmap; union !== 0; union &= union - 1) {
      const bit = union & -union;
      difference(childAt(before, bit), childAt(after, bit), changes);
    }
    return;
  }
  const old = new Map<K, V>();
  for (const { key, value } of entriesOf(before)) old.set(key, value);
  for (const { key, value } of entriesOf(after)) {
    const was = old.get(key);
    old.delete(key);
    if (was !== value) changes.push({ key, before: was, after: value });
  }
  for (const [key, value] of old) changes.push({ key, before: value, after: undefined });
}

function* entriesOf<K extends Key, V>(slot: Slot<K, V> | undefined): Generator<Entry<K, V>> {
  switch (slot?.kind) {
    case undefined:
      return;
    case 'entry':
      yield slot;
      return;
    case 'bucket':
      yield* slot.entries;
      return;
    case 'branch':
      for (const child of slot.slots) yield* entriesOf(child);
  }
}

function childAt<K, V>(branch: Branch<K, V>, bit: number): Slot<K, V> | undefined {
  return (branch.bitmap & bit) === 0 ? undefined : branch.slots[indexOf(branch.bitmap, bit)];
}

const bitOf = (hash: number, shift: number): number => 1 << ((hash >>> shift) & MASK);

/** How many bits below `bit` are set. */
function indexOf(bitmap: number, bit: number): number {
  let bits = bitmap & (bit - 1);
  bits -= (bits >>> 1) & 0x55555555;
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** FNV-1a for texts, and a spread of the low bits for numbers. Keys chosen to collide cost time, not truth. */
function hashOf(key: Key): number {
  if (typeof key === 'number') return Math.imul(key, 0x9e3779b1) >>> 0;
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
