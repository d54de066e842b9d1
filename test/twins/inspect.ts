/** What a filter sees in a packet, read step by step: the twin of packet.as.ts. */

import { be16 } from './checksum.ts';

const RULES = 1;
const FRAGMENT = 2;
const MALFORMED = 3;

export interface Seen {
  /** Addresses as bits. */
  readonly local: string;
  readonly remote: string;
  readonly protocol: number;
  readonly fragment: 'whole' | 'first' | 'later';
  readonly fragmentKey: string;
  /** Undefined: belongs to no flow. */
  readonly ports: string | undefined;
  /** Only of protocols with ports. */
  readonly targetPort: number | undefined;
  readonly answer: boolean;
  readonly quoted: Uint8Array | undefined;
}

type Way = 'in' | 'out' | 'quoted';
type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

/** What is seen, or the reason to drop. */
export function inspect(packet: Uint8Array, way: Way): Seen | number {
  const version = packet.length < 20 ? 0 : (packet[0] as number) >> 4;
  if (version === 4) return inspect4(packet, way);
  return version === 6 && packet.length >= 40 ? inspect6(packet, way) : MALFORMED;
}

function inspect4(packet: Uint8Array, way: Way): Seen | number {
  const headerBytes = ((packet[0] as number) & 15) * 4;
  const told = be16(packet, 2);
  const total = way === 'quoted' ? Math.min(told, packet.length) : told;
  if (headerBytes < 20 || headerBytes > total || total > packet.length) return MALFORMED;
  const seen = between(packet.subarray(12, 16), packet.subarray(16, 20), way);
  seen.protocol = packet[9] as number;
  seen.fragmentKey = `${be16(packet, 4)} ${seen.protocol}`;
  const offset = be16(packet, 6) & 0x1fff;
  if (offset === 1) return FRAGMENT;
  if (offset > 0) seen.fragment = 'later';
  else if (be16(packet, 6) & 0x2000) seen.fragment = 'first';
  return inspectTransport(seen, packet.subarray(headerBytes, total), way);
}

function inspect6(packet: Uint8Array, way: Way): Seen | number {
  const told = 40 + be16(packet, 4);
  if (told > packet.length && way !== 'quoted') return MALFORMED;
  let rest = packet.subarray(40, told);
  const seen = between(packet.subarray(8, 24), packet.subarray(24, 40), way);
  seen.protocol = packet[6] as number;
  let fragments = 0;
  for (let headers = 0; [0, 43, 44, 60].includes(seen.protocol); headers++) {
    const bytes = seen.protocol === 44 ? 8 : ((rest[1] ?? 0) + 1) * 8;
    if (headers === 8 || rest.length < 8 || rest.length < bytes) return MALFORMED;
    if (seen.protocol === 44) {
      if (fragments++ > 0) return MALFORMED;
      seen.fragmentKey = bitsOf(rest.subarray(4, 8));
      const offset = be16(rest, 2) >> 3;
      if (offset === 1) return FRAGMENT;
      if (offset > 0) return { ...seen, fragment: 'later' };
      if (be16(rest, 2) & 1) seen.fragment = 'first';
    }
    seen.protocol = rest[0] as number;
    rest = rest.subarray(bytes);
  }
  if ([135, 139, 140].includes(seen.protocol)) return MALFORMED;
  return inspectTransport(seen, rest, way);
}

function between(source: Uint8Array, target: Uint8Array, way: Way): Mutable<Seen> {
  return {
    local: bitsOf(way === 'in' ? target : source),
    remote: bitsOf(way === 'in' ? source : target),
    protocol: 0,
    fragment: 'whole',
    fragmentKey: '',
    ports: undefined,
    targetPort: undefined,
    answer: false,
    quoted: undefined,
  };
}

function inspectTransport(seen: Mutable<Seen>, bytes: Uint8Array, way: Way): Seen | number {
  if (seen.fragment === 'later') return seen;
  const { protocol, fragment } = seen;
  const icmp = seen.local.length === 32 ? 1 : 58;
  if (![6, 17, 132, icmp].includes(protocol)) return { ...seen, ports: 'none' };
  const short = fragment === 'first' ? FRAGMENT : MALFORMED;
  if (bytes.length < leastBytes(protocol, fragment, way)) return short;
  if (protocol === icmp) return inspectIcmp(seen, bytes, way);
  if (protocol === 6) seen.answer = ((bytes[13] ?? 0) & 0x12) === 0x12;
  if (fragment === 'whole' && way !== 'quoted') {
    const told = protocol === 6 ? ((bytes[12] as number) >> 4) * 4 : be16(bytes, 4);
    const least = protocol === 6 ? 20 : 8;
    if (protocol !== 132 && (told < least || told > bytes.length)) return MALFORMED;
  }
  const [source, target] = [be16(bytes, 0), be16(bytes, 2)];
  seen.ports = way === 'in' ? `${target} ${source}` : `${source} ${target}`;
  seen.targetPort = way === 'in' ? target : source;
  return seen;
}

/** RFC 1858 wants TCP's flags in the first fragment; an ICMP error quotes 8 bytes (RFC 792). */
function leastBytes(protocol: number, fragment: Seen['fragment'], way: Way): number {
  if (way === 'quoted') return 8;
  if (protocol === 6) return fragment === 'first' ? 16 : 20;
  return protocol === 132 && fragment === 'whole' ? 12 : 8;
}

function inspectIcmp(seen: Mutable<Seen>, bytes: Uint8Array, way: Way): Seen | number {
  const v4 = seen.protocol === 1;
  const type = bytes[0] as number;
  const orders = v4 ? [5, 9, 10] : [130, 131, 132, 133, 134, 135, 136, 137, 143];
  if (way !== 'quoted' && orders.includes(type)) return RULES;
  const [request, reply] = v4 ? [8, 0] : [128, 129];
  if (type === request || type === reply) {
    seen.answer = type === reply;
    const ourQuestion = (way === 'in') === seen.answer;
    seen.ports = `${be16(bytes, 4)} ${ourQuestion ? 'ours' : 'theirs'}`;
  } else if (seen.fragment === 'whole' && (v4 ? [3, 11, 12] : [1, 2, 3, 4]).includes(type))
    seen.quoted = bytes.subarray(8);
  return seen;
}

export const bitsOf = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
