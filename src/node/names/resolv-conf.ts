/**
 * The text of /etc/resolv.conf: what it says, and the one that we put in its place.
 *
 *     # Written by Postern ...               by this line it is known as ours
 *     #| nameserver 192.0.2.1                the text before us, should every copy of it be lost
 *     nameserver 100.100.100.100
 *     search mesh.example lan
 *     options edns0                          as they were
 *
 * Source: resolv.conf(5). Of `search` and `domain` the last one counts. Three nameservers are read by libc.
 */

import { formatIp } from '../../base/ip.ts';
import { canonicalName, isHostName } from '../../protocol/dns/name.ts';
import type { ResolverAddress } from '../../protocol/dns/resolver-address.ts';
import { parseResolver } from '../../protocol/dns/resolver-address.ts';

export interface ResolvConf {
  readonly nameservers: readonly ResolverAddress[];
  readonly search: readonly string[];
  /** `options` and `sortlist` lines as they stand. */
  readonly others: readonly string[];
}

const MARK =
  '# Written by Postern, which answers the names of its network and passes on all others.';
const KEPT = '#| ';
const MAX_NAMESERVERS = 8;
const MAX_OTHERS = 8;
/** More than any resolv.conf has; what is beyond is not carried along. */
const MAX_KEPT_LINES = 100;
const MAX_SEARCH = 6;

export function parseResolvConf(text: string): ResolvConf {
  const nameservers: ResolverAddress[] = [];
  const others: string[] = [];
  let search: string[] = [];
  for (const line of text.split('\n')) {
    const [word = '', ...rest] = line.trim().split(/\s+/);
    if (word === 'nameserver') {
      const resolver = parseResolver(rest[0] ?? '');
      if (resolver !== undefined) nameservers.push(resolver);
    } else if (word === 'search' || word === 'domain') {
      search = rest.map(canonicalName).filter(isHostName);
    } else if (word === 'options' || word === 'sortlist') {
      others.push(line.trim());
    }
  }
  return {
    nameservers: nameservers.slice(0, MAX_NAMESERVERS),
    search,
    others: others.slice(0, MAX_OTHERS),
  };
}

/** Ours, with `before` carried along as comments. */
export function ourResolvConf(
  addresses: readonly Uint8Array[],
  search: readonly string[],
  before: string,
): string {
  const was = parseResolvConf(before);
  const domains = [...new Set([...search, ...was.search])].slice(0, MAX_SEARCH);
  const kept = before.split('\n').slice(0, MAX_KEPT_LINES);
  if (kept.at(-1) === '') kept.pop();
  return [
    MARK,
    '# It puts back what stood here when it stops:',
    ...kept.map((line) => KEPT + line),
    ...addresses.map((address) => `nameserver ${formatIp(address)}`),
    ...(domains.length > 0 ? [`search ${domains.join(' ')}`] : []),
    ...was.others,
    '',
  ].join('\n');
}

export function isOurs(text: string): boolean {
  return text.startsWith(`${MARK}\n`);
}

/** The text that ours carries along, or undefined where it has none. */
export function carriedAlong(text: string): string | undefined {
  const lines = text.split('\n').filter((line) => line.startsWith(KEPT.trimEnd()));
  if (lines.length === 0) return undefined;
  return `${lines.map((line) => line.slice(KEPT.length)).join('\n')}\n`;
}
