/**
 * Which texts Go reads as an address, a prefix, an endpoint, bytes; and what we hold to be a node's name. Only
 * yes or no, by looking at each character once: a map of 1,000 nodes has 6,000 of them, and is checked each time.
 *
 *     address    100.64.0.1   fd7a:115c:a1e0::1          RFC 4291 2.2; decimal numbers without leading zeros
 *     prefix     100.64.0.1/32                           always with its length
 *     endpoint   10.0.0.1:41641   [fe80::1%eth0]:41641
 *     name       cam.mesh.internal.                      labels of 1 to 63, a dot at the end (RFC 1035 2.3.4)
 */

const COLON = 58;
const DOT = 46;
const ZERO = 48;
const MAX_NAME = 254;
const MAX_LABEL = 63;
const LABEL = /^[A-Za-z0-9_-]+$/;
const ZONE = /^[\w.-]{1,15}$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export const isAddress = (text: string): boolean => isAddressIn(text, 0, text.length);

export function isPrefix(text: string): boolean {
  const slash = text.indexOf('/');
  if (slash < 0 || !isAddressIn(text, 0, slash)) return false;
  return numberIn(text, slash + 1, text.length) <= (text.indexOf(':') < 0 ? 32 : 128);
}

export function isEndpoint(text: string): boolean {
  const colon = text.lastIndexOf(':');
  if (!(numberIn(text, colon + 1, text.length) <= 65_535)) return false;
  if (!text.startsWith('[')) return isIpv4(text, 0, colon);
  if (text[colon - 1] !== ']') return false;
  const zone = text.indexOf('%');
  if (zone < 0) return isIpv6(text, 1, colon - 1);
  return isIpv6(text, 1, zone) && ZONE.test(text.slice(zone + 1, colon - 1));
}

/** Where a filter rule's packets come from or go to: `*`, an address, a prefix, `first-last`, or a capability. */
export function isFilterAddress(text: string): boolean {
  if (text === '*' || isAddress(text) || isPrefix(text)) return true;
  if (text.startsWith('cap:')) return true;
  const dash = text.indexOf('-');
  return dash > 0 && isAddressIn(text, 0, dash) && isAddressIn(text, dash + 1, text.length);
}

/** A name in full, as in `Node.Name`; one that a client cannot read spoils its whole map. */
export function isFullName(text: string): boolean {
  if (text.length > MAX_NAME || !text.endsWith('.')) return false;
  return text
    .slice(0, -1)
    .split('.')
    .every((label) => label.length <= MAX_LABEL && LABEL.test(label));
}

export const isBase64 = (text: string): boolean => BASE64.test(text);

/** A decimal number of at most five digits without leading zeros; NaN for anything else. */
function numberIn(text: string, from: number, to: number): number {
  if (to <= from || to - from > 5) return Number.NaN;
  if (to - from > 1 && text.charCodeAt(from) === ZERO) return Number.NaN;
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - ZERO;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

function isAddressIn(text: string, from: number, to: number): boolean {
  const colon = text.indexOf(':', from);
  return colon >= 0 && colon < to ? isIpv6(text, from, to) : isIpv4(text, from, to);
}

function isIpv4(text: string, from: number, to: number): boolean {
  let start = from;
  for (let part = 1; part <= 4; part++) {
    const dot = text.indexOf('.', start);
    const end = part < 4 ? dot : to;
    if (end < start || end > to || end - start > 3 || !(numberIn(text, start, end) <= 255))
      return false;
    start = end + 1;
  }
  return true;
}

function isIpv6(text: string, from: number, to: number): boolean {
  const colonAt = (i: number): boolean => i < to && text.charCodeAt(i) === COLON;
  let at = from;
  let groups = 0;
  let gap = false;
  if (colonAt(at) && colonAt(at + 1)) {
    gap = true;
    at += 2;
    if (at === to) return true;
  }
  for (;;) {
    const start = at;
    while (at < to && at - start < 4 && isHexDigit(text.charCodeAt(at))) at++;
    if (at === start) return false;
    if (at < to && text.charCodeAt(at) === DOT) {
      groups += 2;
      return isIpv4(text, start, to) && (gap ? groups <= 7 : groups === 8);
    }
    groups++;
    if (at === to) break;
    if (!colonAt(at)) return false;
    at++;
    if (!colonAt(at)) continue;
    if (gap) return false;
    gap = true;
    at++;
    if (at === to) break;
  }
  return gap ? groups <= 7 : groups === 8;
}

function isHexDigit(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 97 && code <= 102) || (code >= 65 && code <= 70);
}
