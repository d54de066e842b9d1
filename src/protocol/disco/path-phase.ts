/**
 * Where one stands with a path to a peer, by what, and what follows; peer-path.ts has the picture.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import type { Millis } from '../../base/time.ts';
import type { Best } from './path-score.ts';

export type PathPhase = 'idle' | 'searching' | 'trusted' | 'doubted';

/** When data last went to a peer, came from it, or waited for a path to it; 0 for never. */
export interface Traffic {
  readonly sent: Millis;
  readonly received: Millis;
  readonly wanted: Millis;
}

export interface PathPlan {
  readonly phase: PathPhase;
  /** To be pinged now; each is told back by `pinging`. */
  readonly ping: readonly Endpoint[];
  /** A call-me-maybe is due; told back by `calling`. */
  readonly call: boolean;
  /** When to ask again if nothing happens before; NEVER for an idle peer. */
  readonly wake: Millis;
}

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
