/**
 * Routes that a wg.conf asks for: one for each allowed IP, as wg-quick(8) sets them.
 *
 *     Table = auto, main   the main table, but for /0: a default route there would carry the tunnel's own packets
 *     Table = N            all of them, in table N, which nothing uses unless a person says so by `ip rule`
 *     Table = off          none
 *
 * For a /0 wg-quick sets a mark, a table and rules that keep the tunnel's packets out of the tunnel. Nothing here
 * does, so it is left out and named.
 */

import type { Prefix } from '../../base/prefix.ts';
import { formatPrefix } from '../../base/prefix.ts';
import type { WgConf } from './wg-conf.ts';

const MAIN_TABLE = 254;

export interface WantedRoute {
  readonly prefix: Prefix;
  /** Absent: the main table. */
  readonly table?: number;
}

export interface WantedRoutes {
  /** Each once. */
  readonly routes: readonly WantedRoute[];
  /** What needs policy routing. */
  readonly leftOut: readonly Prefix[];
}

export function routesFor({ change, table }: Pick<WgConf, 'change' | 'table'>): WantedRoutes {
  if (table === 'off') return { routes: [], leftOut: [] };
  const main = table === 'auto' || table === MAIN_TABLE;
  const routes = new Map<string, WantedRoute>();
  const leftOut = new Map<string, Prefix>();
  for (const { prefix } of change.peers.flatMap((peer) => peer.allowedIps)) {
    const text = formatPrefix(prefix);
    if (main && prefix.bits === 0) leftOut.set(text, prefix);
    else routes.set(text, main ? { prefix } : { prefix, table });
  }
  return { routes: [...routes.values()], leftOut: [...leftOut.values()] };
}
