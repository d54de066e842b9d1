/** What `writev` takes: places and lengths, by native address. Source: readv(2). */

/** One struct iovec: address and length, 8 bytes each. */
export function writeIovec(u32: Uint32Array, at: number, address: number, length: number): void {
  const word = at >> 2;
  u32[word] = address >>> 0;
  u32[word + 1] = (address / 4_294_967_296) >>> 0;
  u32[word + 2] = length;
  u32[word + 3] = 0;
}
