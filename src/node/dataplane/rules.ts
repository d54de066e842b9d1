/**
 * Filter rules as the worker holds them: a packet that came by the tunnel passes if its flow began here or
 * a rule lets it in. One rule, 64 bytes of the arena:
 *
 *      0  family: 4, 6, or 0 for both       4  first port    6  last port (0 to 65,535 for all)
 *      1  IP protocol, 0 for any            8  unused 8
 *      2  source bits    3  target bits    16  source 16    32  target 16    48  unused 16
 *
 * Addresses are left-aligned; bits count the family's own (0 to 32, or 0 to 128). Ports speak of the target
 * and are looked at for TCP (6), UDP (17) and SCTP (132) only.
 */

import { IPV4_BYTES } from '../../base/ip.ts';
import type { Prefix } from '../../base/prefix.ts';
import { RULE_BYTES } from './arena.ts';

export interface Rule {
  /** Undefined: any address of either family; else source and target are of one family. */
  readonly source?: Prefix;
  readonly target?: Prefix;
  /** 0: any. */
  readonly protocol: number;
  readonly firstPort: number;
  readonly lastPort: number;
}

export const ALLOW_ALL: Rule = { protocol: 0, firstPort: 0, lastPort: 65_535 };

/** Reasons of `filterIn`, by its result. */
export const FILTER_DROPS = [
  undefined,
  'in: filter rules',
  'in: filter fragment',
  'in: filter malformed',
] as const;

/** Writes `rule` to its 64 bytes at `at`. */
export function writeRule(bytes: Uint8Array, at: number, rule: Rule): void {
  bytes.fill(0, at, at + RULE_BYTES);
  const family = (rule.source ?? rule.target)?.address.length;
  bytes[at] = family === undefined ? 0 : family === IPV4_BYTES ? 4 : 6;
  bytes[at + 1] = rule.protocol;
  bytes[at + 2] = rule.source?.bits ?? 0;
  bytes[at + 3] = rule.target?.bits ?? 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, RULE_BYTES);
  view.setUint16(4, rule.firstPort, true);
  view.setUint16(6, rule.lastPort, true);
  if (rule.source) bytes.set(rule.source.address, at + 16);
  if (rule.target) bytes.set(rule.target.address, at + 32);
}
