/**
 * Which HTTP requests the relay answers itself, told from the first bytes of a connection.
 *
 *     GET /derp                 101 and DERP; 426 without `Upgrade: DERP`; no answer at all, but DERP at once,
 *                               with `Derp-Fast-Start: 1`
 *     GET /derp/probe           200; also HEAD, and /derp/latency-check: how far away am I?
 *     GET /generate_204         204; `X-Tailscale-Challenge: c` is answered by `X-Tailscale-Response: response c`
 *     everything else           passed on as it came
 *
 * A connection is decided on once. The relay's own answers close it, so nothing can hide behind one.
 *
 * Source: the open Tailscale protocol.
 */

/** A request of the relay with all its headers is shorter; a longer one is passed on. */
const MAX_HEAD_BYTES = 8192;

export type FrontRequest =
  | { readonly type: 'more' }
  | { readonly type: 'other' }
  | { readonly type: 'answer'; readonly text: string }
  /** `headBytes`: DERP begins behind them. */
  | { readonly type: 'derp'; readonly fastStart: boolean; readonly headBytes: number };

const OURS = new Set(['/derp', '/derp/probe', '/derp/latency-check', '/generate_204']);
const REQUEST_LINE = /^(GET|HEAD) ([^ ?]+)(\?[^ ]*)? HTTP\/1\.[01]$/;

/** @param bytes all that has come on the connection */
export function frontRequest(bytes: Buffer): FrontRequest {
  const lineEnd = bytes.indexOf('\r\n');
  if (lineEnd < 0) return { type: bytes.length < MAX_HEAD_BYTES ? 'more' : 'other' };
  const line = REQUEST_LINE.exec(bytes.toString('latin1', 0, lineEnd));
  const path = line?.[2];
  if (path === undefined || !OURS.has(path)) return { type: 'other' };
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return { type: bytes.length < MAX_HEAD_BYTES ? 'more' : 'other' };
  const headers = headersOf(bytes.toString('latin1', lineEnd + 2, headEnd));
  switch (path) {
    case '/derp':
      return derp(headers, headEnd + 4);
    case '/generate_204':
      return { type: 'answer', text: noContent(headers) };
    default:
      return { type: 'answer', text: answer('200 OK', ['Access-Control-Allow-Origin: *']) };
  }
}

/** What turns the connection into DERP. @param relayKey hexadecimal */
export function switchingProtocols(relayKey: string): string {
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: DERP',
    'Connection: Upgrade',
    'Derp-Version: 2',
    `Derp-Public-Key: ${relayKey}`,
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

export const BAD_GATEWAY: string = answer('502 Bad Gateway', []);

function derp(headers: ReadonlyMap<string, string>, headBytes: number): FrontRequest {
  const upgrade = headers.get('upgrade')?.toLowerCase();
  if (upgrade !== 'derp')
    return { type: 'answer', text: answer('426 Upgrade Required', ['Upgrade: DERP']) };
  return { type: 'derp', fastStart: headers.get('derp-fast-start') === '1', headBytes };
}

function noContent(headers: ReadonlyMap<string, string>): string {
  const challenge = headers.get('x-tailscale-challenge') ?? '';
  // A captive portal cannot know the challenge; anything but a plain word could be used against a browser.
  const fits = /^[A-Za-z0-9._-]{1,64}$/.test(challenge);
  return answer('204 No Content', fits ? [`X-Tailscale-Response: response ${challenge}`] : []);
}

function answer(status: string, headers: readonly string[]): string {
  const all = [`HTTP/1.1 ${status}`, ...headers, 'Content-Length: 0', 'Connection: close'];
  return `${all.filter((line) => !(status.startsWith('204') && line.startsWith('Content-L'))).join('\r\n')}\r\n\r\n`;
}

function headersOf(text: string): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return headers;
}
