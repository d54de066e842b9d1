/**
 * The four messages of WireGuard (the paper, 5.4), all numbers little-endian.
 *
 *     1 initiation, 148 bytes    0  1 | zeros 3       4  sender index 4
 *                                8  ephemeral 32     40  sealed static key 48    88  sealed time stamp 28
 *                              116  mac1 16         132  mac2 16
 *     2 response, 92 bytes       0  2 | zeros 3       4  sender index 4           8  receiver index 4
 *                               12  ephemeral 32     44  sealed nothing 16
 *                               60  mac1 16          76  mac2 16
 *     3 cookie reply, 64 bytes   0  3 | zeros 3       4  receiver index 4         8  nonce 24
 *                               32  sealed cookie 32
 *     4 transport, 32 and more   0  4 | zeros 3       4  receiver index 4         8  counter 8
 *                               16  sealed packet, padded to 16, with its tag 16
 *
 * `classify` looks at type and length and allocates nothing; the readers take what it let through, and give
 * views into the datagram. Whatever arrives, the worst is a reason to drop it.
 */

export const TYPE = { initiation: 1, response: 2, cookieReply: 3, transport: 4 } as const;

export const INITIATION_BYTES = 148;
export const RESPONSE_BYTES = 92;
export const COOKIE_REPLY_BYTES = 64;
export const TRANSPORT_HEADER_BYTES = 16;
/** A keepalive: nothing but header and tag. */
export const TRANSPORT_LEAST_BYTES = 32;
export const MAC_BYTES = 16;
export const TIMESTAMP_BYTES = 12;

const SENDER_AT = 4;

export type MessageType = 'initiation' | 'response' | 'cookie reply' | 'transport';

/** Why a datagram is no message of WireGuard's. */
export type MessageDrop =
  | 'wireguard: too short'
  | 'wireguard: unknown type'
  | 'wireguard: wrong length';

export interface Initiation {
  readonly sender: number;
  readonly ephemeral: Uint8Array;
  readonly sealedStatic: Uint8Array;
  readonly sealedTimestamp: Uint8Array;
}

export interface Response {
  readonly sender: number;
  readonly receiver: number;
  readonly ephemeral: Uint8Array;
  readonly sealedNothing: Uint8Array;
}

export interface CookieReply {
  readonly receiver: number;
  readonly nonce: Uint8Array;
  readonly sealedCookie: Uint8Array;
}

/** What kind of message `datagram` is. The three zeros count as part of the type. */
export function classify(datagram: Uint8Array): MessageType | MessageDrop {
  if (datagram.length < 4) return 'wireguard: too short';
  if (datagram[1] !== 0 || datagram[2] !== 0 || datagram[3] !== 0) return 'wireguard: unknown type';
  switch (datagram[0]) {
    case TYPE.initiation:
      return datagram.length === INITIATION_BYTES ? 'initiation' : 'wireguard: wrong length';
    case TYPE.response:
      return datagram.length === RESPONSE_BYTES ? 'response' : 'wireguard: wrong length';
    case TYPE.cookieReply:
      return datagram.length === COOKIE_REPLY_BYTES ? 'cookie reply' : 'wireguard: wrong length';
    case TYPE.transport:
      return datagram.length >= TRANSPORT_LEAST_BYTES ? 'transport' : 'wireguard: too short';
    default:
      return 'wireguard: unknown type';
  }
}

export function readInitiation(datagram: Uint8Array): Initiation | MessageDrop {
  const type = classify(datagram);
  if (type !== 'initiation') return dropOf(type);
  return {
    sender: readIndex(datagram, SENDER_AT),
    ephemeral: datagram.subarray(8, 40),
    sealedStatic: datagram.subarray(40, 88),
    sealedTimestamp: datagram.subarray(88, 116),
  };
}

export function readResponse(datagram: Uint8Array): Response | MessageDrop {
  const type = classify(datagram);
  if (type !== 'response') return dropOf(type);
  return {
    sender: readIndex(datagram, SENDER_AT),
    receiver: readIndex(datagram, 8),
    ephemeral: datagram.subarray(12, 44),
    sealedNothing: datagram.subarray(44, 60),
  };
}

export function readCookieReply(datagram: Uint8Array): CookieReply | MessageDrop {
  const type = classify(datagram);
  if (type !== 'cookie reply') return dropOf(type);
  return {
    receiver: readIndex(datagram, 4),
    nonce: datagram.subarray(8, 32),
    sealedCookie: datagram.subarray(32, 64),
  };
}

/** An initiation whose MACs are still zero. */
export function writeInitiation(message: Initiation): Uint8Array {
  const datagram = new Uint8Array(INITIATION_BYTES);
  datagram[0] = TYPE.initiation;
  writeIndex(datagram, SENDER_AT, message.sender);
  datagram.set(message.ephemeral, 8);
  datagram.set(message.sealedStatic, 40);
  datagram.set(message.sealedTimestamp, 88);
  return datagram;
}

/** A response whose MACs are still zero. */
export function writeResponse(message: Response): Uint8Array {
  const datagram = new Uint8Array(RESPONSE_BYTES);
  datagram[0] = TYPE.response;
  writeIndex(datagram, SENDER_AT, message.sender);
  writeIndex(datagram, 8, message.receiver);
  datagram.set(message.ephemeral, 12);
  datagram.set(message.sealedNothing, 44);
  return datagram;
}

export function writeCookieReply(message: CookieReply): Uint8Array {
  const datagram = new Uint8Array(COOKIE_REPLY_BYTES);
  datagram[0] = TYPE.cookieReply;
  writeIndex(datagram, 4, message.receiver);
  datagram.set(message.nonce, 8);
  datagram.set(message.sealedCookie, 32);
  return datagram;
}

/** The sender's index of an initiation or a response. */
export function senderIndex(datagram: Uint8Array): number {
  return readIndex(datagram, SENDER_AT);
}

function dropOf(found: MessageType | MessageDrop): MessageDrop {
  switch (found) {
    case 'initiation':
    case 'response':
    case 'cookie reply':
    case 'transport':
      return 'wireguard: unknown type';
    default:
      return found;
  }
}

function readIndex(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
}

function writeIndex(bytes: Uint8Array, at: number, index: number): void {
  new DataView(bytes.buffer, bytes.byteOffset + at, 4).setUint32(0, index, true);
}
