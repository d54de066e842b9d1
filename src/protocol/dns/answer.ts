/**
 * An answer of our own making, or one of somebody else cut to what the asker takes.
 *
 *     header 12 | the question as asked | answer | authority | OPT, if the asker sent one
 *
 * The owner of a record is a pointer into what was written before it, where it can be (RFC 1035 4.1.4); a
 * name equal to the question points there and so keeps the letter case that the asker chose. What does not
 * fit into `mostBytes` leaves no half: no records, TC set, and the asker comes again by TCP (RFC 2181 9).
 *
 * Source: RFC 1035 4.1, RFC 6891 6.1.1, 7.
 */

import { concat } from '../../base/bytes.ts';
import {
  CLASS_IN,
  FLAG,
  HEADER_BYTES,
  MAX_MESSAGE_BYTES,
  OUR_UDP_BYTES,
  PLAIN_UDP_BYTES,
  RCODE,
  type Rcode,
  TYPE,
} from './constants.ts';
import { canonicalName, labelsOf, parentName, readName } from './name.ts';
import type { DnsQuery } from './query.ts';

/** A record to be written; class IN. */
export interface NewRecord {
  /** A name that `labelsOf` understands. */
  readonly name: string;
  readonly type: number;
  readonly ttlSeconds: number;
  /** Names in it are written out. */
  readonly data: Uint8Array;
}

export interface Answer {
  readonly rcode: Rcode;
  /** Whether we are the authority for the name, and not only passing it on. */
  readonly authoritative: boolean;
  readonly answers: readonly NewRecord[];
  readonly authority: readonly NewRecord[];
}

/** How much of an answer the asker takes by UDP. */
export function udpLimit({ edns }: DnsQuery): number {
  return edns?.udpBytes ?? PLAIN_UDP_BYTES;
}

/** Nothing but a code. */
export function bareAnswer(query: DnsQuery, rcode: Rcode): Uint8Array {
  return writeAnswer(query, { rcode, authoritative: false, answers: [], authority: [] });
}

/** @param mostBytes at least 512, which any question fits into */
export function writeAnswer(
  query: DnsQuery,
  answer: Answer,
  mostBytes: number = MAX_MESSAGE_BYTES,
): Uint8Array {
  const flags = FLAG.QR | FLAG.RA | (query.flags & (FLAG.RD | FLAG.CD)) | answer.rcode;
  const opt = optRecord(query);
  const writer = new Writer(query.question.bytes);
  for (const record of [...answer.answers, ...answer.authority]) writer.add(record);
  const authority = answer.authoritative ? FLAG.AA : 0;
  if (writer.bytes + opt.length <= mostBytes)
    return writer.finish(
      query.id,
      flags | authority,
      [answer.answers.length, answer.authority.length],
      opt,
    );
  return new Writer(query.question.bytes).finish(
    query.id,
    flags | authority | FLAG.TC,
    [0, 0],
    opt,
  );
}

/**
 * Somebody's answer for this asker: his id, his letter case, and no more than he takes.
 *
 * @param message an answer to the same question (upstream.ts checks that); a copy is made
 */
export function fitAnswer(query: DnsQuery, message: Uint8Array, mostBytes: number): Uint8Array {
  const copy = message.slice();
  const view = new DataView(copy.buffer);
  view.setUint16(0, query.id);
  copy.set(query.question.bytes, HEADER_BYTES);
  if (copy.length <= mostBytes) return copy;
  const flags = view.getUint16(2) | FLAG.TC;
  return new Writer(query.question.bytes).finish(query.id, flags, [0, 0], optRecord(query));
}

function optRecord({ edns }: DnsQuery): Uint8Array {
  if (edns === undefined) return new Uint8Array(0);
  const opt = new Uint8Array(11);
  const view = new DataView(opt.buffer);
  view.setUint16(1, TYPE.OPT);
  view.setUint16(3, OUR_UDP_BYTES);
  view.setUint16(7, edns.dnssecOk ? 0x8000 : 0);
  return opt;
}

class Writer {
  readonly #parts: Uint8Array[] = [];
  /** Where each name that a pointer may lead to begins. */
  readonly #places = new Map<string, number>();
  bytes: number = HEADER_BYTES;

  constructor(question: Uint8Array) {
    const text = readName(question, 0, 0)?.text ?? '';
    this.#remember(canonicalName(text));
    this.#push(question);
  }

  add({ name, type, ttlSeconds, data }: NewRecord): void {
    this.#push(this.#owner(name));
    const fixed = new Uint8Array(10);
    const view = new DataView(fixed.buffer);
    view.setUint16(0, type);
    view.setUint16(2, CLASS_IN);
    view.setUint32(4, ttlSeconds);
    view.setUint16(8, data.length);
    this.#push(fixed);
    this.#push(data);
  }

  finish(
    id: number,
    flags: number,
    [answers, authority]: readonly [number, number],
    opt: Uint8Array,
  ): Uint8Array {
    const whole = concat(new Uint8Array(HEADER_BYTES), ...this.#parts, opt);
    const view = new DataView(whole.buffer);
    view.setUint16(0, id);
    view.setUint16(2, flags);
    view.setUint16(4, 1);
    view.setUint16(6, answers);
    view.setUint16(8, authority);
    view.setUint16(10, opt.length > 0 ? 1 : 0);
    return whole;
  }

  #push(part: Uint8Array): void {
    this.#parts.push(part);
    this.bytes += part.length;
  }

  #owner(name: string): Uint8Array {
    const written: number[] = [];
    const labels = labelsOf(name) ?? [];
    let rest: string | undefined = canonicalName(name);
    for (const label of labels) {
      const place = this.#places.get(rest ?? '');
      if (place !== undefined)
        return Uint8Array.from([...written, 0xc0 | (place >> 8), place & 0xff]);
      this.#place(rest ?? '', this.bytes + written.length);
      written.push(label.length, ...label);
      rest = parentName(rest ?? '');
    }
    return Uint8Array.from([...written, 0]);
  }

  #remember(name: string): void {
    let at = this.bytes;
    for (const label of labelsOf(name) ?? []) {
      this.#place(name, at);
      at += 1 + label.length;
      name = parentName(name) ?? '';
    }
  }

  /** A pointer has 14 bits. */
  #place(name: string, at: number): void {
    if (at < 0x4000) this.#places.set(name, at);
  }
}

/** For who has to say it in words: the code of an answer. */
export function rcodeOf(message: Uint8Array): number {
  return (message[3] ?? RCODE.SERVFAIL) & 0xf;
}
