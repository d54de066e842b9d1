/**
 * A network of the test's own: this thread, and the programs it starts, leave for a new namespace that ends with
 * the process, so that no device or socket of a test shows up on the machine. Loopback is up.
 */

import type { Native } from '../../../src/linux/ffi.ts';
import { configureLink } from '../../../src/linux/ip.ts';
import { must } from '../../must.ts';

const CLONE_NEWNET = 0x40000000;

/** False once it has; else why a test that needs it cannot run (for tap's `skip`, CI runs as root). */
export async function ownNetwork(native: Native): Promise<false | string> {
  if (process.getuid?.() !== 0) return 'needs root: it makes a network namespace and devices in it';
  const unshare = native.self.find<(flags: number) => number>('unshare', 'int', ['int']);
  if (must(unshare)(CLONE_NEWNET) !== 0) return 'the kernel refuses a network namespace';
  await configureLink('lo', { up: true });
  return false;
}
