/**
 * One request inside the records: its body in, its answer out.
 *
 *     content-length over the limit ──> 413, and nothing is read
 *     body ──over the limit on the way──> 413      no room for bodies at this moment ──> 503
 *          └──> bytes, a copy that is the handler's
 *
 * An answer to a stream that is gone goes nowhere, so no handler needs to look. No answer has anything of the
 * program's insides.
 */

import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import { MAX_REQUEST_BYTES } from '../../protocol/tailcfg/validate.ts';
import type { Session } from './session.ts';
import type { Refusal } from './tally.ts';

/** Room for bodies that are being read, in bytes; one for all sessions. */
export class BodyRoom {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** @returns whether there was room */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

export class Exchange {
  readonly session: Session;
  readonly stream: ServerHttp2Stream;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly #announced: number;
  readonly #room: BodyRoom;

  constructor(
    session: Session,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    room: BodyRoom,
  ) {
    this.session = session;
    this.stream = stream;
    this.method = headers[':method'] ?? '';
    const whole = headers[':path'] ?? '';
    const mark = whole.indexOf('?');
    this.path = mark < 0 ? whole : whole.slice(0, mark);
    this.query = new URLSearchParams(mark < 0 ? '' : whole.slice(mark + 1));
    this.#announced = Number(headers['content-length'] ?? 0);
    this.#room = room;
  }

  get isOver(): boolean {
    return this.stream.destroyed || this.stream.closed;
  }

  /** The body; undefined where the request has been refused, or is gone. */
  async body(): Promise<Uint8Array | undefined> {
    if (this.#announced > MAX_REQUEST_BYTES) {
      this.refuse('body: too large', 413);
      return undefined;
    }
    const parts: Buffer[] = [];
    let bytes = 0;
    const { promise, resolve } = Promise.withResolvers<Refusal | 'gone' | undefined>();
    const { stream } = this;
    const onData = (part: Buffer): void => {
      const tooLarge = bytes + part.length > MAX_REQUEST_BYTES;
      if (tooLarge || !this.#room.take(part.length)) {
        stream.off('data', onData);
        stream.pause();
        resolve(tooLarge ? 'body: too large' : 'body: no room');
        return;
      }
      bytes += part.length;
      parts.push(part);
    };
    stream.on('data', onData);
    stream.on('end', () => resolve(undefined));
    stream.on('close', () => resolve('gone'));
    const fault = await promise;
    this.#room.give(bytes);
    this.session.bodyRead(stream);
    if (fault === undefined) return Buffer.concat(parts, bytes);
    if (fault !== 'gone') this.refuse(fault, fault === 'body: no room' ? 503 : 413);
    return undefined;
  }

  json(status: number, body: object, headers: Readonly<Record<string, string>> = {}): void {
    this.#answer(status, 'application/json', JSON.stringify(body), headers);
  }

  empty(status: number): void {
    if (!this.isOver) this.stream.respond({ ':status': status }, { endStream: true });
  }

  /**
   * @param detail for the log, of what was wrong; never what was sent
   * @param text what the asker is told instead of the reason
   */
  refuse(
    reason: Refusal,
    status: number,
    {
      detail,
      text = reason,
      headers = {},
    }: { detail?: string; text?: string; headers?: Readonly<Record<string, string>> } = {},
  ): void {
    const { session } = this;
    session.refused(reason, detail === undefined ? {} : { detail });
    this.json(status, { Error: text }, headers);
  }

  #answer(
    status: number,
    type: string,
    text: string,
    headers: Readonly<Record<string, string>>,
  ): void {
    const { stream } = this;
    if (this.isOver || stream.headersSent) return;
    const isHead = this.method === 'HEAD';
    stream.respond(
      {
        ':status': status,
        'content-type': type,
        'content-length': Buffer.byteLength(text),
        ...headers,
      },
      { endStream: isHead },
    );
    if (isHead) return;
    // What is still to come of a body is not wanted.
    stream.end(text, () => {
      if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }
}
