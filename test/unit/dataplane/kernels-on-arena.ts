/** Fresh kernels on a small arena, and the ways to put packets in and take them out. */

import { readFileSync } from 'node:fs';
import { kernelsWasm } from '../../../scripts/kernels.ts';
import { concat } from '../../../src/base/bytes.ts';
import {
  type Arena,
  createArena,
  RULE_BYTES,
  type Sizes,
} from '../../../src/node/dataplane/arena.ts';
import { loadKernels } from '../../../src/node/dataplane/kernels.ts';
import type { Kernels } from '../../../src/node/dataplane/ports.ts';
import { type Rule, writeRule } from '../../../src/node/dataplane/rules.ts';

const SMALL: Sizes = { activePeers: 1, flows: 4096, rules: 128 };

export async function kernelsOnArena(
  sizes: Sizes = SMALL,
): Promise<{ kernels: Kernels; arena: Arena }> {
  const arena = createArena(sizes);
  return { kernels: loadKernels(readFileSync(await kernelsWasm()), arena.memory), arena };
}

/** Where arena offset 0 pretends to stand in native memory. */
export const ARENA_BASE = 0x7f12_3456_7000;

/** The bytes that `writev` would take from the iovecs. */
export function gather(arena: Arena, count: number): Uint8Array {
  const parts: Uint8Array[] = [];
  const view = new DataView(arena.memory.buffer);
  for (let i = 0; i < count; i++) {
    const entry = arena.layout.iovecs + i * 16;
    const at = Number(view.getBigUint64(entry, true)) - ARENA_BASE;
    parts.push(arena.u8.slice(at, at + Number(view.getBigUint64(entry + 8, true))));
  }
  return concat(...parts);
}

/** A filter in an arena of its own, spoken to with packets. */
export interface FilterOnArena {
  in(packet: Uint8Array, now?: number): number;
  out(packet: Uint8Array, now?: number): void;
  setRules(rules: readonly Rule[]): void;
  evicted(): number;
}

export async function filterOnArena(flows = 4096): Promise<FilterOnArena> {
  const sizes: Sizes = { activePeers: 1, flows, rules: 128 };
  const { kernels, arena } = await kernelsOnArena(sizes);
  const { layout, u8 } = arena;
  kernels.filterStart(layout.rulesAt, layout.flowsAt, flows, layout.filterScratch, 0x1234, 0x5678);
  let generation = 0;
  const put = (packet: Uint8Array): number => {
    // What follows a packet must not matter.
    u8.fill(0xee, layout.rxOut, layout.rxOut + packet.length + 64);
    u8.set(packet, layout.rxOut);
    return layout.rxOut;
  };
  return {
    in: (packet: Uint8Array, now = 1000) => kernels.filterIn(put(packet), packet.length, now),
    out: (packet: Uint8Array, now = 1000) => kernels.filterOut(put(packet), packet.length, now),
    setRules: (rules: readonly Rule[]) => {
      for (const [i, rule] of rules.entries()) writeRule(u8, layout.rulesAt + i * RULE_BYTES, rule);
      kernels.filterRules(rules.length, ++generation);
    },
    evicted: () => kernels.filterEvicted(),
  };
}
