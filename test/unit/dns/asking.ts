/** Questions as askers write them, for tests. */

import { concat } from '../../../src/base/bytes.ts';
import { FLAG, TYPE } from '../../../src/protocol/dns/constants.ts';
import { labelsOf } from '../../../src/protocol/dns/name.ts';

export function ask(
  name: string,
  type: number,
  {
    id = 1,
    flags = FLAG.RD,
    class: kind = 1,
  }: { id?: number; flags?: number; class?: number } = {},
): Uint8Array {
  const labels = (labelsOf(name) ?? []).flatMap((label) => [label.length, ...label]);
  return Uint8Array.from([
    ...[id >> 8, id & 0xff, flags >> 8, flags & 0xff, 0, 1, 0, 0, 0, 0, 0, 0],
    ...[...labels, 0, type >> 8, type & 0xff, kind >> 8, kind & 0xff],
  ]);
}

/** The same with an OPT record more. */
export function withEdns(
  message: Uint8Array,
  {
    size = 1232,
    version = 0,
    dnssecOk = false,
    options = new Uint8Array(0),
  }: { size?: number; version?: number; dnssecOk?: boolean; options?: Uint8Array },
): Uint8Array {
  const opt = Uint8Array.from([
    ...[0, 0, TYPE.OPT, size >> 8, size & 0xff, 0, version, dnssecOk ? 0x80 : 0, 0],
    ...[options.length >> 8, options.length & 0xff],
  ]);
  const whole = concat(message, opt, options);
  whole[11] = (whole[11] ?? 0) + 1;
  return whole;
}
