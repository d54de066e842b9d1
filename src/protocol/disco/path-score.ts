/**
 * Which of two measured paths is better: by how much shorter it is, in per cent of the longer one, plus what
 * its address says for it (address-kinds.ts). One point of hysteresis keeps two equal paths from taking turns.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import { nearness } from './address-kinds.ts';

export interface Best {
  readonly endpoint: Endpoint;
  /** Round trip; Infinity: not measured. */
  readonly latencyMillis: number;
}

const HYSTERESIS = 1;

/** Whether `found` takes the place of a `best` that is trusted. */
export function isBetter(found: Best, best: Best): boolean {
  const slower = Math.max(found.latencyMillis, best.latencyMillis, 1);
  const points = ({ endpoint, latencyMillis }: Best): number =>
    100 * (1 - latencyMillis / slower) + nearness(endpoint.address);
  return points(found) > points(best) + HYSTERESIS;
}
