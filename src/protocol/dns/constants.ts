/** Numbers of the Domain Name System: RFC 1035, 3596, 6891; and limits of our own. */

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  SVCB: 64,
  HTTPS: 65,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

export const CLASS_IN = 1;

export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  /** Needs an OPT record: its upper bits live there. */
  BADVERS: 16,
} as const;

export type Rcode = (typeof RCODE)[keyof typeof RCODE];

/** Bits of the second 16 of a header. */
export const FLAG = {
  QR: 0x8000,
  AA: 0x0400,
  TC: 0x0200,
  RD: 0x0100,
  RA: 0x0080,
  AD: 0x0020,
  CD: 0x0010,
} as const;

export const HEADER_BYTES = 12;
export const MAX_LABEL_BYTES = 63;
/** A name on the wire, with its length bytes and the root's zero. */
export const MAX_NAME_BYTES = 255;
/** What every asker takes by UDP (RFC 1035 4.2.1). */
export const PLAIN_UDP_BYTES = 512;
/** The UDP size that we ask for: fits any path without fragments (DNS flag day 2020). */
export const OUR_UDP_BYTES = 1232;
/** More than this is never sent by UDP, whatever the asker says: a datagram in fragments gets lost. */
export const MOST_UDP_BYTES = 4096;
export const MAX_MESSAGE_BYTES = 65_535;

/** `A`, `AAAA`, ..., or `TYPE65280` (RFC 3597 5). */
export function typeText(type: number): string {
  const known = Object.entries(TYPE).find(([, number]) => number === type);
  return known?.[0] ?? `TYPE${type}`;
}

/** The number of `aaaa`, `TYPE65280`; undefined where it is none. */
export function parseType(text: string): number | undefined {
  const upper = text.toUpperCase();
  const known = Object.entries(TYPE).find(([name]) => name === upper);
  if (known !== undefined) return known[1];
  const digits = /^TYPE(\d{1,5})$/.exec(upper)?.[1];
  return digits !== undefined && Number(digits) <= 0xffff ? Number(digits) : undefined;
}

export function rcodeText(rcode: number): string {
  return Object.entries(RCODE).find(([, number]) => number === rcode)?.[0] ?? `RCODE${rcode}`;
}
