/** Joins `postern wireguard` to the real system. */

import { assets } from './assets.ts';
import { carriedNative } from './carried-native.ts';
import { bootClock } from './linux/clock.ts';
import type { Joined } from './run-main.ts';
import { startWireguard } from './start-wireguard.ts';
import { runWireguard } from './wireguard.ts';

export function join(stateFolder: string): Joined {
  const ours = assets();
  const carried = carriedNative(ours, stateFolder);
  return {
    start: startWireguard({ ...carried, assets: ours }),
    now: bootClock(carried.native),
    run: runWireguard,
  };
}
