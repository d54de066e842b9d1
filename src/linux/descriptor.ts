/**
 * A file descriptor that is closed exactly once. Closing a number twice would close whatever the kernel has
 * given that number to meanwhile; here the second close does nothing.
 */

import { BugError } from '../base/errors.ts';
import { errnoName } from './errno.ts';
import type { Native } from './ffi.ts';

export class Descriptor {
  readonly #native: Native;
  #fd: number;

  /** Owns `fd`, which must be open. */
  constructor(native: Native, fd: number) {
    if (fd < 0) throw new BugError(`no descriptor: ${errnoName(-fd)}`);
    this.#native = native;
    this.#fd = fd;
  }

  /** @throws BugError after `close` */
  get fd(): number {
    if (this.#fd < 0) throw new BugError('the descriptor is closed');
    return this.#fd;
  }

  get closed(): boolean {
    return this.#fd < 0;
  }

  close(): void {
    const fd = this.#fd;
    this.#fd = -1;
    // Linux frees the number even where close(2) reports an error, so there is nothing to repeat.
    if (fd >= 0) this.#native.close(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
