/** IP prefixes: an address whose host bits are zero, and how many bits of it count. */

import { equalBytes } from './bytes.ts';
import { formatIp, parseIp } from './ip.ts';

export interface Prefix {
  /** 4 or 16 bytes, host bits zero. */
  readonly address: Uint8Array;
  /** 0 to 32, or 0 to 128. */
  readonly bits: number;
}

/** `10.0.0.0/8`, `fd00::/8`, or a bare address for a host; host bits are cleared. Undefined where it is neither. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/');
  const address = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const most = address.length * 8;
  if (slash < 0) return { address, bits: most };
  const digits = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(digits) || Number(digits) > most) return undefined;
  return prefixOf(address, Number(digits));
}

/** The prefix of the first `bits` of `address`. */
export function prefixOf(address: Uint8Array, bits: number): Prefix {
  const masked = address.map((byte, i) => byte & ~(0xff >> Math.min(8, Math.max(0, bits - 8 * i))));
  return { address: masked, bits };
}

export function formatPrefix({ address, bits }: Prefix): string {
  return `${formatIp(address)}/${bits}`;
}

export function equalPrefix(a: Prefix, b: Prefix): boolean {
  return a.bits === b.bits && equalBytes(a.address, b.address);
}

/** Whether `address` lies in `prefix`; never across families. */
export function contains(prefix: Prefix, address: Uint8Array): boolean {
  if (prefix.address.length !== address.length) return false;
  return equalBytes(prefixOf(address, prefix.bits).address, prefix.address);
}
