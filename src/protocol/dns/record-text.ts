/**
 * The data of a record for a person: addresses and names as everybody writes them, and what is not known here
 * as `\# length hex` (RFC 3597 5).
 */

import { toHex } from '../../base/bytes.ts';
import { formatIp } from '../../base/ip.ts';
import { HEADER_BYTES, TYPE } from './constants.ts';
import { readName } from './name.ts';
import type { ResourceRecord } from './records.ts';

/** @param message the whole message that the record was read from, since names in it may be pointers */
export function recordText(message: Uint8Array, record: ResourceRecord): string {
  const { dataAt, dataBytes } = record;
  const data = message.subarray(dataAt, dataAt + dataBytes);
  return knownText(message, record, data) ?? `\\# ${dataBytes} ${toHex(data)}`.trimEnd();
}

function knownText(
  message: Uint8Array,
  { type, dataAt }: ResourceRecord,
  data: Uint8Array,
): string | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const name = (at: number): string | undefined => {
    const read = readName(message, dataAt + at, HEADER_BYTES);
    return read === undefined ? undefined : `${read.text}.`;
  };
  const numbers = (count: number): string =>
    Array.from({ length: count }, (_, i) => view.getUint16(2 * i)).join(' ');
  switch (type) {
    case TYPE.A:
      return data.length === 4 ? formatIp(data) : undefined;
    case TYPE.AAAA:
      return data.length === 16 ? formatIp(data) : undefined;
    case TYPE.CNAME:
    case TYPE.DNAME:
    case TYPE.NS:
    case TYPE.PTR:
      return name(0);
    case TYPE.MX:
      return data.length > 2 ? joined(numbers(1), name(2)) : undefined;
    case TYPE.SRV:
      return data.length > 6 ? joined(numbers(3), name(6)) : undefined;
    case TYPE.TXT:
      return textStrings(data);
    case TYPE.SOA: {
      const first = readName(message, dataAt, HEADER_BYTES);
      const second = first && readName(message, first.next, HEADER_BYTES);
      if (second === undefined || second.next - dataAt + 20 > data.length) return undefined;
      const at = second.next - dataAt;
      const words = Array.from({ length: 5 }, (_, i) => view.getUint32(at + 4 * i));
      return `${first?.text}. ${second.text}. ${words.join(' ')}`;
    }
    default:
      return undefined;
  }
}

const joined = (numbers: string, name: string | undefined): string | undefined =>
  name === undefined ? undefined : `${numbers} ${name}`;

/** Strings in quotes; what is not printable ASCII as `\ddd`, so that no answer can drive a terminal. */
function textStrings(data: Uint8Array): string | undefined {
  const strings: string[] = [];
  for (let at = 0; at < data.length; ) {
    const length = data[at] as number;
    if (at + 1 + length > data.length) return undefined;
    let text = '';
    for (const byte of data.subarray(at + 1, at + 1 + length)) {
      const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
      text += plain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`;
    }
    strings.push(`"${text}"`);
    at += 1 + length;
  }
  return strings.join(' ');
}
