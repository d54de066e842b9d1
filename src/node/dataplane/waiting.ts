/**
 * Packets that wait for a handshake. Bounded for each peer and in all; the oldest of the same peer goes
 * first, since TCP's newest segment is the one that its sender still believes in. Copies, outside the arena:
 * this is the cold path.
 */

const MOST_PACKETS_PER_PEER = 128;
const MOST_BYTES = 4 * 1024 * 1024;

interface Queue {
  packets: Uint8Array[];
}

export class Waiting {
  readonly #queues = new Map<number, Queue>();
  #bytes = 0;

  has(peer: number): boolean {
    return this.#queues.has(peer);
  }

  /** Keeps a packet; how many had to go for it (the packet itself where all room is taken by other peers). */
  add(peer: number, packet: Uint8Array): number {
    const queue = this.#queues.get(peer) ?? { packets: [] };
    this.#queues.set(peer, queue);
    queue.packets.push(packet);
    this.#bytes += packet.length;
    let dropped = 0;
    while (queue.packets.length > MOST_PACKETS_PER_PEER || this.#bytes > MOST_BYTES) {
      const oldest = queue.packets.shift();
      if (oldest === undefined) break;
      this.#bytes -= oldest.length;
      dropped++;
    }
    return dropped;
  }

  /** All packets of a peer, oldest first; they are no longer kept. */
  take(peer: number): readonly Uint8Array[] {
    const packets = this.#queues.get(peer)?.packets ?? [];
    this.#queues.delete(peer);
    for (const packet of packets) this.#bytes -= packet.length;
    return packets;
  }
}
