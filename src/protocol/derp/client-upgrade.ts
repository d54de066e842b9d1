/**
 * The little HTTP that a relay's client speaks: two requests, and the head of the answer.
 *
 *     GET /derp                  101 Switching Protocols, and DERP from the byte behind the head
 *     GET /derp/latency-check    200: how far away is it?
 *
 * Source: the open Tailscale protocol; RFC 9112.
 */

/** Answers of relays have less than 1 kB; what stands in front of one may add to it. */
const MAX_HEAD_BYTES = 8192;
const DECODER = new TextDecoder('latin1');
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: |$)/;

export const SWITCHING_PROTOCOLS = 101;
export const OK = 200;

/** @param host with its port, where that is not 443 */
export function upgradeRequest(host: string): Uint8Array {
  return request('/derp', host, ['Upgrade: DERP', 'Connection: Upgrade']);
}

/** @param host with its port, where that is not 443 */
export function latencyRequest(host: string): Uint8Array {
  return request('/derp/latency-check', host, ['Connection: close']);
}

/** Why an answer is none; each is a counter. */
export type AnswerDrop = 'derp: not HTTP' | 'derp: answer too long';

/** Puts the head of an answer together, however it is cut into pieces. */
export class AnswerHead {
  readonly #bytes = new Uint8Array(MAX_HEAD_BYTES);
  #length = 0;
  #seen = 0;

  /**
   * @param bytes the next of the connection
   * @returns undefined: more is needed; else the status, and what of `bytes` lies behind the head
   */
  push(
    bytes: Uint8Array,
  ): { readonly status: number; readonly rest: Uint8Array } | AnswerDrop | undefined {
    const before = this.#length;
    const fits = bytes.subarray(0, MAX_HEAD_BYTES - before);
    this.#bytes.set(fits, before);
    this.#length += fits.length;
    const end = this.#end();
    if (end === undefined)
      return this.#length < MAX_HEAD_BYTES ? undefined : 'derp: answer too long';
    const status = STATUS_LINE.exec(
      DECODER.decode(this.#bytes.subarray(0, this.#bytes.indexOf(0x0d))),
    );
    if (status === null) return 'derp: not HTTP';
    return { status: Number(status[1]), rest: bytes.subarray(end - before) };
  }

  /** The place behind the empty line. Each byte is looked at once. */
  #end(): number | undefined {
    for (let at = Math.max(3, this.#seen); at < this.#length; at++) {
      const bytes = this.#bytes;
      if (bytes[at] !== 0x0a || bytes[at - 1] !== 0x0d) continue;
      if (bytes[at - 2] === 0x0a && bytes[at - 3] === 0x0d) return at + 1;
    }
    this.#seen = this.#length;
    return undefined;
  }
}

function request(path: string, host: string, headers: readonly string[]): Uint8Array {
  // The map is the server's: no byte of it may begin a header of its own.
  const name = host.replace(/[^\w.:[\]-]/g, '');
  const lines = [`GET ${path} HTTP/1.1`, `Host: ${name}`, 'User-Agent: postern', ...headers];
  return new TextEncoder().encode(`${lines.join('\r\n')}\r\n\r\n`);
}
