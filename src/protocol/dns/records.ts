/**
 * Resource records, as a reader walks over them.
 *
 *     name | type 2 | class 2 | TTL 4 | length 2 | data
 *
 * Source: RFC 1035 4.1.3. A TTL with its top bit set counts as zero (RFC 2181 8).
 */

import { HEADER_BYTES } from './constants.ts';
import { readName } from './name.ts';

export interface ResourceRecord {
  /** Case as it came. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** All 32 bits: seconds, or what an OPT record keeps there. */
  readonly ttl: number;
  /** Where in the message its TTL stands, and its data, `dataBytes` of them. */
  readonly ttlAt: number;
  readonly dataAt: number;
  readonly dataBytes: number;
}

/** `count` records from `at` on, or undefined where they are not all there. */
export function readRecords(
  message: Uint8Array,
  at: number,
  count: number,
): ResourceRecord[] | undefined {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const records: ResourceRecord[] = [];
  for (let i = 0; i < count; i++) {
    const name = readName(message, at, HEADER_BYTES);
    if (name === undefined || name.next + 10 > message.length) return undefined;
    const dataAt = name.next + 10;
    const dataBytes = view.getUint16(name.next + 8);
    if (dataAt + dataBytes > message.length) return undefined;
    records.push({
      name: name.text,
      type: view.getUint16(name.next),
      class: view.getUint16(name.next + 2),
      ttl: view.getUint32(name.next + 4),
      ttlAt: name.next + 4,
      dataAt,
      dataBytes,
    });
    at = dataAt + dataBytes;
  }
  return records;
}

/** Seconds that a record may be kept. */
export function ttlSeconds({ ttl }: ResourceRecord): number {
  return ttl > 0x7fff_ffff ? 0 : ttl;
}
