/**
 * The gate in front of all streams: one field of a wrong type makes a stock client drop every map, and all that
 * its user sees is that `up` does not end. So each map is held to the vocabulary before it leaves.
 *
 *     a node with a fault      in nobody's map (pages.ts leaves it out)
 *     a part with a fault      left out of this map, so that the client keeps the last good one
 *
 * Both are log lines once, one health item while they last, and counted.
 */

import type { Health } from '../../base/health.ts';
import type { Log } from '../../base/log.ts';
import type { MapResponse } from '../../protocol/tailcfg/map-types.ts';
import { mapFault } from '../../protocol/tailcfg/validate.ts';
import type { Sharing } from './pages.ts';

const ITEM = 'map-fault';
const MAX_NAMED = 3;

export class Gate {
  /** Parts that were left out. */
  faults = 0;
  readonly #sharing: Sharing;
  readonly #log: Log;
  readonly #health: Pick<Health, 'raise' | 'lower'> | undefined;
  /** By field, as last met. */
  readonly #parts = new Map<string, string>();
  #raised = false;

  constructor(sharing: Sharing, log: Log, health: Pick<Health, 'raise' | 'lower'> | undefined) {
    this.#sharing = sharing;
    this.#log = log;
    this.#health = health;
  }

  /** The map without the fields that must not leave; itself where all may. */
  sound(map: MapResponse): MapResponse {
    const { passed } = this.#sharing;
    if (mapFault(map, passed) === undefined) {
      if (this.#parts.size > 0) for (const field of Object.keys(map)) this.#parts.delete(field);
      return map;
    }
    const sound = Object.entries(map).filter(([field, value]) => {
      const fault = mapFault({ [field]: value }, passed);
      if (fault === undefined) return true;
      this.faults++;
      if (this.#parts.get(field) !== fault) this.#log.error('map: a part is left out', { fault });
      this.#parts.set(field, fault);
      return false;
    });
    return Object.fromEntries(sound);
  }

  /** Raises or lowers the health item by what is so now. */
  report(): void {
    const faults = [
      ...[...this.#sharing.faulty].map(([node, fault]) => `node ${node}: ${fault}`),
      ...this.#parts.values(),
    ];
    if (faults.length === 0) {
      if (this.#raised) this.#health?.lower(ITEM);
      this.#raised = false;
      return;
    }
    this.#raised = true;
    this.#health?.raise({
      code: ITEM,
      severity: 'error',
      text: `${faults.length} left out of maps: ${faults.slice(0, MAX_NAMED).join('; ')}`,
      remedy: 'rename or delete the node, or take back the last change of policy or names',
    });
  }
}
