/**
 * The matrix: a member in every kind of place, and how each on the left reaches each on the right, cold.
 *
 *     left   right     every pair of places is asked once, so that none of the two has ever spoken to the other;
 *     ----   -----     `rounds` puts those together that share no member, a few of which run at a time
 *     open   open
 *     easy   easy      beside them: two behind one carrier, with and without hairpin
 *     ...    ...
 */

import { must } from '../../must.ts';
import type { Client } from '../control/client.ts';
import type { Station } from '../control/network.ts';
import type { Members, Pair } from './members.ts';
import type { SiteKind } from './nat-network.ts';
import { loginServerFor, NatNetwork } from './nat-network.ts';
import type { Reach } from './reach.ts';
import { reach } from './reach.ts';

/** Besides pairs of places. */
export type Place = SiteKind | 'carrier' | 'hairpin';

export interface Cell extends Reach {
  readonly from: Place;
  readonly to: Place;
}

export interface MatrixOptions {
  readonly sites: readonly SiteKind[];
  readonly carriers: boolean;
  /** A pair that is not direct by then is relayed. */
  readonly mostMs: number;
  /** Cells at a time. */
  readonly width: number;
  /** Only these, by `wanted`; default all. */
  readonly wanted?: (from: SiteKind, to: SiteKind) => boolean;
}

export async function measureMatrix(
  members: Members,
  kinds: Pair,
  options: MatrixOptions,
): Promise<readonly Cell[]> {
  const { sites, mostMs, width, wanted = () => true } = options;
  const nats = await NatNetwork.create(members.network);
  await members.key();
  const stand = async (side: 0 | 1, site: SiteKind): Promise<Client> => {
    const name = `${side === 0 ? 'left' : 'right'}-${site}`;
    return join(members, kinds[side], site, name, await nats.site(site, name));
  };
  const left = await inTurn(width, sites, (site) => stand(0, site));
  const right = await inTurn(width, sites, (site) => stand(1, site));
  const cells: Cell[] = [];
  for (const round of rounds(sites.length)) {
    const asked = round.filter(([i, j]) => wanted(must(sites[i]), must(sites[j])));
    cells.push(
      ...(await inTurn(width, asked, async ([i, j]) => ({
        from: must(sites[i]),
        to: must(sites[j]),
        ...(await reach(must(left[i]), await must(right[j]).ip4(), mostMs)),
      }))),
    );
  }
  if (options.carriers)
    for (const place of ['carrier', 'hairpin'] as const)
      cells.push(await behindOne(members, kinds, nats, place, mostMs));
  return cells;
}

async function behindOne(
  members: Members,
  kinds: Pair,
  nats: NatNetwork,
  place: 'carrier' | 'hairpin',
  mostMs: number,
): Promise<Cell> {
  const names = [`one-${place}`, `other-${place}`] as const;
  const [one, other] = await nats.carrier(place === 'hairpin', ...names);
  const from = await join(members, kinds[0], 'double', names[0], must(one));
  const to = await join(members, kinds[1], 'double', names[1], must(other));
  return { from: place, to: place, ...(await reach(from, await to.ip4(), mostMs)) };
}

async function join(
  members: Members,
  kind: Pair[number],
  site: SiteKind,
  name: string,
  station: Station,
): Promise<Client> {
  const loginServer = loginServerFor(site, members.mesh.server.url);
  return members.joined(kind, name, station, { loginServer });
}

/** All pairs of two lists of `count`, in `count` groups of which none has a member twice. */
export function* rounds(count: number): Generator<readonly (readonly [number, number])[]> {
  for (let round = 0; round < count; round++)
    yield Array.from({ length: count }, (_, i) => [i, (i + round) % count] as const);
}

/** In order, at most `width` at a time. */
async function inTurn<T, R>(
  width: number,
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(must(items[at]));
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}
