/**
 * Policy routing: rules that choose a routing table by a packet's mark, and whole tables, by the program `ip`
 * (ip.ts). Rules of others are read too, as far as it matters whether one of them takes a packet before ours.
 *
 * Source: ip-rule(8), ip-route(8); numbers of linux/fib_rules.h and linux/rtnetlink.h, as `ip -N` prints them.
 */

import { NetError } from '../base/errors.ts';
import { IPV4_BYTES, parseIp } from '../base/ip.ts';
import type { Prefix } from '../base/prefix.ts';
import { formatPrefix, parsePrefix } from '../base/prefix.ts';
import type { IpCommand } from './ip.ts';
import { ask, runBatch } from './ip.ts';

export type Family = 4 | 6;

export interface Mark {
  readonly value: number;
  readonly mask: number;
}

export interface PolicyRule {
  readonly family: Family;
  readonly priority: number;
  /** Whether it is for packets with this mark, for all others, or (undefined) for both. */
  readonly mark: Mark | undefined;
  readonly not: boolean;
  /** Undefined: the answer is that there is no way. */
  readonly table: number | undefined;
}

/** A rule that is there, perhaps another program's. */
export interface KnownRule extends PolicyRule {
  /** It says more than this shape can: a source, an interface, a suppressed prefix length, another action. */
  readonly more: boolean;
}

export interface TableRoute {
  readonly prefix: Prefix;
  /** `throw`: looked up in this table, such a packet goes on to the next rule. */
  readonly kind: 'unicast' | 'throw' | 'other';
  readonly device: string | undefined;
}

export interface InterfaceAddress {
  readonly interface: string;
  readonly address: Uint8Array;
}

const UNICAST = '1';
const UNREACHABLE = '7';
const THROW = '9';

export async function policyRules(families: readonly Family[]): Promise<KnownRule[]> {
  const rules: KnownRule[] = [];
  for (const family of families) {
    const shown = await ask(`-${family}`, 'rule', 'show');
    if (typeof shown === 'string') throw new NetError(`cannot list policy rules: ${shown}`);
    rules.push(...(shown as ShownRule[]).map((rule) => knownRule(family, rule)));
  }
  return rules;
}

/** Adds what is missing before it removes, so that no packet finds a gap. */
export async function changeRules(
  add: readonly PolicyRule[],
  remove: readonly PolicyRule[],
): Promise<void> {
  for (const family of [4, 6] as const) {
    const ofFamily = (rule: PolicyRule): boolean => rule.family === family;
    await runBatch(
      [
        ...add.filter(ofFamily).map((rule) => ruleWords('add', rule)),
        ...remove.filter(ofFamily).map((rule) => ruleWords('del', rule)),
      ],
      `-${family}`,
    );
  }
}

/** Routes of a table; none where there is no such table. */
export async function tableRoutes(
  table: number,
  families: readonly Family[],
): Promise<TableRoute[]> {
  const routes: TableRoute[] = [];
  for (const family of families) {
    const shown = await ask(`-${family}`, 'route', 'show', 'table', String(table));
    if (typeof shown === 'string') {
      if (/table does not exist/.test(shown)) continue;
      throw new NetError(`cannot list routes of table ${table}: ${shown}`);
    }
    for (const { type, dst, dev } of shown as ShownRoute[]) {
      const prefix = parsePrefix(dst === 'default' ? (family === 4 ? '0.0.0.0/0' : '::/0') : dst);
      if (prefix === undefined) continue;
      const kind = { [UNICAST]: 'unicast', [THROW]: 'throw' }[type ?? UNICAST] ?? 'other';
      routes.push({ prefix, kind: kind as TableRoute['kind'], device: dev });
    }
  }
  return routes;
}

/** A route that is put in takes the place of one with the same prefix. */
export async function changeTable(
  table: number,
  put: readonly TableRoute[],
  remove: readonly TableRoute[],
): Promise<void> {
  const where = ['table', String(table)];
  await runBatch([
    ...put.map((route) => ['route', 'replace', ...routeWords(route), ...where]),
    ...remove.map((route) => ['route', 'del', ...routeWords(route), ...where]),
  ]);
}

/** Addresses of all interfaces, of both families. */
export async function interfaceAddresses(): Promise<InterfaceAddress[]> {
  const shown = await ask('address', 'show');
  if (typeof shown === 'string') throw new NetError(`cannot list addresses: ${shown}`);
  return (shown as ShownLink[]).flatMap(({ ifname, addr_info = [] }) =>
    addr_info.flatMap(({ local }) => {
      const address = local === undefined ? undefined : parseIp(local);
      return address === undefined ? [] : [{ interface: ifname, address }];
    }),
  );
}

interface ShownRule {
  readonly priority: number;
  readonly src: string;
  readonly not?: null;
  readonly fwmark?: string;
  readonly fwmask?: string;
  readonly table?: string;
  readonly action?: string;
  readonly protocol?: string;
}

interface ShownRoute {
  readonly type?: string;
  readonly dst: string;
  readonly dev?: string;
}

interface ShownLink {
  readonly ifname: string;
  readonly addr_info?: readonly { readonly local?: string }[];
}

const PLAIN: readonly string[] = [
  ...['priority', 'src', 'not', 'fwmark', 'fwmask', 'table', 'action', 'protocol'],
];

function knownRule(family: Family, shown: ShownRule): KnownRule {
  const { priority, src, fwmark, fwmask, table, action } = shown;
  const more =
    src !== 'all' ||
    (action !== undefined && action !== UNREACHABLE) ||
    Object.keys(shown).some((key) => !PLAIN.includes(key));
  return {
    family,
    priority,
    not: 'not' in shown,
    mark:
      fwmark === undefined
        ? undefined
        : { value: Number(fwmark) >>> 0, mask: Number(fwmask ?? 0xffffffff) >>> 0 },
    table: table === undefined ? undefined : Number(table),
    more,
  };
}

function ruleWords(verb: 'add' | 'del', rule: PolicyRule): IpCommand {
  const { priority, mark, not, table } = rule;
  return [
    ...['rule', verb, 'priority', String(priority)],
    ...(not ? ['not'] : []),
    ...(mark === undefined ? [] : ['fwmark', `${hex(mark.value)}/${hex(mark.mask)}`]),
    ...(table === undefined ? ['type', 'unreachable'] : ['table', String(table)]),
  ];
}

/**
 * With the scope of the world, though it has no gateway: by a route of scope `link` the kernel would look for the
 * gateways of other routes, and `ip route add default via 192.168.1.1` end up on a tunnel that takes everything.
 */
function routeWords({ prefix, kind, device }: TableRoute): IpCommand {
  const text = formatPrefix(prefix);
  if (kind === 'throw') return ['throw', text];
  const scope = prefix.address.length === IPV4_BYTES ? ['scope', 'global'] : [];
  return [text, 'dev', device ?? 'lo', ...scope];
}

const hex = (value: number): string => `0x${value.toString(16)}`;
