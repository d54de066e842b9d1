/**
 * The packet filter of a node, compiled from the rules of its map to those that the data plane holds.
 *
 *     words -> grants -> per family, protocol and ports: sources x targets that are ours
 *           -> what has the same targets, sources or ports becomes one -> what another one holds goes
 *           -> prefixes -> table
 *
 * Rules only allow, in any order; what none allows is dropped by the receiver. Of a grant:
 *
 *     TCP, UDP, SCTP    where the protocol is named and the port in range
 *     ICMP, ICMPv6      where any port of the target is granted by whatever protocol, so that who may use a
 *                       service may ping its host
 *     others            where the protocol is named and all ports are granted
 *
 * A list of sources of 1,000 nodes with neighbouring addresses is some 20 prefixes; still, a table has an end.
 * What does not fit is not let in, and the filter says so (`left`).
 *
 * Source: reference/protocol.md 6. The data plane's form: node/dataplane/rules.ts, joined by shape.
 */

import { IPV4_BYTES, IPV6_BYTES } from '../base/ip.ts';
import type { Prefix } from '../base/prefix.ts';
import type { FilterRule } from '../protocol/tailcfg/map-types.ts';
import type { AddressSet, Spans } from './address-set.ts';
import { common, joined, prefixSet, spanPrefixes, union, within } from './address-set.ts';
import type { FilterVerdict } from './explain.ts';
import { explain } from './explain.ts';
import type { FilterSkip, Grant, Target } from './filter-words.ts';
import { readFilter } from './filter-words.ts';
import type { AskedPacket, PacketRule } from './packet-rule.ts';
import { hasPorts, ICMP, ICMPV6, LAST_PORT } from './packet-rule.ts';

export interface FilterSetting {
  /** Undefined: no map has said anything yet, and nothing gets in. */
  readonly rules: readonly FilterRule[] | undefined;
  /** What is ours (local-targets.ts). */
  readonly local: readonly Prefix[];
  /** The person wants nobody in, whatever the map says. */
  readonly shieldsUp: boolean;
  /** Addresses of the nodes that hold a capability, for sources `cap:NAME`. */
  readonly holders?: ReadonlyMap<string, readonly Prefix[]>;
  /** Room of the data plane's table. */
  readonly most?: number;
}

export interface PacketFilter {
  readonly rules: readonly PacketRule[];
  /** Words of the map that were left out, by reason. */
  readonly skipped: ReadonlyMap<FilterSkip, number>;
  /** Rules that found no room and let nobody in: so many at least. */
  readonly left: number;
  explain(packet: AskedPacket): FilterVerdict;
}

/** Sources x targets of one family. */
interface Entry {
  readonly bytes: number;
  readonly protocol: number;
  readonly ports: Spans;
  readonly sources: Spans;
  readonly targets: Spans;
}

type Thing = 'ports' | 'sources' | 'targets';
const THINGS: readonly Thing[] = ['ports', 'sources', 'targets'];

export const DEFAULT_ROOM = 4096;

/** A hostile map costs no more than so many steps; a real one has some hundreds. */
const MAX_ENTRIES = 20_000;
/** Each is compared with each. */
const MAX_COMPARED = 1000;
/** So many spans are put together with others. */
const MAX_JOINED = 1_000_000;

const ALL_PORTS: Spans = [{ first: 0n, last: BigInt(LAST_PORT) }];

export function compileFilter(setting: FilterSetting): PacketFilter {
  const { rules = [], local, shieldsUp, holders, most = DEFAULT_ROOM } = setting;
  const { grants, skipped } = readFilter(rules, holders);
  const ours = union(local.map(prefixSet));
  const { entries, left: unread } = shieldsUp ? { entries: [], left: 0 } : entriesOf(grants, ours);
  const { table, left } = tableOf(withoutContained(merged(entries)), most);
  const facts = { grants, ours, shieldsUp, table, full: left + unread > 0 };
  return {
    rules: table,
    skipped,
    left: left + unread,
    explain: (packet) => explain(facts, packet),
  };
}

function entriesOf(
  grants: readonly Grant[],
  ours: AddressSet,
): { readonly entries: Entry[]; readonly left: number } {
  const entries: Entry[] = [];
  let left = 0;
  for (const grant of grants)
    for (const [bytes, ip] of [
      [IPV4_BYTES, 'ipv4'],
      [IPV6_BYTES, 'ipv6'],
    ] as const) {
      const sources = grant.sources[ip];
      if (sources.length === 0) continue;
      for (const { ports, lists, protocols } of wanted(grant, bytes, ip)) {
        const targets = common(joined(lists), ours[ip]);
        if (targets.length === 0) continue;
        for (const protocol of protocols) {
          if (entries.length >= MAX_ENTRIES) left++;
          else entries.push({ bytes, protocol, ports, sources, targets });
        }
      }
    }
  return { entries, left };
}

interface Wanted {
  readonly ports: Spans;
  readonly lists: readonly Spans[];
  readonly protocols: readonly number[];
}

/** What a grant allows in one family, by ranges of ports. */
function wanted(grant: Grant, bytes: number, ip: keyof AddressSet): readonly Wanted[] {
  const targets = grant.targets.filter(({ addresses }) => addresses[ip].length > 0);
  if (targets.length === 0) return [];
  const listsOf = (some: readonly Target[]): readonly Spans[] =>
    some.map(({ addresses }) => addresses[ip]);
  const spoken = [...grant.protocols].filter((one) => one !== ICMP && one !== ICMPV6);
  const withPorts = spoken.filter(hasPorts);
  const byPorts = Map.groupBy(targets, ({ firstPort, lastPort }) => firstPort * 65_536 + lastPort);
  return [
    {
      ports: ALL_PORTS,
      lists: listsOf(targets),
      protocols: [bytes === IPV4_BYTES ? ICMP : ICMPV6],
    },
    ...[...byPorts].map(([key, some]) => ({
      ports: [{ first: BigInt(Math.floor(key / 65_536)), last: BigInt(key % 65_536) }],
      lists: listsOf(some),
      protocols: key === LAST_PORT ? spoken : withPorts,
    })),
  ];
}

/** Entries that differ in one thing alone become one. */
function merged(entries: readonly Entry[]): readonly Entry[] {
  const name = namer();
  let work = 0;
  const joinedBy = (thing: Thing, group: readonly Entry[]): readonly Entry[] => {
    const [first] = group;
    if (first === undefined || group.length === 1) return group;
    const lists = group.map((entry) => entry[thing]);
    work += lists.reduce((sum, { length }) => sum + length, 0);
    return work > MAX_JOINED ? group : [{ ...first, [thing]: joined(lists) }];
  };
  // The first two once more at the end: what differed in ports may be alike by then.
  const passes: readonly Thing[] = ['targets', 'sources', 'ports', 'targets', 'sources'];
  return passes.reduce((all, thing) => {
    const others = THINGS.filter((other) => other !== thing);
    const groups = Map.groupBy(all, (entry) =>
      [entry.bytes, entry.protocol, ...others.map((other) => name(entry[other]))].join(' '),
    );
    return [...groups.values()].flatMap((group) => joinedBy(thing, group));
  }, entries);
}

/** Names for spans: the same one for the same set, however long. */
function namer(): (spans: Spans) => number {
  const byObject = new WeakMap<Spans, number>();
  const byText = new Map<string, number>();
  return (spans) => {
    let known = byObject.get(spans);
    if (known === undefined) {
      const text = spans
        .map(({ first, last }) => `${first.toString(36)}-${last.toString(36)}`)
        .join();
      known = byText.get(text) ?? byText.size;
      byText.set(text, known);
      byObject.set(spans, known);
    }
    return known;
  };
}

/** Without entries that another one holds; of two alike only the first stays. */
function withoutContained(entries: readonly Entry[]): readonly Entry[] {
  if (entries.length > MAX_COMPARED) return entries;
  return entries.filter(
    (entry, i) =>
      !entries.some(
        (other, j) => i !== j && isWithin(entry, other) && (j < i || !isWithin(other, entry)),
      ),
  );
}

const isWithin = (part: Entry, whole: Entry): boolean =>
  part.bytes === whole.bytes &&
  part.protocol === whole.protocol &&
  within(part.ports, whole.ports) &&
  within(part.sources, whole.sources) &&
  within(part.targets, whole.targets);

function tableOf(
  entries: readonly Entry[],
  most: number,
): { readonly table: readonly PacketRule[]; readonly left: number } {
  const table: PacketRule[] = [];
  let left = 0;
  for (const { bytes, protocol, ports, sources, targets } of entries) {
    const room = most - table.length;
    // One more than fits shows that there is more.
    const [from, to] = [
      spanPrefixes(sources, bytes, room + 1),
      spanPrefixes(targets, bytes, room + 1),
    ];
    left += Math.max(0, from.length * to.length * ports.length - room);
    for (const { first, last } of ports)
      for (const target of to)
        for (const source of from) {
          if (table.length >= most) break;
          const [firstPort, lastPort] = [Number(first), Number(last)];
          const rule = { target, protocol, firstPort, lastPort };
          table.push(source.bits === 0 ? rule : { ...rule, source });
        }
  }
  return { table, left };
}
