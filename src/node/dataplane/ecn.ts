/**
 * Explicit congestion notification across the tunnel, RFC 6040 normal mode: the outer header carries the
 * inner bits out, and brings a congestion mark back in.
 *
 *     0 not capable    1 ECT(1)    2 ECT(0)    3 congestion experienced
 *
 *     inner \ outer |  0   1   2   3
 *     0             |  0   0   0   drop
 *     1             |  1   1   1   3
 *     2             |  2   1   2   3
 *     3             |  3   3   3   3
 */

const CONGESTED = 3;

/** ECN bits of the IP packet at `at`. */
export function ecnOf(u8: Uint8Array, at: number): number {
  const first = u8[at] as number;
  const second = u8[at + 1] as number;
  return first >> 4 === 4 ? second & 3 : (second >> 4) & 3;
}

/** Gives the inner packet what the outer header says; false where it must be dropped. */
export function ecnDecapsulate(u8: Uint8Array, at: number, outer: number): boolean {
  const inner = ecnOf(u8, at);
  if (outer === CONGESTED && inner === 0) return false;
  const merged = outer === CONGESTED ? CONGESTED : outer === 1 && inner === 2 ? 1 : inner;
  if (merged !== inner) setEcn(u8, at, merged);
  return true;
}

function setEcn(u8: Uint8Array, at: number, ecn: number): void {
  const second = u8[at + 1] as number;
  if ((u8[at] as number) >> 4 === 6) {
    u8[at + 1] = (second & 0xcf) | (ecn << 4);
    return;
  }
  const changed = (second & 0xfc) | ecn;
  u8[at + 1] = changed;
  // RFC 1624: the new header checksum is ~(~old + ~from + to), over the one word that changed.
  const old = ((u8[at + 10] as number) << 8) | (u8[at + 11] as number);
  const high = (u8[at] as number) << 8;
  let sum = (~old & 0xffff) + (~(high | second) & 0xffff) + (high | changed);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  u8[at + 10] = (~sum >> 8) & 0xff;
  u8[at + 11] = ~sum & 0xff;
}
