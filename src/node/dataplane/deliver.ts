/**
 * What has been opened: allowed IPs (the source must be the peer's) -> ECN -> filter -> GRO -> TUN.
 *
 * In a mesh the tunnel's own small messages (IP protocol 99) go to the main thread instead.
 */

import { PEER } from './arena.ts';
import { innerBytes } from './classify.ts';
import type { Drop } from './commands.ts';
import { ecnDecapsulate } from './ecn.ts';
import { writeIovec } from './iovec.ts';
import type { RingWriter } from './ring.ts';
import { FILTER_DROPS } from './rules.ts';
import type { Shared } from './shared.ts';
import { INNER } from './sources.ts';

/** Messages between the nodes themselves, inside the tunnel. */
const TSMP = 99;

export class Deliver {
  readonly #shared: Shared;
  readonly #ring: RingWriter;

  constructor(shared: Shared, ring: RingWriter) {
    this.#shared = shared;
    this.#ring = ring;
    shared.kernels.groStart(
      shared.arena.layout.groScratch,
      shared.arena.layout.iovecs,
      shared.arena.layout.vnet,
      shared.base,
      shared.tun.uso,
    );
  }

  /**
   * Judges an opened packet and passes it on.
   *
   * @param at the peer's slot
   * @param room its bytes, which count its padding too
   * @param ecn of the outer header
   */
  packet(at: number, text: number, room: number, now: number, ecn: number): Drop | null {
    const { arena, allowedIps, kernels } = this.#shared;
    const { u8, u32 } = arena;
    const length = innerBytes(u8, text, room);
    if (length === 0) return 'in: not an IP packet';
    const ipv4 = (u8[text] as number) >> 4 === 4;
    const owner = ipv4 ? allowedIps.lookup(u8, text + 12, 4) : allowedIps.lookup(u8, text + 8, 16);
    const peer = u32[(at + PEER.number) >> 2] as number;
    if (owner !== peer) return this.#refuse('in: source not allowed', peer, text, length, now);
    if (ecn !== 0 && !ecnDecapsulate(u8, text, ecn))
      return 'in: congestion mark on a packet that cannot carry it';
    if (this.#shared.relay !== null && u8[text + (ipv4 ? 9 : 6)] === TSMP)
      return this.#inner(peer, text, length);
    const verdict = kernels.filterIn(text, length, (now / 1000) >>> 0);
    if (verdict !== 0)
      return this.#refuse(FILTER_DROPS[verdict] ?? 'in: filter malformed', peer, text, length, now);
    this.#pass(text, length);
    return null;
  }

  #refuse(reason: Drop, peer: number, text: number, length: number, now: number): null {
    const { drops, arena } = this.#shared;
    drops.refuse(reason, peer, arena.u8.subarray(text, text + length), now);
    return null;
  }

  /** A packet that is for this program itself. */
  #inner(peer: number, text: number, length: number): Drop | null {
    const { u16, u32, layout } = this.#shared.arena;
    u16[layout.sourceAt >> 1] = INNER;
    u32[(layout.sourceAt + 8) >> 2] = peer;
    return this.#ring.write(text, length, layout.sourceAt) ? null : 'in: main thread busy';
  }

  #pass(text: number, length: number): void {
    const { kernels, tun, base, arena } = this.#shared;
    if (tun.vnetHeader) {
      if (kernels.groAdd(text, length)) return;
      this.write();
      kernels.groAdd(text, length);
      return;
    }
    writeIovec(arena.u32, arena.layout.iovecs, base + text, length);
    this.#wrote(tun.write(arena.layout.iovecs, 1));
  }

  /** Writes the joined packet that is pending, if any. */
  write(): void {
    const { kernels, tun, arena } = this.#shared;
    if (!tun.vnetHeader) return;
    const iovecs = kernels.groFinish();
    if (iovecs > 0) this.#wrote(tun.write(arena.layout.iovecs, iovecs));
  }

  #wrote(result: number): void {
    if (result < 0) this.#shared.drops.add('tun: write refused');
  }
}
