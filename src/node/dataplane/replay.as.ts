/**
 * The replay window of a receiving key (RFC 6479): a ring of 512 words of 32 bits, one bit a counter.
 *
 *     windowAt     0  greatest counter accepted + 1, 0 for none (64 bits)
 *                  8  unused
 *                 16  ring; counter c is bit c mod 32 of word (c / 32) mod 512
 *
 * Moving on clears whole words, so that 16,352 counters behind the greatest are told apart; what is older
 * is refused. Without a mark yet, the ring is all zero. The counter 2^64 - 1 is refused: its successor
 * could not be noted. WireGuard retires a key 2^13 counters earlier.
 */

const WORDS: u64 = 512;
const BEHIND: u64 = (WORDS - 1) * 32;

/** Marks the counter; false where it was seen, is too old or is the one that cannot be. */
export function replayAccept(windowAt: usize, counterLow: u32, counterHigh: u32): bool {
  const counter = (<u64>counterHigh << 32) | counterLow;
  const next = load<u64>(windowAt);
  if (counter >= next) {
    if (counter == u64.MAX_VALUE) return false;
    if (next != 0) clearBetween(windowAt + 16, (next - 1) >> 5, counter >> 5);
    store<u64>(windowAt, counter + 1);
  } else if (next - 1 - counter > BEHIND) return false;

  const word = windowAt + 16 + (<usize>((counter >> 5) & (WORDS - 1)) << 2);
  const seen = load<u32>(word);
  const bit: u32 = 1 << (<u32>counter & 31);
  store<u32>(word, seen | bit);
  return (seen & bit) == 0;
}

/** Clears the words after `from` up to `to`, at most all of them. */
// @ts-ignore: decorator
@inline
function clearBetween(ring: usize, from: u64, to: u64): void {
  if (to - from > WORDS) from = to - WORDS;
  while (from < to) {
    from++;
    store<u32>(ring + (<usize>(from & (WORDS - 1)) << 2), 0);
  }
}
