/**
 * The monotonic clock: CLOCK_BOOTTIME, which goes on while the machine sleeps, so that a keypair does not
 * outlive its three minutes in a closed laptop. process.hrtime is CLOCK_MONOTONIC and would.
 *
 * Source: clock_gettime(2). A call costs about 70 ns: no system call, the kernel's vDSO answers.
 */

import type { Millis } from '../base/time.ts';
import { CLOCK, STRUCT } from './abi.ts';
import { checked } from './errno.ts';
import type { Native } from './ffi.ts';
import { block } from './memory.ts';

/** A clock for one thread; what `env.now` is made of. */
export function bootClock(native: Native): () => Millis {
  const { address, u32 } = block(native, STRUCT.timespec.bytes);
  checked('read CLOCK_BOOTTIME', native.clockGettime(CLOCK.CLOCK_BOOTTIME, address));
  const seconds = STRUCT.timespec.tv_sec >> 2;
  const nanoseconds = STRUCT.timespec.tv_nsec >> 2;
  return () => {
    native.clockGettime(CLOCK.CLOCK_BOOTTIME, address);
    // 32 bits of seconds since boot are 136 years.
    return ((u32[seconds] as number) * 1000 + (u32[nanoseconds] as number) / 1e6) as Millis;
  };
}
