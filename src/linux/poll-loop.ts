/**
 * A loop of a thread's own, in place of Node's: it waits in poll(2), and calls whoever has something to read. A wake-up
 * through Node's loop goes through libuv, an object made for the event, a callback scope and an immediate: 2.0 us where
 * nothing else runs, 0.9 here, and the more in the way of packets, whose caches it takes.
 *
 * While it runs, nothing else of Node's does on this thread: no promise, no timer, no message by itself. Whoever sends
 * the thread a message wakes it (wake.ts), also for the end: a thread in poll(2) hears of no other, and the process
 * would wait for it.
 */

import { BugError } from '../base/errors.ts';
import { ERRNO, SOCKET, STRUCT } from './abi.ts';
import { errnoName } from './errno.ts';
import type { Native } from './ffi.ts';
import type { Block } from './memory.ts';
import { block } from './memory.ts';
import { MAX_ERRORS_IN_A_ROW } from './wait.ts';

const POLLFD = STRUCT.pollfd;
const FOR_EVER = -1;

/** poll(2) passes over it. */
const NONE = -1;

interface Entry {
  readonly action: () => void;
  errors: number;
}

export interface Polled {
  /** No call of the action after this. Before the descriptor is closed, or another's events come here. */
  close(): void;
}

export class PollLoop {
  readonly #native: Native;
  readonly #memory: Block;
  readonly #entries: (Entry | undefined)[];
  #ended = false;

  /** @param capacity descriptors at a time */
  constructor(native: Native, capacity: number) {
    this.#native = native;
    this.#memory = block(native, capacity * POLLFD.bytes);
    this.#entries = new Array<Entry | undefined>(capacity).fill(undefined);
    for (let i = 0; i < capacity; i++) this.#watch(i, NONE);
  }

  /** Calls `action` whenever `fd` is readable or in error (its next read then tells which). */
  add(fd: number, action: () => void): Polled {
    const place = this.#entries.indexOf(undefined);
    if (place < 0) throw new BugError('poll: more descriptors than there are places');
    const entry = { action, errors: 0 };
    this.#entries[place] = entry;
    this.#watch(place, fd);
    return {
      close: () => {
        if (this.#entries[place] !== entry) return;
        this.#entries[place] = undefined;
        this.#watch(place, NONE);
      },
    };
  }

  /** Until `end`, or what an action throws. @param turnDone after all that one wait has found */
  run(turnDone: () => void): void {
    const { address } = this.#memory;
    const count = this.#entries.length;
    while (!this.#ended) {
      const ready = this.#native.poll(address, count, FOR_EVER);
      if (ready >= 0) {
        this.#turn(count);
        turnDone();
      } else if (ready !== -ERRNO.EINTR) throw new BugError(`poll: ${errnoName(-ready)}`);
    }
  }

  end(): void {
    this.#ended = true;
  }

  #turn(count: number): void {
    const { u16 } = this.#memory;
    for (let i = 0; i < count; i++) {
      // An action before may have closed it, which leaves no events here.
      const events = u16[(i * POLLFD.bytes + POLLFD.revents) >> 1] as number;
      if (events === 0) continue;
      const entry = this.#entries[i] as Entry;
      entry.errors = (events & SOCKET.POLLIN) === 0 ? entry.errors + 1 : 0;
      entry.action();
      if (entry.errors === MAX_ERRORS_IN_A_ROW && this.#entries[i] === entry) this.#watch(i, NONE);
    }
  }

  #watch(place: number, fd: number): void {
    const { u16, u32 } = this.#memory;
    const at = place * POLLFD.bytes;
    u32[(at + POLLFD.fd) >> 2] = fd;
    u16[(at + POLLFD.events) >> 1] = SOCKET.POLLIN;
    u16[(at + POLLFD.revents) >> 1] = 0;
  }
}
