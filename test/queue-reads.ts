/** The reading half of a fake TUN device: each read takes the next packet of a queue, to its place in the arena. */

import type { TunPlaces } from '../src/node/dataplane/arena.ts';
import type { TunPort } from '../src/node/dataplane/ports.ts';
import { EMPTY } from '../src/node/dataplane/ports.ts';

export function queueReads(
  queue: Uint8Array[],
  u8: Uint8Array,
  { at, strideBytes, count }: TunPlaces,
): Pick<TunPort, 'found' | 'read'> {
  const found = new Int32Array(count);
  return {
    found,
    read: (most) => {
      for (let i = 0; i < most; i++) {
        const packet = queue.shift();
        found[i] = packet?.length ?? EMPTY;
        if (packet === undefined) return i + 1;
        u8.set(packet, at + i * strideBytes);
      }
      return most;
    },
  };
}
