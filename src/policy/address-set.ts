/**
 * Sets of IP addresses, as policies speak of them: single ones, prefixes, ranges, everything.
 *
 *     ipv4, ipv6   spans of whole numbers, by rising order; none overlaps or touches the next one
 *
 * One set has one form, so two sets are the same where their spans are. Policies change seldom and are never
 * looked at for a packet: whole numbers of 128 bits are BigInts here.
 */

import { fromHex, toHex } from '../base/bytes.ts';
import { IPV4_BYTES, IPV6_BYTES, parseIp } from '../base/ip.ts';
import type { Prefix } from '../base/prefix.ts';
import { equalPrefix, parsePrefix } from '../base/prefix.ts';

export interface Span {
  readonly first: bigint;
  readonly last: bigint;
}

export type Spans = readonly Span[];

export interface AddressSet {
  readonly ipv4: Spans;
  readonly ipv6: Spans;
}

const IPV4_BITS = 8 * IPV4_BYTES;
const IPV6_BITS = 8 * IPV6_BYTES;

export const NO_ADDRESS: AddressSet = { ipv4: [], ipv6: [] };

export const EVERY_ADDRESS: AddressSet = {
  ipv4: [{ first: 0n, last: (1n << BigInt(IPV4_BITS)) - 1n }],
  ipv6: [{ first: 0n, last: (1n << BigInt(IPV6_BITS)) - 1n }],
};

/**
 * `*`, an address, a prefix, `first-last`; undefined for every other text. A prefix with host bits is none: who
 * wrote it meant one host or the network, and nobody knows which.
 */
export function parseAddresses(text: string): AddressSet | undefined {
  if (text === '*') return EVERY_ADDRESS;
  const dash = text.indexOf('-');
  if (dash >= 0) return parseRange(text.slice(0, dash), text.slice(dash + 1));
  const prefix = parsePrefix(text);
  if (prefix === undefined) return undefined;
  const slash = text.indexOf('/');
  if (slash >= 0) {
    const address = parseIp(text.slice(0, slash));
    if (address === undefined || !equalPrefix({ address, bits: prefix.bits }, prefix))
      return undefined;
  }
  return prefixSet(prefix);
}

export function prefixSet({ address, bits }: Prefix): AddressSet {
  const first = toNumber(address);
  const hosts = (1n << BigInt(8 * address.length - bits)) - 1n;
  return ofFamily(address, [{ first, last: first | hosts }]);
}

export function addressSet(address: Uint8Array): AddressSet {
  return prefixSet({ address, bits: 8 * address.length });
}

export function union(sets: readonly AddressSet[]): AddressSet {
  return {
    ipv4: joined(sets.map(({ ipv4 }) => ipv4)),
    ipv6: joined(sets.map(({ ipv6 }) => ipv6)),
  };
}

export function intersection(a: AddressSet, b: AddressSet): AddressSet {
  return { ipv4: common(a.ipv4, b.ipv4), ipv6: common(a.ipv6, b.ipv6) };
}

/** What of `a` is not in `b`. */
export function difference(a: AddressSet, b: AddressSet): AddressSet {
  return { ipv4: without(a.ipv4, b.ipv4), ipv6: without(a.ipv6, b.ipv6) };
}

export function holds(set: AddressSet, address: Uint8Array): boolean {
  const at = toNumber(address);
  const spans = address.length === IPV4_BYTES ? set.ipv4 : set.ipv6;
  return spans.some(({ first, last }) => first <= at && at <= last);
}

/** The fewest prefixes that are the set together, of at most `most` of each family. */
export function prefixesOf(set: AddressSet, most: number = Number.POSITIVE_INFINITY): Prefix[] {
  return [...spanPrefixes(set.ipv4, IPV4_BYTES, most), ...spanPrefixes(set.ipv6, IPV6_BYTES, most)];
}

/** The same of one family. @param bytes of an address */
export function spanPrefixes(spans: Spans, bytes: number, most: number): Prefix[] {
  const prefixes: Prefix[] = [];
  for (const { first, last } of spans)
    for (let at = first; at <= last && prefixes.length < most; ) {
      let hostBits = 0;
      // The largest block that begins here and does not reach beyond the span.
      for (let block = 2n; hostBits < 8 * bytes; block <<= 1n) {
        if (at % block !== 0n || at + block - 1n > last) break;
        hostBits++;
      }
      prefixes.push({ address: toBytes(at, bytes), bits: 8 * bytes - hostBits });
      at += 1n << BigInt(hostBits);
    }
  return prefixes;
}

/** The spans of all lists as one. */
export function joined(lists: readonly Spans[]): Spans {
  if (lists.length === 1) return lists[0] as Spans;
  const sorted = lists.flat().sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const spans: Span[] = [];
  for (const span of sorted) {
    const before = spans.at(-1);
    if (before === undefined || span.first > before.last + 1n) spans.push(span);
    else if (span.last > before.last) spans[spans.length - 1] = { ...before, last: span.last };
  }
  return spans;
}

export function common(a: Spans, b: Spans): Spans {
  const spans: Span[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [one, other] = [a[i] as Span, b[j] as Span];
    const first = later(one.first, other.first);
    const last = one.last === later(one.last, other.last) ? other.last : one.last;
    if (first <= last) spans.push({ first, last });
    if (one.last < other.last) i++;
    else j++;
  }
  return spans;
}

/** Whether all of `part` is in `whole`. */
export function within(part: Spans, whole: Spans): boolean {
  let at = 0;
  return part.every(({ first, last }) => {
    while (at < whole.length && (whole[at] as Span).last < first) at++;
    const span = whole[at];
    return span !== undefined && span.first <= first && last <= span.last;
  });
}

function without(a: Spans, b: Spans): Spans {
  const spans: Span[] = [];
  let at = 0;
  for (const { first, last } of a) {
    let from = first;
    while (at < b.length && (b[at] as Span).last < from) at++;
    for (let i = at; i < b.length && (b[i] as Span).first <= last; i++) {
      const gone = b[i] as Span;
      if (gone.first > from) spans.push({ first: from, last: gone.first - 1n });
      if (gone.last + 1n > from) from = gone.last + 1n;
    }
    if (from <= last) spans.push({ first: from, last });
  }
  return spans;
}

function parseRange(from: string, to: string): AddressSet | undefined {
  const [first, last] = [parseIp(from), parseIp(to)];
  if (first === undefined || last === undefined || first.length !== last.length) return undefined;
  const span = { first: toNumber(first), last: toNumber(last) };
  return span.first <= span.last ? ofFamily(first, [span]) : undefined;
}

function later(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}

const ofFamily = (address: Uint8Array, spans: Spans): AddressSet =>
  address.length === IPV4_BYTES ? { ipv4: spans, ipv6: [] } : { ipv4: [], ipv6: spans };

const toNumber = (address: Uint8Array): bigint => BigInt(`0x${toHex(address)}`);

const toBytes = (value: bigint, bytes: number): Uint8Array =>
  fromHex(value.toString(16).padStart(2 * bytes, '0')) ?? new Uint8Array(bytes);
