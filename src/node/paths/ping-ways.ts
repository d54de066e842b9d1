/**
 * By which ways a person's ping goes out: the one that data takes where it is trusted, else all that there are, of
 * which the first pong wins.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import type { Millis } from '../../base/time.ts';
import type { PeerPath } from '../../protocol/disco/peer-path.ts';

export type PingWay = 'any' | 'direct' | 'relay';

export interface PingOptions {
  readonly way?: PingWay;
  readonly patience?: Millis;
}

export interface PingWays {
  readonly relay: boolean;
  /** The best first. */
  readonly endpoints: readonly Endpoint[];
}

export function pingWays(path: PeerPath, way: PingWay, now: Millis): PingWays {
  if (way === 'relay') return { relay: true, endpoints: [] };
  const best = path.best?.endpoint;
  if (best !== undefined && now < path.trustedUntil) return { relay: false, endpoints: [best] };
  const others = [...path.candidates()].map(({ endpoint }) => endpoint);
  const all = best === undefined ? others : [best, ...others.filter((one) => one !== best)];
  // The budget may not reach for all.
  return { relay: way === 'any', endpoints: all.slice(0, path.probesLeft(now)) };
}
