/** What `status` shows of the way to a peer. */

import type { Endpoint } from '../../base/endpoint.ts';
import type { Millis } from '../../base/time.ts';
import type { CandidateOrigin } from '../../protocol/disco/candidates.ts';
import type { PeerEntry } from './peer-table.ts';

export interface PathStatus {
  readonly active: boolean;
  /** Best endpoint, proven or doubted. */
  readonly direct: Endpoint | undefined;
  readonly latencyMillis: number | undefined;
  readonly trusted: boolean;
  /** Region by which the peer is reached else; 0 for none. */
  readonly relay: number;
  readonly candidates: readonly {
    readonly endpoint: Endpoint;
    readonly origin: CandidateOrigin;
    readonly latencyMillis: number | undefined;
  }[];
}

export function pathStatus({ use, peer }: PeerEntry, relay: number, now: Millis): PathStatus {
  const best = use?.path.best;
  const named = peer.endpoints.map((endpoint) => ({
    endpoint,
    origin: 'map' as const,
    latencyMillis: undefined,
  }));
  return {
    active: use?.active ?? false,
    direct: best?.endpoint,
    latencyMillis: Number.isFinite(best?.latencyMillis) ? best?.latencyMillis : undefined,
    trusted: use !== undefined && best !== undefined && now < use.path.trustedUntil,
    relay,
    candidates: use === undefined ? named : [...use.path.candidates()].map(shown),
  };
}

const shown = (candidate: PathStatus['candidates'][number]): PathStatus['candidates'][number] => ({
  endpoint: candidate.endpoint,
  origin: candidate.origin,
  latencyMillis: candidate.latencyMillis,
});
