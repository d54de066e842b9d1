/**
 * Why a packet that begins a flow would pass the filter, or would not: the rule of the map that lets it in, or
 * how far it came with the rule that was nearest.
 *
 *     shields up -> target is ours -> source -> target -> protocol -> port -> room in the table
 */

import type { AddressSet } from './address-set.ts';
import { holds } from './address-set.ts';
import type { Grant } from './filter-words.ts';
import type { AskedPacket, PacketRule } from './packet-rule.ts';
import { hasPorts, ICMP, ICMPV6, LAST_PORT, permits } from './packet-rule.ts';

export type FilterVerdict =
  | { readonly allowed: true; readonly rule: number }
  /** `rule`: the nearest one's place in the map, where one came near at all. */
  | { readonly allowed: false; readonly why: FilterDenial; readonly rule?: number };

export type FilterDenial =
  | 'shields are up'
  | 'target is not ours'
  | 'no rule has this source'
  | 'no rule has this target for this source'
  | 'no rule has this protocol between the two'
  | 'no rule has this port between the two'
  | 'the table of rules is full';

const BY_STAGE: readonly FilterDenial[] = [
  'no rule has this source',
  'no rule has this target for this source',
  'no rule has this protocol between the two',
  'no rule has this port between the two',
];
const ALLOWED: number = BY_STAGE.length;

export interface ExplainFacts {
  readonly grants: readonly Grant[];
  readonly ours: AddressSet;
  readonly shieldsUp: boolean;
  readonly table: readonly PacketRule[];
  /** Some rules found no room. */
  readonly full: boolean;
}

export function explain(facts: ExplainFacts, packet: AskedPacket): FilterVerdict {
  const { grants, ours, shieldsUp, table, full } = facts;
  if (shieldsUp) return { allowed: false, why: 'shields are up' };
  if (!holds(ours, packet.target)) return { allowed: false, why: 'target is not ours' };
  let best = 0;
  let rule: number | undefined;
  for (const grant of grants) {
    const stage = stageOf(grant, packet);
    if (stage <= best) continue;
    best = stage;
    rule = grant.index;
    if (stage === ALLOWED) break;
  }
  const nearest = rule === undefined ? {} : { rule };
  if (best < ALLOWED) return { allowed: false, why: BY_STAGE[best] as FilterDenial, ...nearest };
  if (full && !table.some((one) => permits(one, packet)))
    return { allowed: false, why: 'the table of rules is full', ...nearest };
  return { allowed: true, rule: rule as number };
}

function stageOf({ sources, targets, protocols }: Grant, packet: AskedPacket): number {
  const { source, target, protocol, port = 0 } = packet;
  if (!holds(sources, source)) return 0;
  const named = targets.filter(({ addresses }) => holds(addresses, target));
  if (named.length === 0) return 1;
  if (protocol === (target.length === 4 ? ICMP : ICMPV6)) return ALLOWED;
  // ICMP of the other family is nothing that a rule can mean.
  if (!protocols.has(protocol) || protocol === ICMP || protocol === ICMPV6) return 2;
  const fits = hasPorts(protocol)
    ? named.some(({ firstPort, lastPort }) => firstPort <= port && port <= lastPort)
    : named.some(({ firstPort, lastPort }) => firstPort === 0 && lastPort === LAST_PORT);
  return fits ? ALLOWED : 3;
}
