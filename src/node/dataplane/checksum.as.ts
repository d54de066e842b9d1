/**
 * The Internet checksum (RFC 1071), on little-endian words: the one's complement sum does not mind the
 * order of bytes as long as the result is stored in the same one.
 *
 * Sums run in four 32-bit lanes of two vectors; a lane gains at most 2 x 65,535 for each 16 bytes, so
 * 512 KiB fit before one could overflow.
 */

/** Big-endian 16 bits at `at`. */
// @ts-ignore: decorator
@inline
export function be16(at: usize): u32 {
  return <u32>bswap<u16>(load<u16>(at));
}

// @ts-ignore: decorator
@inline
export function storeBe16(at: usize, value: u32): void {
  store<u16>(at, bswap<u16>(<u16>value));
}

/** Carries folded in until 16 bits are left. */
// @ts-ignore: decorator
@inline
export function fold(sum: u64): u32 {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return <u32>sum;
}

// @ts-ignore: decorator
@inline
function pairs(words: v128): v128 {
  return i32x4.extadd_pairwise_i16x8_u(words);
}

// @ts-ignore: decorator
@inline
function lanes(sum: v128): u64 {
  const wide = i64x2.add(
    i64x2.extend_low_i32x4_u(sum),
    i64x2.extend_high_i32x4_u(sum),
  );
  return <u64>i64x2.extract_lane(wide, 0) + <u64>i64x2.extract_lane(wide, 1);
}

/** One's complement sum of `length` bytes at `at` and of `initial`, folded, not inverted. */
export function checksum(at: usize, length: u32, initial: u32): u32 {
  const end = at + length;
  let even = i32x4.splat(0);
  let odd = i32x4.splat(0);
  while (at + 64 <= end) {
    even = i32x4.add(even, pairs(v128.load(at)));
    odd = i32x4.add(odd, pairs(v128.load(at, 16)));
    even = i32x4.add(even, pairs(v128.load(at, 32)));
    odd = i32x4.add(odd, pairs(v128.load(at, 48)));
    at += 64;
  }
  while (at + 16 <= end) {
    even = i32x4.add(even, pairs(v128.load(at)));
    at += 16;
  }
  return fold(lanes(i32x4.add(even, odd)) + tail(at, end) + initial);
}

/** The last bytes, fewer than a vector; an odd one counts as if a zero followed. */
// @ts-ignore: decorator
@inline
function tail(at: usize, end: usize): u64 {
  let sum: u64 = 0;
  while (at + 4 <= end) {
    sum += load<u32>(at);
    at += 4;
  }
  if (at + 2 <= end) {
    sum += load<u16>(at);
    at += 2;
  }
  if (at < end) sum += load<u8>(at);
  return sum;
}

/** Copies `length` bytes and gives their folded sum: one pass instead of two. */
export function copyAndSum(to: usize, from: usize, length: u32): u32 {
  const end = from + length;
  const shift = to - from;
  let even = i32x4.splat(0);
  let odd = i32x4.splat(0);
  while (from + 64 <= end) {
    const a = v128.load(from);
    const b = v128.load(from, 16);
    const c = v128.load(from, 32);
    const d = v128.load(from, 48);
    const target = from + shift;
    v128.store(target, a);
    v128.store(target, b, 16);
    v128.store(target, c, 32);
    v128.store(target, d, 48);
    even = i32x4.add(i32x4.add(even, pairs(a)), pairs(c));
    odd = i32x4.add(i32x4.add(odd, pairs(b)), pairs(d));
    from += 64;
  }
  while (from + 16 <= end) {
    const words = v128.load(from);
    v128.store(from + shift, words);
    even = i32x4.add(even, pairs(words));
    from += 16;
  }
  const sum = lanes(i32x4.add(even, odd)) + tail(from, end);
  for (; from < end; from++) store<u8>(from + shift, load<u8>(from));
  return fold(sum);
}

/**
 * Sum of the pseudo-header (RFC 9293 3.1, RFC 8200 8.1) for the IP header at `ip`. With IPv6 the target is
 * that of the fixed header, which a routing header would make wrong; nothing of ours joins or splits those.
 */
// @ts-ignore: decorator
@inline
export function pseudoHeader(ip: usize, protocol: u32, length: u32): u64 {
  const rest: u64 = <u64>(protocol << 8) + <u64>bswap<u16>(<u16>length);
  if (load<u8>(ip) >> 4 == 4) return rest + <u64>load<u32>(ip, 12) + <u64>load<u32>(ip, 16);
  return rest + lanes(i32x4.add(pairs(v128.load(ip, 8)), pairs(v128.load(ip, 24))));
}

/**
 * Completes a checksum whose field holds the sum of the pseudo-header (NEEDS_CSUM): over [at + start,
 * at + length), to start + offset. A place outside of the packet changes nothing.
 */
export function completeChecksum(at: usize, length: u32, start: u32, offset: u32): void {
  if (start >= length || offset + 2 > length - start) return;
  const sum = <u16>~checksum(at + start, length - start, 0);
  // Zero means "no checksum" to UDP, and to all others it is the same number as 0xffff.
  store<u16>(at + start + offset, sum == 0 ? 0xffff : sum);
}
