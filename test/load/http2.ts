/**
 * The client's half of HTTP/2, as little of it as a simulated node needs: bytes in, bytes out. Node's own
 * client costs several times more for each message that arrives (a native session over a stream made of
 * JavaScript), and a load program that shares two cores with the server must not measure itself.
 *
 *     | length 3 | type 1 | flags 1 | stream 4 | payload        numbers big endian
 *
 *     said at the start    SETTINGS: no header table, no push, 4 MiB of window for a stream; 1 GiB for all
 *     request              HEADERS (no Huffman, nothing indexed), DATA with END_STREAM
 *     answer               HEADERS: `:status` is its first field, and nothing else is read; DATA; END_STREAM
 *
 * With no header table each block stands alone, so that fields need not be decoded to be passed over. The
 * windows are those of stock clients; they are filled up again at their half.
 *
 * Source: RFC 9113, RFC 7541.
 */

import { concat } from '../../src/base/bytes.ts';

const TYPE = {
  data: 0,
  headers: 1,
  resetStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;
const FLAG = { endStream: 1, acknowledged: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

const HEADER_BYTES = 9;
const MAX_FRAME_BYTES = 16_384;
const STREAM_WINDOW = 4 * 2 ** 20;
const CONNECTION_WINDOW = 2 ** 30;
const DEFAULT_WINDOW = 65_535;
const EMPTY = new Uint8Array(0);
const utf8 = new TextEncoder();

/** What becomes of one request. */
export interface Answer {
  status(code: number): void;
  /** Shares memory with what was pushed. */
  data(bytes: Uint8Array): void;
  /** @param reason undefined for an orderly end */
  end(reason?: string): void;
}

interface Stream {
  readonly answer: Answer;
  consumed: number;
}

export class Http2Client {
  readonly #send: (bytes: Uint8Array) => void;
  readonly #authority: string;
  readonly #streams = new Map<number, Stream>();
  #nextStream = 1;
  #consumed = 0;
  #sendWindow = DEFAULT_WINDOW;
  /** Bytes of a header, or of a frame that is looked at as a whole. */
  #held: Uint8Array = EMPTY;
  /** Of the DATA frame that is under way. */
  #data: { readonly stream: number; readonly last: boolean; left: number } | undefined;

  constructor(authority: string, send: (bytes: Uint8Array) => void) {
    this.#authority = authority;
    this.#send = send;
    const settings = concat(setting(1, 0), setting(2, 0), setting(4, STREAM_WINDOW));
    send(
      concat(
        utf8.encode('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
        frame(TYPE.settings, 0, 0, settings),
        frame(TYPE.windowUpdate, 0, 0, u32(CONNECTION_WINDOW - DEFAULT_WINDOW)),
      ),
    );
  }

  /** @throws Error where the body is more than one frame, or the server does not make room for it */
  post(path: string, body: Uint8Array, answer: Answer): void {
    if (body.length > MAX_FRAME_BYTES) throw new Error(`http2: a body of ${body.length} bytes`);
    if (body.length > this.#sendWindow) throw new Error('http2: the server gives no window');
    this.#sendWindow -= body.length;
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.#streams.set(stream, { answer, consumed: 0 });
    // Indexes of the static table: 3 POST, 7 https, 1 :authority, 4 :path, 31 content-type, 28 length.
    const fields = concat(
      Uint8Array.of(0x83, 0x87),
      field([0x01], this.#authority),
      field([0x04], path),
      field([0x0f, 16], 'application/json'),
      field([0x0f, 13], String(body.length)),
    );
    this.#send(
      concat(
        frame(TYPE.headers, FLAG.endHeaders, stream, fields),
        frame(TYPE.data, FLAG.endStream, stream, body),
      ),
    );
  }

  /** What was received. @returns why the connection is over, or undefined */
  push(chunk: Uint8Array): string | undefined {
    let rest = chunk;
    for (;;) {
      if (this.#data !== undefined) {
        rest = this.#passData(rest);
        if (this.#data !== undefined) return undefined;
      }
      const held = this.#held.length === 0 ? rest : concat(this.#held, rest);
      if (held.length < HEADER_BYTES) return this.#hold(held);
      const length = ((held[0] as number) << 16) | ((readU32(held, 0) >>> 8) & 0xffff);
      if (length > MAX_FRAME_BYTES) return `http2: a frame of ${length} bytes`;
      const [type, flags] = [held[3] as number, held[4] as number];
      const stream = readU32(held, 5);
      if (type === TYPE.data) {
        if ((flags & FLAG.padded) !== 0) return 'http2: padded data';
        this.#data = { stream, last: (flags & FLAG.endStream) !== 0, left: length };
        this.#held = EMPTY;
        rest = held.subarray(HEADER_BYTES);
        continue;
      }
      if (held.length < HEADER_BYTES + length) return this.#hold(held);
      this.#held = EMPTY;
      rest = held.subarray(HEADER_BYTES + length);
      const payload = held.subarray(HEADER_BYTES, HEADER_BYTES + length);
      const over = this.#take(type, flags, stream, payload);
      if (over !== undefined) return over;
    }
  }

  /** Ends all that is open. */
  close(reason: string): void {
    for (const { answer } of this.#streams.values()) answer.end(reason);
    this.#streams.clear();
  }

  #hold(bytes: Uint8Array): undefined {
    this.#held = bytes.length === 0 ? EMPTY : bytes.slice();
  }

  /** @returns what lies behind the frame */
  #passData(bytes: Uint8Array): Uint8Array {
    const data = this.#data;
    if (data === undefined) return bytes;
    const part = bytes.subarray(0, data.left);
    data.left -= part.length;
    const stream = this.#streams.get(data.stream);
    if (part.length > 0) stream?.answer.data(part);
    this.#consume(data.stream, stream, part.length);
    if (data.left === 0) {
      this.#data = undefined;
      if (data.last) this.#end(data.stream);
    }
    return bytes.subarray(part.length);
  }

  #consume(id: number, stream: Stream | undefined, bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed > CONNECTION_WINDOW / 2) {
      this.#send(frame(TYPE.windowUpdate, 0, 0, u32(this.#consumed)));
      this.#consumed = 0;
    }
    if (stream === undefined) return;
    stream.consumed += bytes;
    if (stream.consumed <= STREAM_WINDOW / 2) return;
    this.#send(frame(TYPE.windowUpdate, 0, id, u32(stream.consumed)));
    stream.consumed = 0;
  }

  #take(type: number, flags: number, id: number, payload: Uint8Array): string | undefined {
    switch (type) {
      case TYPE.headers: {
        const skipped = (flags & FLAG.padded ? 1 : 0) + (flags & FLAG.priority ? 5 : 0);
        const status = readStatus(payload.subarray(skipped));
        // Without one these are trailers.
        if (status !== undefined) this.#streams.get(id)?.answer.status(status);
        if ((flags & FLAG.endStream) !== 0) this.#end(id);
        return undefined;
      }
      case TYPE.resetStream:
        this.#end(id, `reset with code ${readU32(payload, 0)}`);
        return undefined;
      case TYPE.settings:
        if ((flags & FLAG.acknowledged) === 0)
          this.#send(frame(TYPE.settings, FLAG.acknowledged, 0, EMPTY));
        return undefined;
      case TYPE.ping:
        if ((flags & FLAG.acknowledged) === 0)
          this.#send(frame(TYPE.ping, FLAG.acknowledged, 0, payload));
        return undefined;
      case TYPE.goAway:
        return `the server goes away with code ${readU32(payload, 4)}`;
      case TYPE.windowUpdate:
        if (id === 0) this.#sendWindow += readU32(payload, 0);
        return undefined;
      default:
        return undefined;
    }
  }

  #end(id: number, reason?: string): void {
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    stream?.answer.end(reason);
  }
}

/** `:status` by the static table, or as a literal under its name; digits may be in Huffman's code. */
function readStatus(block: Uint8Array): number | undefined {
  let at = 0;
  // Changes of the table's size come first: one or two bytes that begin with 001.
  while (((block[at] ?? 0) & 0xe0) === 0x20) at++;
  const first = block[at] ?? 0;
  const known = [200, 204, 206, 304, 400, 404, 500][first - 0x88];
  if (known !== undefined) return known;
  // Index 8 with incremental indexing, without, or never.
  if (first !== 0x48 && first !== 0x08 && first !== 0x18) return undefined;
  const length = block[at + 1] ?? 0;
  const value = block.subarray(at + 2, at + 2 + (length & 0x7f));
  return (length & 0x80) === 0 ? Number(new TextDecoder().decode(value)) : huffmanDigits(value);
}

/** 0 to 2 are 00000 to 00010, 3 to 9 are 011001 to 011111. */
function huffmanDigits(bytes: Uint8Array): number {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  let number = 0;
  for (let at = 0; bits.length - at >= 5; ) {
    const short = Number.parseInt(bits.slice(at, at + 5), 2);
    if (short <= 2) {
      number = number * 10 + short;
      at += 5;
      continue;
    }
    const long = Number.parseInt(bits.slice(at, at + 6), 2);
    if (bits.length - at < 6 || long < 25 || long > 31) break;
    number = number * 10 + long - 22;
    at += 6;
  }
  return number;
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(HEADER_BYTES + payload.length);
  out[0] = payload.length >> 16;
  out[1] = payload.length >> 8;
  out[2] = payload.length;
  out[3] = type;
  out[4] = flags;
  out.set(u32(stream), 5);
  out.set(payload, HEADER_BYTES);
  return out;
}

function field(name: readonly number[], value: string): Uint8Array {
  const bytes = utf8.encode(value);
  if (bytes.length > 126) throw new Error(`http2: a field of ${bytes.length} bytes`);
  return concat(Uint8Array.from(name), Uint8Array.of(bytes.length), bytes);
}

const setting = (name: number, value: number): Uint8Array =>
  concat(Uint8Array.of(0, name), u32(value));

const u32 = (value: number): Uint8Array =>
  Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);

const readU32 = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)) >>>
  0;
