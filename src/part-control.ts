/** Joins `postern control` to the real system. */

import { assets } from './assets.ts';
import { carriedNative } from './carried-native.ts';
import { threadMemory } from './control/upkeep/thread-memory.ts';
import { bootClock } from './linux/clock.ts';
import { trimMalloc } from './linux/malloc.ts';
import { peerCredentials } from './linux/peer-credentials.ts';
import { serviceManager } from './linux/sd-notify.ts';
import { timeConfirmed } from './linux/time-sync.ts';
import { control } from './run-control.ts';
import type { JoinedControl } from './run-main.ts';

export const run: typeof control = control;

export function join(stateFolder: string): JoinedControl {
  const ours = assets();
  const { native } = carriedNative(ours, stateFolder);
  return {
    now: bootClock(native),
    assets: ours,
    credentialsOf: peerCredentials(native),
    clockConfirmed: timeConfirmed(native),
    memory: threadMemory(trimMalloc(native)),
    ...serviceManager(native, process.env, process.pid),
  };
}
