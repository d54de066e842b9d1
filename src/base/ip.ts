/**
 * IP addresses as bytes: 4 for IPv4, 16 for IPv6. The length is the family.
 *
 * Text: dotted decimal without leading zeros (RFC 6943 3.1.1 strict form); RFC 4291 2.2 read, RFC 5952 written.
 */

import { concat, equalBytes } from './bytes.ts';

export const IPV4_BYTES = 4;
export const IPV6_BYTES = 16;

/** What an IPv4 address has before it where a place has room for IPv6 only: ::ffff:a.b.c.d (RFC 4291 2.5.5.2). */
export const IPV4_MAPPED: Uint8Array = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

/** An address, or undefined where the text is none. A zone (`%eth0`) is not part of an address. */
export function parseIp(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

export function formatIp(address: Uint8Array): string {
  if (address.length === IPV4_BYTES) return address.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => group(address, i));
  if (groups.slice(0, 5).every((value) => value === 0) && groups[5] === 0xffff)
    return `::ffff:${address.subarray(12).join('.')}`;
  const [start, length] = longestZeroRun(groups);
  const text = groups.map((value) => value.toString(16));
  if (length < 2) return text.join(':');
  return `${text.slice(0, start).join(':')}::${text.slice(start + length).join(':')}`;
}

/** In 16 bytes, IPv4 as ::ffff:a.b.c.d. */
export function toMapped(address: Uint8Array): Uint8Array {
  return address.length === IPV4_BYTES ? concat(IPV4_MAPPED, address) : address;
}

/** The IPv4 address that one of 16 bytes stands for, or that one itself. */
export function fromMapped(address: Uint8Array): Uint8Array {
  const prefix = address.subarray(0, IPV4_MAPPED.length);
  return equalBytes(prefix, IPV4_MAPPED) ? address.slice(IPV4_MAPPED.length) : address;
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== IPV4_BYTES || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part)))
    return undefined;
  const values = parts.map(Number);
  return values.every((value) => value <= 255) ? Uint8Array.from(values) : undefined;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const [head = '', tail, ...more] = text.split('::');
  if (more.length > 0) return undefined;
  const front = groupsOf(head, tail === undefined);
  const back = groupsOf(tail ?? '', true);
  if (front === undefined || back === undefined) return undefined;
  const length = front.length + back.length;
  // `::` stands for at least one group.
  if (tail === undefined ? length !== IPV6_BYTES : length > IPV6_BYTES - 2) return undefined;
  const bytes = new Uint8Array(IPV6_BYTES);
  bytes.set(front);
  bytes.set(back, IPV6_BYTES - back.length);
  return bytes;
}

/** The bytes of groups between colons; the last one of an address may be IPv4. */
function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const parts = text.split(':');
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as string;
    const ipv4 = last && i === parts.length - 1 ? parseIpv4(part) : undefined;
    if (ipv4 !== undefined) {
      bytes.push(...ipv4);
      continue;
    }
    if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
    const value = Number.parseInt(part, 16);
    bytes.push(value >> 8, value & 0xff);
  }
  return bytes;
}

function group(address: Uint8Array, i: number): number {
  return ((address[2 * i] as number) << 8) | (address[2 * i + 1] as number);
}

function longestZeroRun(groups: readonly number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0];
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > best[1]) best = [start, end - start];
  }
  return best;
}
