/**
 * Buffers for writes under way. A connection has one write at a time, so there are as many as connections are
 * busy at once, and none for an idle one. Each holds the longest frame.
 */

const BUFFER_BYTES = 131_072;
/** Kept for reuse; with more at once, the rest goes to the collector. */
const MAX_KEPT = 32;

export class BufferPool {
  readonly #kept: Buffer[] = [];

  borrow(): Buffer {
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
  }

  giveBack(buffer: Buffer): void {
    if (this.#kept.length < MAX_KEPT) this.#kept.push(buffer);
  }
}
