/**
 * Which of a node's prefixes count: those that it announces and that somebody allowed.
 *
 *     announced ∩ approved          never a prefix of the mesh itself: its addresses are given, not announced
 *     0.0.0.0/0 and ::/0            the exit pair, approved together
 */

import { formatPrefix, parsePrefix } from '../../base/prefix.ts';
import { touchesMesh } from './addresses.ts';
import type { MeshNode } from './model.ts';

/** A node may announce this many; the rest is not looked at. */
export const MAX_ROUTES = 512;

export const EXIT_ROUTES: readonly string[] = ['0.0.0.0/0', '::/0'];

export const isExitRoute = (prefix: string): boolean => EXIT_ROUTES.includes(prefix);

/** The prefixes that peers route to this node, in the order in which it announces them. */
export function effectiveRoutes(node: Pick<MeshNode, 'announced' | 'approved'>): readonly string[] {
  if (node.announced.length === 0 || node.approved.length === 0) return [];
  return node.announced.filter((prefix) => node.approved.includes(prefix));
}

/** Canonical texts, sorted, each once; what is no prefix is left out. */
export function canonicalRoutes(texts: readonly string[]): readonly string[] {
  const known = texts.slice(0, MAX_ROUTES).flatMap((text) => {
    const prefix = parsePrefix(text);
    return prefix === undefined ? [] : [formatPrefix(prefix)];
  });
  return [...new Set(known)].sort();
}

/** Whether a canonical prefix may be routed to a node at all. */
export function isRoutable(text: string): boolean {
  const prefix = parsePrefix(text);
  return prefix !== undefined && !touchesMesh(prefix);
}
