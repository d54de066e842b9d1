/**
 * How one thread wakes another out of poll-loop.ts: an eventfd, which stays readable until it is taken, however often
 * it was signalled. The thread that opened it closes it, when the other is done.
 *
 * Source: eventfd(2).
 */

import { FILE } from './abi.ts';
import { Descriptor } from './descriptor.ts';
import { systemError } from './errno.ts';
import type { Native } from './ffi.ts';
import type { Block } from './memory.ts';
import { block } from './memory.ts';

const COUNTER_BYTES = 8;

/** @throws ConfigError where the process or the machine has no descriptor left */
export function openWake(native: Native): Descriptor {
  const fd = native.eventfd(0, FILE.O_CLOEXEC | FILE.O_NONBLOCK);
  if (fd < 0) throw systemError('open an eventfd', fd);
  return new Descriptor(native, fd);
}

/** One thread's view of it. */
export class Wake {
  readonly #native: Native;
  readonly #fd: number;
  readonly #one: Block;
  readonly #taken: Block;

  constructor(native: Native, fd: number) {
    this.#native = native;
    this.#fd = fd;
    this.#one = block(native, COUNTER_BYTES);
    this.#taken = block(native, COUNTER_BYTES);
    this.#one.u32[0] = 1;
  }

  signal(): void {
    this.#native.write(this.#fd, this.#one.address, COUNTER_BYTES);
  }

  /** It is not readable after this, until the next signal. */
  take(): void {
    this.#native.read(this.#fd, this.#taken.address, COUNTER_BYTES);
  }
}
