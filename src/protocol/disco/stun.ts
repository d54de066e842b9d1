/**
 * STUN binding: "from which address and port do you see me?", both ways and for both families.
 *
 *     0      2        4        8                20
 *     | type | length | cookie | transaction 12 | attributes: type 2 | length 2 | value, padded to 4
 *
 *     request    0x0001   SOFTWARE "tailnode" | FINGERPRINT, last
 *     answer     0x0101   XOR-MAPPED-ADDRESS: 0 | family | port ^ cookie | address ^ (cookie | transaction)
 *     FINGERPRINT         CRC-32 of all before it (its own header not included), ^ 0x5354554e
 *
 * A request without fingerprint is dropped: stock clients always send it, and whoever only wants us to send
 * something to a forged address mostly does not. An answer is at most 4 bytes longer than its request.
 *
 * Source: RFC 8489 5, 14.2, 14.7.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import { fromMapped, IPV4_BYTES, IPV6_BYTES } from '../../base/ip.ts';

export const STUN_TRANSACTION_BYTES = 12;

const REQUEST = 0x0001;
const ANSWER = 0x0101;
const COOKIE = 0x2112a442;
const HEADER_BYTES = 20;
const ATTRIBUTE_BYTES = 4;

const MAPPED_ADDRESS = 0x0001;
const XOR_MAPPED_ADDRESS = 0x0020;
const SOFTWARE = 0x8022;
const FINGERPRINT = 0x8028;
const FINGERPRINT_XOR = 0x5354554e;
const FAMILY_IPV4 = 1;
const FAMILY_IPV6 = 2;

/** What stock clients say; some servers of others answer nobody else. */
const SOFTWARE_NAME = Uint8Array.from('tailnode', (letter) => letter.charCodeAt(0));

/** Why a datagram was dropped; each is a counter. */
export type StunDrop =
  | 'stun: too short'
  | 'stun: not STUN'
  | 'stun: other type'
  | 'stun: malformed'
  | 'stun: no fingerprint'
  | 'stun: no address';

/** Whether a datagram is STUN at all; on a socket shared with disco and WireGuard it is neither of these then. */
export function isStun(datagram: Uint8Array): boolean {
  return (
    datagram.length >= HEADER_BYTES &&
    ((datagram[0] as number) & 0xc0) === 0 &&
    viewOf(datagram).getUint32(4) === COOKIE
  );
}

/** @param transaction 12 unpredictable bytes: they are all that tells an answer from a stranger's */
export function encodeRequest(transaction: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + 2 * ATTRIBUTE_BYTES + SOFTWARE_NAME.length + 4);
  const view = viewOf(bytes);
  writeHeader(bytes, REQUEST, transaction);
  writeAttribute(view, HEADER_BYTES, SOFTWARE, SOFTWARE_NAME.length);
  bytes.set(SOFTWARE_NAME, HEADER_BYTES + ATTRIBUTE_BYTES);
  const at = bytes.length - ATTRIBUTE_BYTES - 4;
  writeAttribute(view, at, FINGERPRINT, 4);
  view.setUint32(at + ATTRIBUTE_BYTES, fingerprint(bytes.subarray(0, at)));
  return bytes;
}

/** The transaction of a request (in the datagram's memory), or why it gets no answer. */
export function decodeRequest(datagram: Uint8Array): Uint8Array | StunDrop {
  const checked = checkHeader(datagram, REQUEST);
  if (checked !== undefined) return checked;
  const at = datagram.length - ATTRIBUTE_BYTES - 4;
  const view = viewOf(datagram);
  if (at < HEADER_BYTES || view.getUint16(at) !== FINGERPRINT || view.getUint16(at + 2) !== 4)
    return 'stun: no fingerprint';
  if (view.getUint32(at + ATTRIBUTE_BYTES) !== fingerprint(datagram.subarray(0, at)))
    return 'stun: no fingerprint';
  return datagram.subarray(8, HEADER_BYTES);
}

/** @param seenFrom where the request came from; an IPv4 address in 4 bytes, not mapped into IPv6 */
export function encodeAnswer(transaction: Uint8Array, seenFrom: Endpoint): Uint8Array {
  const { address, port } = seenFrom;
  const bytes = new Uint8Array(HEADER_BYTES + ATTRIBUTE_BYTES + 4 + address.length);
  const view = viewOf(bytes);
  writeHeader(bytes, ANSWER, transaction);
  writeAttribute(view, HEADER_BYTES, XOR_MAPPED_ADDRESS, 4 + address.length);
  const at = HEADER_BYTES + ATTRIBUTE_BYTES;
  bytes[at + 1] = address.length === IPV4_BYTES ? FAMILY_IPV4 : FAMILY_IPV6;
  view.setUint16(at + 2, port ^ (COOKIE >>> 16));
  bytes.set(masked(address, bytes), at + 4);
  return bytes;
}

/** What an answer says, or why it is dropped. The caller checks that the transaction is one of its own. */
export function decodeAnswer(
  datagram: Uint8Array,
): { readonly transaction: Uint8Array; readonly seenFrom: Endpoint } | StunDrop {
  const checked = checkHeader(datagram, ANSWER);
  if (checked !== undefined) return checked;
  const transaction = datagram.subarray(8, HEADER_BYTES);
  const view = viewOf(datagram);
  let plain: Endpoint | undefined;
  for (let at = HEADER_BYTES; at < datagram.length; ) {
    if (at + ATTRIBUTE_BYTES > datagram.length) return 'stun: malformed';
    const length = view.getUint16(at + 2);
    const value = datagram.subarray(at + ATTRIBUTE_BYTES, at + ATTRIBUTE_BYTES + length);
    if (value.length < length) return 'stun: malformed';
    const type = view.getUint16(at);
    if (type === XOR_MAPPED_ADDRESS) {
      const seenFrom = readAddress(value, datagram);
      return seenFrom === undefined ? 'stun: malformed' : { transaction, seenFrom };
    }
    // Some NATs rewrite an address that they find in clear, so this one counts only where the other is missing.
    if (type === MAPPED_ADDRESS) plain ??= readAddress(value);
    at += ATTRIBUTE_BYTES + ((length + 3) & ~3);
  }
  return plain === undefined ? 'stun: no address' : { transaction, seenFrom: plain };
}

function checkHeader(datagram: Uint8Array, type: number): StunDrop | undefined {
  if (datagram.length < HEADER_BYTES) return 'stun: too short';
  if (!isStun(datagram)) return 'stun: not STUN';
  const view = viewOf(datagram);
  if (view.getUint16(0) !== type) return 'stun: other type';
  return view.getUint16(2) === datagram.length - HEADER_BYTES ? undefined : 'stun: malformed';
}

/** @param message of which cookie and transaction hide the address; none: it lies in clear */
function readAddress(value: Uint8Array, message?: Uint8Array): Endpoint | undefined {
  const family = value[1];
  const length = family === FAMILY_IPV4 ? IPV4_BYTES : family === FAMILY_IPV6 ? IPV6_BYTES : 0;
  if (length === 0 || value.length < 4 + length) return undefined;
  const port = viewOf(value).getUint16(2);
  const address = value.slice(4, 4 + length);
  if (message === undefined) return { address: fromMapped(address), port, scope: 0 };
  const unmasked = masked(address, message);
  // A server with one socket for both families sees IPv4 as mapped into IPv6, and may say so: stock derper does.
  return { address: fromMapped(unmasked), port: port ^ (COOKIE >>> 16), scope: 0 };
}

/** The address under the cookie and transaction of its message, or back. */
function masked(address: Uint8Array, message: Uint8Array): Uint8Array {
  return address.map((byte, i) => byte ^ (message[4 + i] as number));
}

function writeHeader(bytes: Uint8Array, type: number, transaction: Uint8Array): void {
  const view = viewOf(bytes);
  view.setUint16(0, type);
  view.setUint16(2, bytes.length - HEADER_BYTES);
  view.setUint32(4, COOKIE);
  bytes.set(transaction, 8);
}

function writeAttribute(view: DataView, at: number, type: number, length: number): void {
  view.setUint16(at, type);
  view.setUint16(at + 2, length);
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

function fingerprint(bytes: Uint8Array): number {
  return (crc32(bytes) ^ FINGERPRINT_XOR) >>> 0;
}

/** The CRC of ISO 3309, bit by bit: a request has 40 bytes, and a pure room has no zlib. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
