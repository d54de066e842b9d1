/**
 * The routes of our table, and the rules that lead there.
 *
 *     wanted            peers' addresses (neighbouring ones collapsed), accepted routes, with `exit` both /0
 *     less              an accepted route that is just what the main table has: we are in that very LAN
 *     and with `throw`  what the main table has inside a wanted route: the longest prefix wins, as if all were
 *                       one table, so that a LAN inside an accepted 10.0.0.0/8, or under `exit`, stays at home;
 *                       with `lanByExit` only what we forward to, else that would come back to us
 *
 *     priority  for packets
 *     +0        of ours                -> table main                      with `exit` only
 *     +1        of ours                -> unreachable                     with `exit` only
 *     +2        of anybody else        -> our table, else the rules behind
 *
 * Without `exit` our own packets meet no rule of ours: they go as they would without us, by another VPN if there
 * is one. With `exit` they must not go by anything that may lead back into the tunnel.
 *
 * Peers' addresses never give way to the main table: the whole 100.64.0.0/10 may be a provider's (RFC 6598), but
 * a single address that a peer has is meant.
 */

import { toHex } from '../../base/bytes.ts';
import { IPV4_BYTES } from '../../base/ip.ts';
import type { Prefix } from '../../base/prefix.ts';
import { contains, equalPrefix, formatPrefix, parsePrefix, prefixOf } from '../../base/prefix.ts';
import { FIRST_PRIORITY, MAIN_TABLE, ROUTE_TABLE } from './constants.ts';
import type { Family, KnownRule, Mark, PolicyRule, TableRoute } from './ports.ts';
import type { RouterSetting } from './setting.ts';

export interface WantedRoutes {
  readonly table: readonly TableRoute[];
  /** Accepted, but this machine's own way there is kept. */
  readonly atHome: readonly Prefix[];
}

/** A main table with more than this is a router of the Internet's core, and no LAN of ours. */
const MOST_THROWN = 4096;

/** What no tunnel carries: groups and neighbours of a link. A default route would. */
const LINK_ONLY: readonly Prefix[] = [
  ...['224.0.0.0/4', '255.255.255.255/32', '169.254.0.0/16', 'ff00::/8', 'fe80::/10'],
].map((text) => parsePrefix(text) as Prefix);

const EVERYTHING: readonly Prefix[] = ['0.0.0.0/0', '::/0'].map(
  (text) => parsePrefix(text) as Prefix,
);

type Setting = Pick<RouterSetting, 'routes' | 'exit' | 'lanByExit' | 'advertised' | 'lan'>;

/** @param main routes of the main table, those by the tunnel too */
export function wantedRoutes(
  setting: Setting,
  device: string,
  main: readonly TableRoute[],
  families: readonly Family[],
): WantedRoutes {
  const asked = setting.routes.filter(({ bits }) => bits > 0);
  const accepted = [
    ...asked.filter((prefix) => !isHost(prefix)),
    ...(setting.exit ? EVERYTHING : []),
  ];
  // Without the filter's table a LAN device's packets must end in the tunnel, not on the way to the Internet.
  const devices = setting.lan.map(({ mesh }) => prefixOf(mesh, mesh.length * 8));
  const hosts = collapse([...asked.filter(isHost), ...devices]);
  const others = main
    .filter((route) => route.device !== device && route.prefix.bits > 0)
    .map(({ prefix }) => prefix);
  const isAtHome = (prefix: Prefix): boolean => others.some((other) => equalPrefix(other, prefix));
  const byTunnel = accepted.filter((prefix) => !isAtHome(prefix));
  const stays = others.slice(0, MOST_THROWN).filter((prefix) => staysAtHome(prefix, setting));
  const thrown = [...stays, ...(setting.exit ? LINK_ONLY : [])].filter(
    (prefix) =>
      !hosts.some((host) => equalPrefix(host, prefix)) &&
      byTunnel.some((wide) => wide.bits < prefix.bits && contains(wide, prefix.address)),
  );
  const routes = new Map<string, TableRoute>();
  for (const prefix of thrown)
    routes.set(formatPrefix(prefix), { prefix, kind: 'throw', device: undefined });
  for (const prefix of [...byTunnel, ...hosts])
    routes.set(formatPrefix(prefix), { prefix, kind: 'unicast', device });
  return {
    table: [...routes.values()].filter(({ prefix }) => families.includes(familyOf(prefix))),
    atHome: accepted.filter(isAtHome),
  };
}

/** Whether a prefix of the main table keeps its way there. */
function staysAtHome(prefix: Prefix, { exit, lanByExit, advertised, lan }: Setting): boolean {
  if (!exit || !lanByExit) return true;
  const forwarded = [
    ...advertised.map((one) => one.prefix).filter(({ bits }) => bits > 0),
    ...lan.map((device) => prefixOf(device.lan, device.lan.length * 8)),
  ];
  return forwarded.some((one) => contains(one, prefix.address) || contains(prefix, one.address));
}

/** The fewest prefixes that hold these addresses and no other. */
export function collapse(prefixes: readonly Prefix[]): Prefix[] {
  const left = new Map(prefixes.map((prefix) => [keyOf(prefix), prefix]));
  let level = [...left.values()];
  // Halves become their parent, parents theirs, as long as any does.
  while (level.length > 0) {
    const parents: Prefix[] = [];
    for (const prefix of level) {
      const twin = prefix.bits === 0 ? '' : keyOf(sibling(prefix));
      if (!left.has(keyOf(prefix)) || !left.delete(twin)) continue;
      left.delete(keyOf(prefix));
      const parent = prefixOf(prefix.address, prefix.bits - 1);
      left.set(keyOf(parent), parent);
      parents.push(parent);
    }
    level = parents;
  }
  return [...left.values()];
}

/** From our first rule to our last. */
const LAST = 2;

export function wantedRules(
  exit: boolean,
  mark: Mark,
  families: readonly Family[],
  first: number,
): PolicyRule[] {
  return families.flatMap((family) => [
    ...(exit
      ? [
          { family, priority: first, mark, not: false, table: MAIN_TABLE },
          { family, priority: first + 1, mark, not: false, table: undefined },
        ]
      : []),
    { family, priority: first + LAST, mark, not: true, table: ROUTE_TABLE },
  ]);
}

/** Rules that nobody but us can have made: by the table, or by the mark. */
export function isOurs({ mark, table, more }: KnownRule, own: Mark): boolean {
  const ofMark = mark?.value === own.value && mark.mask === own.mask;
  return !more && (table === ROUTE_TABLE || (ofMark && (table ?? MAIN_TABLE) === MAIN_TABLE));
}

/**
 * The first rule of another program that takes every packet before ours would see it, as wg-quick's does for a
 * tunnel with /0 that is brought up after us: the kernel puts a rule without a priority before the first.
 */
export function overriding(rules: readonly KnownRule[], own: Mark): KnownRule | undefined {
  return rules
    .filter(
      (rule) =>
        !isOurs(rule, own) &&
        !rule.more &&
        rule.priority > 0 &&
        rule.priority < FIRST_PRIORITY + LAST &&
        (rule.mark === undefined || rule.not) &&
        rule.table !== undefined &&
        ![253, 254, 255].includes(rule.table),
    )
    .sort((a, b) => a.priority - b.priority)[0];
}

/** Before it, with room for a rule that belongs to it. */
const STEP = 10;

/**
 * Where our rules begin. Peers' addresses are few and ours, so they go before a tunnel that takes everything;
 * with `exit` two want everything, and the one that was brought up later has it.
 */
export function firstPriority(other: KnownRule | undefined, exit: boolean): number {
  if (other === undefined || exit || other.priority <= STEP) return FIRST_PRIORITY;
  return other.priority - STEP;
}

export const familyOf = ({ address }: Prefix): Family => (address.length === IPV4_BYTES ? 4 : 6);

const isHost = ({ address, bits }: Prefix): boolean => bits === address.length * 8;

const keyOf = ({ address, bits }: Prefix): string => `${toHex(address)}/${bits}`;

/** The other half of the prefix that is one bit shorter. */
function sibling({ address, bits }: Prefix): Prefix {
  const other = address.slice();
  const byte = (bits - 1) >> 3;
  other[byte] = (other[byte] as number) ^ (0x80 >> ((bits - 1) & 7));
  return { address: other, bits };
}
