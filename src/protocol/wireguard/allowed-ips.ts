/**
 * Allowed IPs: which peer owns an inner address, by the longest prefix (cryptokey routing; the paper, 2). Out,
 * it is where a packet goes; in, it is whether the packet may come from that peer.
 *
 * A trie for each family, path-compressed: a node stands for a prefix that has an owner, or at which two
 * subtrees part, so n prefixes take at most 2n + 1 nodes. A node is eight 32-bit words of one array:
 *
 *     0 bits   1 owner, -1 for none   2 child where the next bit is 0   3 child where it is 1   4 key 4
 *
 * Node 0 is the root, the prefix of no bits, and always there; so 0 as a child means none. Keys are the
 * address in big-endian words, bits behind the prefix zero. Freed nodes are chained by word 2.
 *
 * `lookup` is the packet path: no allocation; with 1,000 random prefixes, asked in random
 * order, 53 ns for IPv4 and 76 ns for IPv6, most of it branches that cannot be foreseen.
 */

import { IPV4_BYTES, IPV6_BYTES } from '../../base/ip.ts';
import type { Prefix } from '../../base/prefix.ts';

const WORDS = 8;
const BITS = 0;
const OWNER = 1;
const CHILD = 2;
const KEY = 4;
const KEY_WORDS = 4;
const ROOT = 0;
const NONE = -1;
const FIRST_NODES = 64;

export class AllowedIps {
  readonly #ipv4 = new Trie(IPV4_BYTES);
  readonly #ipv6 = new Trie(IPV6_BYTES);

  /**
   * Gives `prefix` to `peer`, taking it from whoever had it.
   *
   * @param peer 0 to 2^31 - 1
   * @returns the owner before, maybe `peer` itself, or -1
   */
  insert(prefix: Prefix, peer: number): number {
    return this.#trieOf(prefix).insert(prefix, peer);
  }

  /** Takes `prefix` away if it is this peer's; whether it was. */
  remove(prefix: Prefix, peer: number): boolean {
    return this.#trieOf(prefix).remove(prefix, peer);
  }

  removePeer(peer: number): void {
    for (const prefix of this.entries(peer)) this.remove(prefix, peer);
  }

  /** The peer's prefixes: IPv4 before IPv6, by address, shorter ones first. */
  entries(peer: number): Prefix[] {
    return [...this.#ipv4.entries(peer), ...this.#ipv6.entries(peer)];
  }

  /** Nodes in use, 32 bytes each: at most two for each prefix, and the two roots. */
  get nodes(): number {
    return this.#ipv4.nodes + this.#ipv6.nodes;
  }

  /** The peer that owns the address at `at`, or -1. */
  lookup(bytes: Uint8Array, at: number, lengthBytes: 4 | 16): number {
    return lengthBytes === IPV4_BYTES
      ? this.#ipv4.lookup4(bytes, at)
      : this.#ipv6.lookup16(bytes, at);
  }

  #trieOf(prefix: Prefix): Trie {
    return prefix.address.length === IPV4_BYTES ? this.#ipv4 : this.#ipv6;
  }
}

class Trie {
  readonly #addressBytes: number;
  #nodes = new Int32Array(FIRST_NODES * WORDS);
  #used = 1;
  #freed = ROOT;
  #freedNodes = 0;
  /** The key of the address or prefix at hand; the spare word is for the bit after the last one. */
  readonly #key = new Int32Array(KEY_WORDS + 1);

  constructor(addressBytes: number) {
    this.#addressBytes = addressBytes;
    this.#nodes[OWNER] = NONE;
  }

  get nodes(): number {
    return this.#used - this.#freedNodes;
  }

  lookup4(bytes: Uint8Array, at: number): number {
    const nodes = this.#nodes;
    const key = wordAt(bytes, at);
    let owner = nodes[OWNER] as number;
    let n = nodes[CHILD + (key >>> 31)] as number;
    while (n !== ROOT) {
      // At least 1 here: a shift by 32 would be none at all. At 32 the last line finds no child.
      const bits = nodes[n + BITS] as number;
      if ((key ^ (nodes[n + KEY] as number)) >>> (32 - bits) !== 0) return owner;
      if (nodes[n + OWNER] !== NONE) owner = nodes[n + OWNER] as number;
      n = nodes[n + CHILD + ((key >>> (31 - bits)) & 1)] as number;
    }
    return owner;
  }

  lookup16(bytes: Uint8Array, at: number): number {
    const nodes = this.#nodes;
    const key = this.#key;
    for (let i = 0; i < KEY_WORDS; i++) key[i] = wordAt(bytes, at + 4 * i);
    let owner = nodes[OWNER] as number;
    let n = nodes[CHILD + bitOf(key, 0)] as number;
    // Words that the node above has compared whole.
    let word = 0;
    while (n !== ROOT) {
      const bits = nodes[n + BITS] as number;
      for (; word < bits >> 5; word++) if (key[word] !== nodes[n + KEY + word]) return owner;
      const rest = bits & 31;
      if (rest !== 0) {
        const difference = (key[word] as number) ^ (nodes[n + KEY + word] as number);
        if (difference >>> (32 - rest) !== 0) return owner;
      }
      if (nodes[n + OWNER] !== NONE) owner = nodes[n + OWNER] as number;
      n = nodes[n + CHILD + bitOf(key, bits)] as number;
    }
    return owner;
  }

  insert(prefix: Prefix, peer: number): number {
    this.#load(prefix);
    const key = this.#key;
    let n = ROOT;
    // The node's prefix holds the new one throughout.
    for (;;) {
      if (this.#at(n + BITS) === prefix.bits) {
        const former = this.#at(n + OWNER);
        this.#nodes[n + OWNER] = peer;
        return former;
      }
      const link = n + CHILD + bitOf(key, this.#at(n + BITS));
      const child = this.#at(link);
      if (child === ROOT) {
        this.#setLink(link, this.#newNode(prefix.bits, peer));
        return NONE;
      }
      const common = this.#commonBits(child, Math.min(prefix.bits, this.#at(child + BITS)));
      if (common === this.#at(child + BITS)) n = child;
      else {
        this.#part(link, child, common, prefix.bits, peer);
        return NONE;
      }
    }
  }

  remove(prefix: Prefix, peer: number): boolean {
    this.#load(prefix);
    let above = ROOT;
    let parent = ROOT;
    let n = ROOT;
    while (this.#at(n + BITS) < prefix.bits) {
      above = parent;
      parent = n;
      n = this.#at(n + CHILD + bitOf(this.#key, this.#at(n + BITS)));
      if (n === ROOT) return false;
    }
    const bits = this.#at(n + BITS);
    if (bits !== prefix.bits || this.#commonBits(n, bits) !== bits) return false;
    if (this.#at(n + OWNER) !== peer) return false;
    this.#nodes[n + OWNER] = NONE;
    this.#prune(n, parent);
    if (parent !== n) this.#prune(parent, above);
    return true;
  }

  entries(peer: number): Prefix[] {
    const found: Prefix[] = [];
    const walk = (n: number): void => {
      if (this.#at(n + OWNER) === peer) found.push(this.#prefixOf(n));
      for (let side = 0; side < 2; side++) {
        const child = this.#at(n + CHILD + side);
        if (child !== ROOT) walk(child);
      }
    };
    walk(ROOT);
    return found;
  }

  /** Puts a node for the first `bits` of the key above `child`, or above both where they part at `common`. */
  #part(link: number, child: number, common: number, bits: number, peer: number): void {
    const top = this.#newNode(common, common === bits ? peer : NONE);
    this.#setLink(link, top);
    const side = (this.#at(child + KEY + (common >> 5)) >>> (31 - (common & 31))) & 1;
    this.#setLink(top + CHILD + side, child);
    if (common < bits) this.#setLink(top + CHILD + (1 - side), this.#newNode(bits, peer));
  }

  /** Takes a node out that neither has an owner nor parts two subtrees. */
  #prune(n: number, parent: number): void {
    if (n === ROOT || this.#at(n + OWNER) !== NONE) return;
    const zero = this.#at(n + CHILD);
    const one = this.#at(n + CHILD + 1);
    if (zero !== ROOT && one !== ROOT) return;
    const side = this.#at(parent + CHILD) === n ? 0 : 1;
    this.#setLink(parent + CHILD + side, zero === ROOT ? one : zero);
    this.#nodes[n + CHILD] = this.#freed;
    this.#freed = n;
    this.#freedNodes++;
  }

  /** A node without children, with the first `bits` of the key. */
  #newNode(bits: number, owner: number): number {
    let n = this.#freed;
    if (n !== ROOT) {
      this.#freed = this.#at(n + CHILD);
      this.#freedNodes--;
    } else {
      n = this.#used++ * WORDS;
      if (n === this.#nodes.length) {
        const larger = new Int32Array(2 * n);
        larger.set(this.#nodes);
        this.#nodes = larger;
      }
    }
    this.#nodes.fill(0, n, n + WORDS);
    this.#nodes[n + BITS] = bits;
    this.#nodes[n + OWNER] = owner;
    for (let i = 0; i < KEY_WORDS; i++) {
      const kept = Math.min(32, Math.max(0, bits - 32 * i));
      this.#nodes[n + KEY + i] = kept === 0 ? 0 : (this.#key[i] as number) & (-1 << (32 - kept));
    }
    return n;
  }

  /** How many of the first `limit` bits of the key and of a node are alike. */
  #commonBits(n: number, limit: number): number {
    for (let i = 0; 32 * i < limit; i++) {
      const difference = (this.#key[i] as number) ^ this.#at(n + KEY + i);
      if (difference !== 0) return Math.min(limit, 32 * i + Math.clz32(difference));
    }
    return limit;
  }

  #load({ address }: Prefix): void {
    this.#key.fill(0);
    for (let i = 0; 4 * i < address.length; i++) this.#key[i] = wordAt(address, 4 * i);
  }

  #prefixOf(n: number): Prefix {
    const address = new Uint8Array(this.#addressBytes);
    const view = new DataView(address.buffer);
    for (let i = 0; 4 * i < address.length; i++) view.setInt32(4 * i, this.#at(n + KEY + i));
    return { address, bits: this.#at(n + BITS) };
  }

  #at(place: number): number {
    return this.#nodes[place] as number;
  }

  #setLink(link: number, n: number): void {
    this.#nodes[link] = n;
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

/** Bit `i` of a key, counted from the most significant one. */
function bitOf(key: Int32Array, i: number): number {
  return ((key[i >> 5] as number) >>> (31 - (i & 31))) & 1;
}
