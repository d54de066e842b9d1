/**
 * Whether a time server has confirmed the wall clock: adjtimex(2), asked without changing anything, answers
 * TIME_ERROR until a time daemon has set the clock, and again after somebody has set it by hand.
 */

import { STRUCT, TIMEX } from './abi.ts';
import type { Native } from './ffi.ts';
import { block } from './memory.ts';

export function timeConfirmed(native: Native): () => boolean {
  const timex = block(native, STRUCT.timex.bytes);
  return () => {
    timex.u8.fill(0);
    const state = native.adjtimex(timex.address);
    return state >= 0 && state !== TIMEX.TIME_ERROR;
  };
}
