/**
 * A question, as a server reads it: what is asked, and what the asker can take.
 *
 *     0    2       4         6         8         10        12
 *     | id | flags | QD = 1  | AN = 0  | NS = 0  | AR <= n | question | additional: at most one OPT
 *
 *     question   name, uncompressed | type 2 | class 2
 *     OPT        0 | 41 2 | UDP bytes 2 | upper rcode 1 | version 1 | DO, 15 zeros 2 | length 2 | options
 *
 * Whatever comes gives one of three: a query; an answer that says what is wrong with it; or a reason to drop
 * it without a word, where it is an answer itself (two servers would talk for ever) or has no header.
 *
 * Source: RFC 1035 4.1, RFC 6891 6.1.2; one question: RFC 9619.
 */

import {
  CLASS_IN,
  FLAG,
  HEADER_BYTES,
  MOST_UDP_BYTES,
  PLAIN_UDP_BYTES,
  RCODE,
  type Rcode,
  TYPE,
} from './constants.ts';
import { canonicalName, readName } from './name.ts';
import { readRecords } from './records.ts';

export interface Question {
  /** Canonical. */
  readonly name: string;
  readonly type: number;
  /** Name, type and class as they came: what an answer repeats, letter case and all. */
  readonly bytes: Uint8Array;
}

export interface DnsQuery {
  readonly id: number;
  /** RD, CD and AD as asked. */
  readonly flags: number;
  readonly question: Question;
  /** Of the asker's OPT record; undefined where there is none, and then the answer has none either. */
  readonly edns: Edns | undefined;
}

export interface Edns {
  /** What the asker takes by UDP, between 512 and 4096. */
  readonly udpBytes: number;
  readonly dnssecOk: boolean;
}

/** Why nothing at all was said; each is a counter. */
export type DnsDrop = 'dns: too short' | 'dns: an answer';

export type QueryReading =
  | { readonly kind: 'query'; readonly query: DnsQuery }
  | { readonly kind: 'refusal'; readonly rcode: Rcode; readonly reply: Uint8Array }
  | { readonly kind: 'drop'; readonly reason: DnsDrop };

const OPCODE = 0x7800;

/** Never throws. The question shares the memory of `message`. */
export function readQuery(message: Uint8Array): QueryReading {
  if (message.length < HEADER_BYTES) return { kind: 'drop', reason: 'dns: too short' };
  const view = viewOf(message);
  const flags = view.getUint16(2);
  if ((flags & FLAG.QR) !== 0) return { kind: 'drop', reason: 'dns: an answer' };
  if ((flags & OPCODE) !== 0) return refuse(message, RCODE.NOTIMP);
  if (view.getUint16(4) !== 1 || view.getUint16(6) !== 0) return refuse(message, RCODE.FORMERR);
  const question = readQuestion(message);
  if (question === undefined) return refuse(message, RCODE.FORMERR);
  const edns = readEdns(message, HEADER_BYTES + question.bytes.length);
  if (edns === 'malformed') return refuse(message, RCODE.FORMERR);
  const query: DnsQuery = {
    id: view.getUint16(0),
    flags: flags & (FLAG.RD | FLAG.AD | FLAG.CD),
    question,
    edns: edns === 'other version' ? undefined : edns,
  };
  if (edns === 'other version') return refuse(message, RCODE.BADVERS, question);
  if (question.type === TYPE.AXFR || question.type === TYPE.IXFR || question.class !== CLASS_IN)
    return refuse(message, RCODE.REFUSED, question);
  return { kind: 'query', query };
}

/** The question of a message that has exactly one, class and all. */
export function readQuestion(
  message: Uint8Array,
): (Question & { readonly class: number }) | undefined {
  const name = readName(message, HEADER_BYTES, HEADER_BYTES);
  if (name === undefined || name.next + 4 > message.length) return undefined;
  const view = viewOf(message);
  return {
    name: canonicalName(name.text),
    type: view.getUint16(name.next),
    class: view.getUint16(name.next + 2),
    bytes: message.subarray(HEADER_BYTES, name.next + 4),
  };
}

function readEdns(
  message: Uint8Array,
  at: number,
): Edns | undefined | 'malformed' | 'other version' {
  const view = viewOf(message);
  const records = readRecords(message, at, view.getUint16(8) + view.getUint16(10));
  if (records === undefined) return 'malformed';
  const [opt, second] = records.filter(({ type }) => type === TYPE.OPT);
  if (opt === undefined) return undefined;
  if (second !== undefined || opt.name !== '') return 'malformed';
  if (((opt.ttl >>> 16) & 0xff) !== 0) return 'other version';
  return {
    udpBytes: Math.min(Math.max(opt.class, PLAIN_UDP_BYTES), MOST_UDP_BYTES),
    dnssecOk: (opt.ttl & 0x8000) !== 0,
  };
}

/** An answer that is nothing but its code: to a message that was not understood, or will not be. */
function refuse(message: Uint8Array, rcode: Rcode, question?: Question): QueryReading {
  const body = question?.bytes ?? new Uint8Array(0);
  // A code above 15 exists only with an OPT record to hold its upper half.
  const opt = rcode > 0xf ? 11 : 0;
  const reply = new Uint8Array(HEADER_BYTES + body.length + opt);
  const view = viewOf(reply);
  const asked = viewOf(message);
  view.setUint16(0, asked.getUint16(0));
  view.setUint16(2, FLAG.QR | FLAG.RA | (asked.getUint16(2) & (OPCODE | FLAG.RD)) | (rcode & 0xf));
  view.setUint16(4, question === undefined ? 0 : 1);
  reply.set(body, HEADER_BYTES);
  if (opt > 0) {
    const at = HEADER_BYTES + body.length;
    view.setUint16(10, 1);
    view.setUint16(at + 1, TYPE.OPT);
    view.setUint16(at + 3, PLAIN_UDP_BYTES);
    view.setUint8(at + 5, rcode >> 4);
  }
  return { kind: 'refusal', rcode, reply };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
