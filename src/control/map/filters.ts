/**
 * The packet filter of a viewer, cut into named chunks, so that one more node among 1,000 sends 128 sources
 * again and not 2,000.
 *
 *     rules with the same sources      one group: their destinations together
 *     group, sources of one block      one chunk, named by both; a block is 64 addresses of each family,
 *                                      100.64.0.64 to .127 and the IPv6 addresses that have these in their end
 *     no rule                          `base`, with an empty list: nothing may enter
 *
 * A client puts all chunks together, in whatever order: rules only ever allow. Where there would be more
 * chunks than a map may name, all rules go into `base`.
 *
 * Source: reference/protocol.md 3.3.
 */

import type { FilterRule } from '../../protocol/tailcfg/map-types.ts';
import type { AccessRule } from '../registry/visibility.ts';

/** Rules by the name of their chunk. */
export type Filters = ReadonlyMap<string, readonly FilterRule[]>;

const BASE = 'base';
const MAX_CHUNKS = 512;
const BLOCK_BITS = 6;
const ANY_PORT = { First: 0, Last: 65_535 };
/** Blocks are remembered to be one object, until there are so many. */
const MAX_BLOCKS = 2048;

/** Nothing may enter. */
const CLOSED: Filters = new Map([[BASE, []]]);

/** Cuts rules into chunks; what two viewers' rules have in common is one object in both. */
export class FilterCutter {
  readonly #cut = new WeakMap<readonly string[], ReadonlyMap<string, readonly string[]>>();
  readonly #blocks = new Map<string, readonly string[]>();

  filters(rules: readonly AccessRule[]): Filters {
    const groups = grouped(rules);
    if (groups.length === 0) return CLOSED;
    const chunks = new Map<string, readonly FilterRule[]>();
    for (const { sources, destinations } of groups) {
      const ports = destinations.map((IP) => ({ IP, Ports: ANY_PORT }));
      for (const [block, SrcIPs] of this.#blocksOf(sources)) {
        const name = `${destinations[0]} ${block}`;
        const before = chunks.get(name) ?? [];
        chunks.set(name, [...before, { SrcIPs, DstPorts: ports }]);
      }
    }
    if (chunks.size <= MAX_CHUNKS) return chunks;
    return new Map([[BASE, [...chunks.values()].flat()]]);
  }

  #blocksOf(sources: readonly string[]): ReadonlyMap<string, readonly string[]> {
    const known = this.#cut.get(sources);
    if (known !== undefined) return known;
    const lists = Map.groupBy(sources, blockOf);
    const blocks = new Map<string, readonly string[]>();
    for (const [block, list] of lists) blocks.set(block, this.#one(list));
    this.#cut.set(sources, blocks);
    return blocks;
  }

  #one(list: readonly string[]): readonly string[] {
    const key = list.join();
    const known = this.#blocks.get(key);
    if (known !== undefined) return known;
    if (this.#blocks.size >= MAX_BLOCKS) this.#blocks.clear();
    this.#blocks.set(key, list);
    return list;
  }
}

/** Whether two lists of rules are the same, rule by rule. */
export function sameAccess(a: readonly AccessRule[], b: readonly AccessRule[]): boolean {
  return (
    a === b ||
    (a.length === b.length &&
      a.every(({ sources, destinations }, i) => {
        const other = b[i];
        return (
          other !== undefined &&
          sameTexts(destinations, other.destinations) &&
          sameTexts(sources, other.sources)
        );
      }))
  );
}

/** Whether two chunks allow the same. */
export function sameRules(a: readonly FilterRule[], b: readonly FilterRule[]): boolean {
  return a === b || (a.length === b.length && a.every((rule, i) => sameRule(rule, b[i])));
}

function sameRule(a: FilterRule, b: FilterRule | undefined): boolean {
  if (b === undefined || !sameTexts(a.SrcIPs, b.SrcIPs)) return false;
  const [ports = [], others = []] = [a.DstPorts, b.DstPorts];
  // All of ours are for any port.
  return ports.length === others.length && ports.every(({ IP }, i) => IP === others[i]?.IP);
}

function grouped(rules: readonly AccessRule[]): readonly AccessRule[] {
  const groups: { sources: readonly string[]; destinations: readonly string[] }[] = [];
  for (const { sources, destinations } of rules) {
    if (sources.length === 0 || destinations.length === 0) continue;
    const group = groups.find((one) => sameTexts(one.sources, sources));
    if (group === undefined) groups.push({ sources, destinations });
    else group.destinations = [...group.destinations, ...destinations];
  }
  return groups;
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  if (a === b) return true;
  return a.length === b.length && a.every((text, i) => text === b[i]);
}

/** A number for mesh addresses, the same for both families; `*` for everything else. */
function blockOf(source: string): string {
  const ipv4 = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(source);
  if (ipv4 !== null) {
    const [, a, b, c, d] = ipv4;
    return blockText(Number(a) * 256 + Number(b), Number(c) * 256 + Number(d));
  }
  const ipv6 = /:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(source);
  if (ipv6 === null) return '*';
  return blockText(Number.parseInt(ipv6[1] ?? '', 16), Number.parseInt(ipv6[2] ?? '', 16));
}

const blockText = (high: number, low: number): string =>
  (high * 2 ** (16 - BLOCK_BITS) + (low >> BLOCK_BITS)).toString(36);
