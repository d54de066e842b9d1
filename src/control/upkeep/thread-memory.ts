/**
 * The memory of a thread, as upkeep looks after it. Garbage can only be collected by hand
 * where V8 was started with --expose-gc, as the single executable is.
 */

import type { MemoryPort } from './memory.ts';

export function threadMemory(trim: () => void): MemoryPort {
  return {
    heldBytes: () => {
      const { heapTotal, external } = process.memoryUsage();
      return heapTotal + external;
    },
    cpuMillis: () => {
      const { user, system } = process.threadCpuUsage();
      return (user + system) / 1000;
    },
    // The kind that makes the heap small again: a common one leaves its pages half empty.
    collect: () => globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' }),
    trim,
  };
}
