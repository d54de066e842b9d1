/**
 * Our table of the packet filter, written whole. Each chain is there only where it has something to do.
 *
 *     chain   hook, priority         does
 *     source  prerouting, mangle     drops a mesh address that does not come out of the tunnel
 *     arrive  prerouting, dstnat     a LAN device's mesh address becomes its LAN address; `begin` the same for
 *     begin   output, dstnat         what this machine itself sends
 *     fit     forward, mangle        TCP's segments fit the tunnel, both ways, whatever ICMP is lost
 *     pass    forward, filter        where nothing was forwarded until we came: only what we came for
 *     leave   postrouting, srcnat    our own address for what goes to LAN devices, and to routes with SNAT
 *
 * `source`: a peer's address is dropped on every other interface. The rest of the mesh ranges is dropped too,
 * but for answers to what this machine asked (a provider's resolver at 100.64.0.1), and on interfaces that have
 * an address of these ranges themselves: a provider's line (RFC 6598), or another mesh. Our own addresses arrive
 * on no interface but lo; the kernel sees to that. It stands behind connection tracking, and before all NAT.
 *
 * `pass`: the switch that lets packets through is the whole machine's. Where it was off, other interfaces still
 * forward nothing that comes from the Internet's side, and peers reach what is advertised and no more. Where it
 * was on, somebody else has said what may pass.
 */

import { formatIp, IPV4_BYTES } from '../../base/ip.ts';
import type { Prefix } from '../../base/prefix.ts';
import { contains, formatPrefix } from '../../base/prefix.ts';
import { MESH_RANGES } from './constants.ts';
import type { Family } from './ports.ts';
import { collapse, familyOf } from './routes.ts';
import type { RouterSetting } from './setting.ts';

export interface RulesetFacts {
  readonly table: string;
  readonly device: string;
  /** Interfaces other than ours with an address of the mesh ranges. */
  readonly meshInterfaces: readonly string[];
  /** Interfaces that a default route leads to. */
  readonly uplinks: readonly string[];
  /** Of these forwarding was off before us. */
  readonly guarded: readonly Family[];
}

type Words = Pick<RouterSetting, 'addresses' | 'routes' | 'advertised' | 'lan' | 'mtuBytes'>;

/** What nft is to load, or undefined where the table would be empty. The same setting gives the same text. */
export function ruleset(setting: Words, known: RulesetFacts): string | undefined {
  const facts = {
    ...known,
    meshInterfaces: known.meshInterfaces.filter(isPlain),
    uplinks: known.uplinks.filter(isPlain),
  };
  const chains = [
    ...sourceChain(setting, facts),
    ...deviceChains(setting, facts),
    ...(forwards(setting) ? [...fitChain(setting, facts), ...passChain(setting, facts)] : []),
    ...leaveChain(setting, facts),
  ];
  if (chains.length === 0) return undefined;
  const { table } = facts;
  return [
    `table inet ${table}`,
    `delete table inet ${table}`,
    `table inet ${table} {`,
    ...chains,
    '}',
    '',
  ].join('\n');
}

/** Whether packets between the tunnel and other interfaces pass through. */
export const forwards = ({ advertised, lan }: Pick<Words, 'advertised' | 'lan'>): boolean =>
  advertised.length > 0 || lan.length > 0;

function sourceChain({ addresses, routes }: Words, facts: RulesetFacts): string[] {
  const inMesh = (prefix: Prefix): boolean =>
    MESH_RANGES.some((range) => range.bits < prefix.bits && contains(range, prefix.address));
  if (!addresses.some(inMesh)) return [];
  const peers = collapse(routes.filter(inMesh));
  return chain('source', 'filter hook prerouting priority mangle', [
    `iifname ${names([facts.device, 'lo'])} return`,
    ...both((family, ip) => {
      const ours = peers.filter((prefix) => familyOf(prefix) === family).map(formatPrefix);
      return ours.length === 0 ? [] : [`${ip} saddr ${braces(ours)} drop`];
    }),
    'ct state established,related return',
    ...(facts.meshInterfaces.length === 0 ? [] : [`iifname ${names(facts.meshInterfaces)} return`]),
    ...MESH_RANGES.map(
      (range) => `${familyOf(range) === 4 ? 'ip' : 'ip6'} saddr ${formatPrefix(range)} drop`,
    ),
  ]);
}

function deviceChains({ lan }: Words, { device }: RulesetFacts): string[] {
  if (lan.length === 0) return [];
  const rules = both((family, ip) => {
    const pairs = ofFamily(lan, family).map(
      ({ mesh, lan }) => `${formatIp(mesh)} : ${formatIp(lan)}`,
    );
    return pairs.length === 0 ? [] : [`dnat ${ip} to ${ip} daddr map ${braces(pairs)}`];
  });
  return [
    ...chain(
      'arrive',
      'nat hook prerouting priority dstnat',
      rules.map((rule) => `iifname "${device}" ${rule}`),
    ),
    ...chain('begin', 'nat hook output priority -100', rules),
  ];
}

function fitChain({ mtuBytes }: Words, { device }: RulesetFacts): string[] {
  const headers = { 4: 40, 6: 60 } as const;
  return chain(
    'fit',
    'filter hook forward priority mangle',
    // The kernel never raises what a packet says.
    both((family) =>
      ['iifname', 'oifname'].map(
        (side) =>
          `${side} "${device}" meta nfproto ipv${family} tcp flags syn / syn,rst ` +
          `tcp option maxseg size set ${mtuBytes - headers[family]}`,
      ),
    ),
  );
}

function passChain({ advertised }: Words, { device, uplinks, guarded }: RulesetFacts): string[] {
  if (guarded.length === 0) return [];
  const fromTunnel = `iifname "${device}" oifname != "${device}"`;
  const outside = uplinks.filter((name) => name !== device);
  return chain('pass', 'filter hook forward priority filter', [
    'ct state established,related accept',
    'ct status dnat accept',
    ...both((family, ip) => {
      if (!guarded.includes(family)) return [];
      const ofIt = `meta nfproto ipv${family}`;
      return [
        ...advertised
          .filter(({ prefix }) => familyOf(prefix) === family)
          .map(({ prefix }) => `${fromTunnel} ${to(ip, prefix)} accept`),
        `${ofIt} ${fromTunnel} drop`,
        ...(outside.length === 0
          ? []
          : [`${ofIt} iifname ${names(outside)} oifname != "${device}" drop`]),
      ];
    }),
  ]);
}

function leaveChain({ advertised, lan }: Words, { device }: RulesetFacts): string[] {
  const rules = [
    ...both((family, ip) => {
      const meshes = ofFamily(lan, family).map(({ mesh }) => formatIp(mesh));
      return meshes.length === 0
        ? []
        : [`ct status dnat ct original ${ip} daddr ${braces(meshes)} masquerade`];
    }),
    // The longest first, as routes are chosen.
    ...[...advertised]
      .sort((a, b) => b.prefix.bits - a.prefix.bits)
      .map(({ prefix, snat }) => {
        const ip = familyOf(prefix) === 4 ? 'ip' : 'ip6';
        const verdict = snat ? 'masquerade' : 'return';
        return `iifname "${device}" oifname != "${device}" ${to(ip, prefix)} ${verdict}`;
      }),
  ];
  return chain('leave', 'nat hook postrouting priority srcnat', rules);
}

/** nft knows no `0.0.0.0/0`. */
function to(ip: 'ip' | 'ip6', prefix: Prefix): string {
  if (prefix.bits === 0) return `meta nfproto ${ip === 'ip' ? 'ipv4' : 'ipv6'}`;
  return `${ip} daddr ${formatPrefix(prefix)}`;
}

function chain(name: string, hook: string, rules: readonly string[]): string[] {
  if (rules.length === 0) return [];
  return [
    `\tchain ${name} {`,
    `\t\ttype ${hook}; policy accept`,
    ...rules.map((rule) => `\t\t${rule}`),
    '\t}',
  ];
}

function both(rules: (family: Family, ip: 'ip' | 'ip6') => readonly string[]): string[] {
  return [...rules(4, 'ip'), ...rules(6, 'ip6')];
}

/** Devices whose two addresses are of this family; a mesh address cannot stand for one of the other. */
function ofFamily(lan: Words['lan'], family: Family): Words['lan'] {
  const bytes = family === 4 ? IPV4_BYTES : 16;
  return lan.filter((device) => device.mesh.length === bytes && device.lan.length === bytes);
}

const braces = (words: readonly string[]): string => `{ ${words.join(', ')} }`;

const names = (interfaces: readonly string[]): string =>
  braces(interfaces.map((name) => `"${name}"`));

/** A name that is no pattern and ends no string; others, which only a person makes by hand, are left out. */
const isPlain = (name: string): boolean => /^[\w=+.@:-]+$/.test(name);
