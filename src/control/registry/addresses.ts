/**
 * Mesh addresses: one IPv4 and one IPv6 for each node and LAN device, given once and for ever.
 *
 *     IPv4   out of 100.64.0.0/10, without 100.115.92.0/23 (ChromeOS) and 100.100.100.100 (the resolver)
 *     IPv6   fd7a:115c:a1e0:: followed by the IPv4 address in its last 32 bits
 *
 * The search walks through the pool and begins where the last one ended, so that an address comes back as
 * late as possible; one that was a deleted holder's rests for 30 days, since a peer that was offline may
 * still believe in it.
 *
 * Source: reference/protocol.md 3.4.
 */

import { concat } from '../../base/bytes.ts';
import { BugError } from '../../base/errors.ts';
import { formatIp, parseIp } from '../../base/ip.ts';
import type { Prefix } from '../../base/prefix.ts';
import { contains, parsePrefix } from '../../base/prefix.ts';
import type { Context } from './change.ts';
import type { Model } from './model.ts';

export const REST_MILLIS: number = 30 * 86_400_000;
const MANY_RESTS = 1024;

export const MESH_IPV4: Prefix = fixed('100.64.0.0/10');
export const MESH_IPV6: Prefix = fixed('fd7a:115c:a1e0::/48');
const NEVER_GIVEN: readonly Prefix[] = [fixed('100.115.92.0/23'), fixed('100.100.100.100/32')];
const IPV6_HEAD = MESH_IPV6.address.subarray(0, 12);

/** One more address, the counter moved and the rest ended; undefined where none is free. */
export function allotted(
  model: Model,
  { now, clockTrusted }: Pick<Context, 'now' | 'clockTrusted'>,
): { readonly model: Model; readonly ip4: string; readonly ip6: string } | undefined {
  const pool = fixed(model.settings.pool);
  const size = 2 ** (32 - pool.bits);
  const base = numberOf(pool.address);
  for (let tried = 0; tried < size; tried++) {
    const offset = (model.counters.nextAddress + tried) % size;
    // The first and last of a pool look like a network's own and broadcast address to some systems.
    if (offset === 0 || offset === size - 1) continue;
    const address = bytesOf(base + offset);
    if (NEVER_GIVEN.some((prefix) => contains(prefix, address))) continue;
    const ip4 = formatIp(address);
    if (model.index.addresses.has(ip4)) continue;
    const since = model.rests.get(ip4);
    if (since !== undefined && (!clockTrusted || now < since + REST_MILLIS)) continue;
    const counters = { ...model.counters, nextAddress: (offset + 1) % size };
    return {
      model: { ...model, counters, rests: model.rests.delete(ip4) },
      ip4,
      ip6: ip6Of(address),
    };
  }
  return undefined;
}

/** The address of something deleted, put to rest. Where many rest, those who have rested enough are let go. */
export function rested(
  model: Model,
  ip4: string,
  { now, clockTrusted }: Pick<Context, 'now' | 'clockTrusted'>,
): Model {
  let rests = model.rests.set(ip4, now);
  if (rests.size > MANY_RESTS && clockTrusted)
    for (const [address, since] of rests.entries())
      if (now >= since + REST_MILLIS) rests = rests.delete(address);
  return { ...model, rests };
}

/** Who has this mesh address: `node 3` or `device 3/nas`; undefined for one of nobody. For whois. */
export function holderOf(model: Model, address: string): string | undefined {
  const bytes = parseIp(address);
  if (bytes === undefined) return undefined;
  if (bytes.length === 4) return model.index.addresses.get(formatIp(bytes));
  const ip4 = bytes.subarray(12);
  return ip6Of(ip4) === formatIp(bytes) ? model.index.addresses.get(formatIp(ip4)) : undefined;
}

/** Whether a prefix touches the mesh's own ranges; exit routes, which hold everything, do not count. */
export function touchesMesh(prefix: Prefix): boolean {
  if (prefix.bits === 0) return false;
  return [MESH_IPV4, MESH_IPV6].some(
    (mesh) => contains(mesh, prefix.address) || contains(prefix, mesh.address),
  );
}

/** Whether addresses may be given out of `text`. */
export function isPool(text: string): boolean {
  const prefix = parsePrefix(text);
  return (
    prefix !== undefined &&
    prefix.bits >= MESH_IPV4.bits &&
    prefix.bits <= 30 &&
    contains(MESH_IPV4, prefix.address)
  );
}

const ip6Of = (ip4: Uint8Array): string => formatIp(concat(IPV6_HEAD, ip4));

const numberOf = (address: Uint8Array): number => address.reduce((all, byte) => all * 256 + byte);

const bytesOf = (value: number): Uint8Array =>
  Uint8Array.of(value / 2 ** 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);

function fixed(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new BugError(`${text} is no prefix`);
  return prefix;
}
