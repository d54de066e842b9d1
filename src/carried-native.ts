/** The system's functions, by koffi's native half: npm's from source, else the one that the program carries. */

import type { Assets } from './assets.ts';
import type { Native } from './linux/ffi.ts';
import { loadNative } from './linux/ffi.ts';
import { loadCarried, places } from './native-file.ts';

export interface CarriedNative {
  readonly native: Native;
  /** For workers; undefined where koffi finds its own. */
  readonly nativePath: string | undefined;
}

/** @throws ConfigError where no folder lets it be loaded */
export function carriedNative(ours: Assets, stateFolder: string): CarriedNative {
  const bytes = ours.native();
  if (bytes === undefined) return { native: loadNative(), nativePath: undefined };
  return loadCarried(bytes, places(stateFolder), loadNative);
}
