/** Joins the rooms to the real system, and runs. */

import { assets } from './assets.ts';
import { bootClock } from './linux/clock.ts';
import { loadNative } from './linux/ffi.ts';
import { runMain } from './run-main.ts';
import { startWireguard } from './start-wireguard.ts';

runMain(() => {
  const native = loadNative();
  const start = startWireguard({ native, assets: assets(), nativePath: undefined });
  return { start, now: bootClock(native) };
});
