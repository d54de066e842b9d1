/**
 * A question passed on to another server, and what comes back.
 *
 * The question goes out as the asker wrote it, letter case included, in a message of our own: a fresh id, the
 * asker's RD, CD and AD, and an OPT record only if he sent one, with his DO bit, our size and none of his
 * options, which are meant for the next hop alone (RFC 6891 6.2.6).
 *
 * An answer counts only if its id and its question are those of the query. It is kept as it came; of its
 * records only the places of the TTLs are remembered, so that it can age.
 *
 * Source: RFC 1035 4.1, RFC 5452 9.1; negative answers: RFC 2308 5.
 */

import { concat } from '../../base/bytes.ts';
import { FLAG, HEADER_BYTES, OUR_UDP_BYTES, RCODE, TYPE } from './constants.ts';
import type { DnsQuery, Question } from './query.ts';
import { readQuestion } from './query.ts';
import type { ResourceRecord } from './records.ts';
import { readRecords, ttlSeconds } from './records.ts';

export interface UpstreamAnswer {
  readonly message: Uint8Array;
  readonly rcode: number;
  readonly truncated: boolean;
  readonly records: readonly ResourceRecord[];
  /** How long it may be remembered; 0: not at all. */
  readonly keepSeconds: number;
}

/** Why a datagram from the server asked was not taken for its answer; each is a counter. */
export type UpstreamDrop = 'dns: malformed answer' | 'dns: answer to another question';

export function upstreamQuery({ flags, question, edns }: DnsQuery, id: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint16(0, id);
  view.setUint16(2, flags);
  view.setUint16(4, 1);
  if (edns === undefined) return concat(header, question.bytes);
  view.setUint16(10, 1);
  const opt = new Uint8Array(11);
  const optView = new DataView(opt.buffer);
  optView.setUint16(1, TYPE.OPT);
  optView.setUint16(3, OUR_UDP_BYTES);
  optView.setUint16(7, edns.dnssecOk ? 0x8000 : 0);
  return concat(header, question.bytes, opt);
}

/** The answer to `question` in a message from the server asked, or why it is none. Never throws. */
export function readUpstream(
  message: Uint8Array,
  id: number,
  question: Question,
): UpstreamAnswer | UpstreamDrop {
  if (message.length < HEADER_BYTES) return 'dns: malformed answer';
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const flags = view.getUint16(2);
  if ((flags & FLAG.QR) === 0 || view.getUint16(0) !== id) return 'dns: answer to another question';
  const echoed = view.getUint16(4) === 1 ? readQuestion(message) : undefined;
  if (echoed === undefined) return 'dns: malformed answer';
  if (
    echoed.name !== question.name ||
    echoed.type !== question.type ||
    echoed.bytes.length !== question.bytes.length
  )
    return 'dns: answer to another question';
  const at = HEADER_BYTES + echoed.bytes.length;
  const truncated = (flags & FLAG.TC) !== 0;
  const count = view.getUint16(6) + view.getUint16(8) + view.getUint16(10);
  const records = readRecords(message, at, count);
  // A server may cut in the midst of a record when it says that it has cut.
  if (records === undefined && !truncated) return 'dns: malformed answer';
  const rcode = flags & 0xf;
  const found = records ?? [];
  return {
    message,
    rcode,
    truncated,
    records: found,
    keepSeconds: truncated ? 0 : keepSeconds(message, rcode, found, view.getUint16(6)),
  };
}

/** The same message some seconds later. */
export function aged({ message, records }: UpstreamAnswer, seconds: number): Uint8Array {
  const copy = message.slice();
  const view = new DataView(copy.buffer);
  for (const record of records) {
    if (record.type === TYPE.OPT) continue;
    view.setUint32(record.ttlAt, Math.max(0, ttlSeconds(record) - seconds));
  }
  return copy;
}

function keepSeconds(
  message: Uint8Array,
  rcode: number,
  records: readonly ResourceRecord[],
  answers: number,
): number {
  if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN) return 0;
  if (answers > 0 && rcode === RCODE.NOERROR)
    return Math.min(...records.filter(({ type }) => type !== TYPE.OPT).map(ttlSeconds));
  const soa = records.find(({ type }) => type === TYPE.SOA);
  if (soa === undefined || soa.dataBytes < 22) return 0;
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  return Math.min(ttlSeconds(soa), view.getUint32(soa.dataAt + soa.dataBytes - 4));
}
