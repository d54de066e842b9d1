/**
 * Where one stands with a path to a peer; peer-path.ts has the picture.
 */

import type { Millis } from '../../base/time.ts';
import type { Best } from './path-score.ts';

export type PathPhase = 'idle' | 'searching' | 'trusted' | 'doubted';

export function phaseOf(
  active: boolean,
  best: Best | undefined,
  trustedUntil: Millis,
  now: Millis,
): PathPhase {
  if (!active) return 'idle';
  if (best === undefined) return 'searching';
  return now < trustedUntil ? 'trusted' : 'doubted';
}
