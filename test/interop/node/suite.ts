/**
 * Scenarios of two (or more) members of a network, each of which may be our node or a stock client.
 *
 *     nodeTest('ping: ...', PAIRS, {}, async (t, { a, b, mesh }) => { ... });
 *
 *     PAIRS     ours-stock, stock-ours, ours-ours: `a` acts, `b` is acted on
 *     ALONE     ours: one member under test, and what else the scenario makes itself
 *
 * With POSTERN_NODE_UNDER_TEST=stock each of these is stock-stock, once: that run judges the scenarios.
 */

import type { Test } from 'tap';
import type { Client } from '../control/client.ts';
import type { Mesh } from '../control/mesh.ts';
import type { MeshOptions } from '../control/suite.ts';
import { meshTest } from '../control/suite.ts';
import type { Pair } from './members.ts';
import { Members } from './members.ts';
import { UNDER_TEST } from './ours.ts';

/** Without repetition where stock stands in for ours. */
const distinct = (pairs: readonly Pair[]): readonly Pair[] => [
  ...new Map(pairs.map((pair) => [pair.join(), pair])).values(),
];

export const PAIRS: readonly Pair[] = distinct([
  [UNDER_TEST, 'stock'],
  ['stock', UNDER_TEST],
  [UNDER_TEST, UNDER_TEST],
]);
/** Where the two directions are one scenario, or the second member is only there to look on. */
export const ONE_WAY: readonly Pair[] = distinct([[UNDER_TEST, 'stock']]);
export const OTHER_WAY: readonly Pair[] = distinct([['stock', UNDER_TEST]]);

export interface Scene {
  readonly a: Client;
  readonly b: Client;
  readonly kinds: Pair;
  readonly mesh: Mesh;
  readonly members: Members;
}

/** Each verb of ours is a program of its own, and started from source it takes its time. */
const TIMEOUT_MS = 120_000;

/** The scenario once for each pair, both Running as alice's, at the hub. */
export function nodeTest(
  name: string,
  pairs: readonly Pair[],
  options: MeshOptions,
  body: (t: Test, scene: Scene) => Promise<void>,
): void {
  for (const kinds of pairs)
    meshTest(
      `${kinds.join(' to ')}: ${name}`,
      { timeoutMs: TIMEOUT_MS, ...options },
      async (t, mesh) => {
        const members = new Members(mesh);
        await members.key();
        const [a, b] = await Promise.all([
          members.joined(kinds[0], 'a'),
          members.joined(kinds[1], 'b'),
        ]);
        await body(t, { a, b, kinds, mesh, members });
      },
    );
}

/** The same where the scenario makes its members itself. */
export function membersTest(
  name: string,
  pairs: readonly Pair[],
  options: MeshOptions,
  body: (t: Test, members: Members, kinds: Pair) => Promise<void>,
): void {
  for (const kinds of pairs)
    meshTest(
      `${kinds.join(' to ')}: ${name}`,
      { timeoutMs: TIMEOUT_MS, ...options },
      async (t, mesh) => body(t, new Members(mesh), kinds),
    );
}
