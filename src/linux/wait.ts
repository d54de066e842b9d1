/**
 * Readiness of descriptors that Node has no stream for (netlink), on Node's event loop; the packet thread has a loop of
 * its own (poll-loop.ts).
 *
 * Level-triggered: `action` is called again while there is something left to read. Three things that the
 * plain uv_poll handle gets wrong for us, and which are mended here:
 *
 *  - the handle is closed by the garbage collector unless someone holds it: a set of this module does;
 *  - on an error condition (POLLERR: device deleted, netlink overrun) it stops for good after one call: it is
 *    started again, since the action's read fetches the error, but not for ever;
 *  - it calls outside of Node's callback scope, so that promises and nextTick of the action would wait for
 *    the next timer or packet: an immediate is due after each call, and runs them in the same turn. An
 *    exception would likewise get lost half-way: it is thrown from the immediate.
 */

import type { Native, PollHandle } from './ffi.ts';

export interface Waiting {
  /** No call of the action after this. Before the descriptor is closed, or another's events come here. */
  close(): void;
  /** The event loop may end while this waits. */
  unref(): void;
}

/** A descriptor that is in error at each wake has gone; the action was told often enough. */
export const MAX_ERRORS_IN_A_ROW = 16;

const held = new Set<PollHandle>();

/** Calls `action` whenever `fd` is readable or in error (its next read then tells which). */
export function onReadable(native: Native, fd: number, action: () => void): Waiting {
  let errors = 0;
  const wake = (status: number): void => {
    try {
      action();
    } catch (error) {
      setImmediate(() => {
        throw error;
      });
    }
    setImmediate(nothing);
    errors = status < 0 ? errors + 1 : 0;
    if (status < 0 && errors < MAX_ERRORS_IN_A_ROW && held.has(handle))
      handle.start({ readable: true }, wake);
  };
  const handle = native.poller(fd, wake);
  held.add(handle);
  return {
    close: () => {
      if (held.delete(handle)) handle.close();
    },
    unref: () => handle.unref(),
  };
}

function nothing(): void {}
