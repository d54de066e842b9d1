/** Joins the rooms to the real system, and runs. */

import type { Assets } from './assets.ts';
import { assets } from './assets.ts';
import { threadMemory } from './control/upkeep/thread-memory.ts';
import { bootClock } from './linux/clock.ts';
import type { Native } from './linux/ffi.ts';
import { loadNative } from './linux/ffi.ts';
import { trimMalloc } from './linux/malloc.ts';
import { peerCredentials } from './linux/peer-credentials.ts';
import { serviceManager } from './linux/sd-notify.ts';
import { timeConfirmed } from './linux/time-sync.ts';
import { loadCarried, places } from './native-file.ts';
import { NodeSystem } from './node-system.ts';
import { runMain } from './run-main.ts';
import { runNode } from './start-node.ts';
import { startWireguard } from './start-wireguard.ts';

const ours = assets();

runMain({
  tunnel: (stateFolder) => {
    const { native, nativePath } = nativeOf(ours, stateFolder);
    return { start: startWireguard({ native, assets: ours, nativePath }), now: bootClock(native) };
  },
  node: (stateFolder) => {
    const { native, nativePath } = nativeOf(ours, stateFolder);
    const system = new NodeSystem(native, timeConfirmed(native));
    return {
      now: bootClock(native),
      run: (options, process) =>
        runNode(options, { native, assets: ours, nativePath }, { ...process, system }),
    };
  },
  control: (stateFolder) => {
    const { native } = nativeOf(ours, stateFolder);
    return {
      now: bootClock(native),
      assets: ours,
      credentialsOf: peerCredentials(native),
      clockConfirmed: timeConfirmed(native),
      memory: threadMemory(trimMalloc(native)),
      ...serviceManager(native, process.env, process.pid),
    };
  },
});

/** From source koffi finds its native half by itself. */
function nativeOf(
  ours: Assets,
  stateFolder: string,
): { readonly native: Native; readonly nativePath: string | undefined } {
  const bytes = ours.native();
  if (bytes === undefined) return { native: loadNative(), nativePath: undefined };
  return loadCarried(bytes, places(stateFolder), loadNative);
}
