/** One planted fault. */

import type { Patch } from './copy.ts';

export interface Plant extends Patch {
  /** The check that is gone. */
  readonly name: string;
  /** Test file that must fail. */
  readonly judge: string;
  /** The test in it that must fail: about this very check. */
  readonly sees: string;
}
