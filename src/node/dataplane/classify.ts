/** What a datagram, and what a packet out of one, is by its first words. */

/** What disco messages begin with, as a word, and STUN's cookie behind its first word (protocol/disco). */
const DISCO_MAGIC = 0x9ff0_5354;
const STUN_COOKIE = 0x42a4_1221;
const LEAST_FOREIGN_BYTES = 20;

/** Whether a datagram that is not WireGuard's is one that shares the sockets with it in a mesh. */
export function isForeign(u32: Uint32Array, at: number, length: number): boolean {
  if (length < LEAST_FOREIGN_BYTES) return false;
  const first = u32[at >> 2] as number;
  return first === DISCO_MAGIC || ((first & 0xc0) === 0 && u32[(at + 4) >> 2] === STUN_COOKIE);
}

/** The IP packet's own length, without padding; 0 where it is none or says more than is there. */
export function innerBytes(u8: Uint8Array, at: number, room: number): number {
  const version = (u8[at] as number) >> 4;
  const header = version === 4 ? 20 : 40;
  if ((version !== 4 && version !== 6) || room < header) return 0;
  const field = version === 4 ? at + 2 : at + 4;
  const value = ((u8[field] as number) << 8) | (u8[field + 1] as number);
  const length = version === 4 ? value : value + header;
  return length < header || length > room ? 0 : length;
}
