/** What the names say of themselves: for `dns status` and `dns query`, and for whoever looks for a fault. */

import { formatIp } from '../../base/ip.ts';
import { rcodeOf } from '../../protocol/dns/answer.ts';
import { HEADER_BYTES, rcodeText, typeText } from '../../protocol/dns/constants.ts';
import type { DnsQuery } from '../../protocol/dns/query.ts';
import { recordText } from '../../protocol/dns/record-text.ts';
import { readRecords } from '../../protocol/dns/records.ts';
import type { ResolverAddress } from '../../protocol/dns/resolver-address.ts';
import { formatResolver } from '../../protocol/dns/resolver-address.ts';
import type { Forwarder } from './forwarder.ts';
import type { LoopGuard } from './loop-guard.ts';
import type { Server } from './server.ts';
import type { Plan } from './setting.ts';
import type { SystemKeeper } from './system-keeper.ts';
import type { SystemKind } from './system-resolver.ts';

export interface NamesAnswer {
  /** The full name that was asked at last. */
  readonly name: string;
  readonly type: string;
  /** `NOERROR`, `NXDOMAIN`, ... */
  readonly rcode: string;
  readonly records: readonly {
    readonly name: string;
    readonly type: string;
    readonly ttlSeconds: number;
    readonly data: string;
  }[];
  /** Who knew: we ourselves, what was remembered, or the resolver named. */
  readonly source: 'own' | 'cache' | 'resolver';
  readonly resolver?: string;
}

export interface NamesReport {
  readonly listening: readonly string[];
  /** Addresses that could not be listened on, each with the reason. */
  readonly problems: readonly string[];
  /** Undefined before the first setting. */
  readonly system: SystemKind | undefined;
  /** Whether the system's programs ask us. */
  readonly managed: boolean;
  /** The system's own resolvers, from before us. */
  readonly upstreams: readonly string[];
  readonly search: readonly string[];
  readonly ownDomains: readonly string[];
  readonly routes: Readonly<Record<string, readonly string[]>>;
  readonly resolvers: readonly string[];
  readonly fallback: readonly string[];
  readonly hosts: number;
  /** Names of the map that cannot be used, the first of them. */
  readonly refused: readonly string[];
  readonly looping: readonly string[];
  readonly cached: number;
  readonly underWay: number;
  readonly connections: number;
  readonly counters: Readonly<Record<string, number>>;
}

const SHOWN_REFUSED = 16;

export function reportOf(parts: {
  readonly plan: Plan;
  readonly server: Server | undefined;
  readonly keeper: SystemKeeper;
  readonly forwarder: Forwarder;
  readonly guard: LoopGuard;
  readonly counters: ReadonlyMap<string, number>;
}): NamesReport {
  const { plan, server, keeper, forwarder, guard, counters } = parts;
  const texts = (list: readonly ResolverAddress[]): string[] => list.map(formatResolver);
  return {
    listening: server?.listening.map(formatIp) ?? [],
    problems: server?.problems ?? [],
    system: keeper.kind,
    managed: keeper.managed,
    upstreams: texts(keeper.upstreams),
    search: plan.search,
    ownDomains: [...plan.zone.domains.keys()],
    routes: Object.fromEntries([...plan.routes].map(([suffix, list]) => [suffix, texts(list)])),
    resolvers: texts(plan.resolvers),
    fallback: texts(plan.fallback),
    hosts: plan.zone.hosts.size,
    refused: plan.refused.slice(0, SHOWN_REFUSED),
    looping: guard.looping,
    cached: forwarder.cached,
    underWay: forwarder.underWay,
    connections: server?.connections ?? 0,
    counters: Object.fromEntries(counters),
  };
}

/** The answer section of a message, as text. */
export function answerOf(
  { question }: DnsQuery,
  message: Uint8Array,
  source: NamesAnswer['source'],
  resolver: ResolverAddress | undefined,
): NamesAnswer {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const at = HEADER_BYTES + question.bytes.length;
  const records = readRecords(message, at, view.getUint16(6)) ?? [];
  return {
    name: question.name,
    type: typeText(question.type),
    rcode: rcodeText(rcodeOf(message)),
    records: records.map((record) => ({
      name: record.name,
      type: typeText(record.type),
      ttlSeconds: record.ttl,
      data: recordText(message, record),
    })),
    source,
    ...(resolver !== undefined && { resolver: formatResolver(resolver) }),
  };
}
