/** Joins `postern node` to the real system. */

import { assets } from './assets.ts';
import { carriedNative } from './carried-native.ts';
import { bootClock } from './linux/clock.ts';
import { timeConfirmed } from './linux/time-sync.ts';
import { NodeSystem } from './node-system.ts';
import type { JoinedNode } from './run-main.ts';
import { runNode } from './start-node.ts';

export function join(stateFolder: string): JoinedNode {
  const ours = assets();
  const carried = carriedNative(ours, stateFolder);
  const system = new NodeSystem(carried.native, timeConfirmed(carried.native));
  return {
    now: bootClock(carried.native),
    run: (options, process) =>
      runNode(options, { ...carried, assets: ours }, { ...process, system }),
  };
}
