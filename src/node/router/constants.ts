/**
 * Numbers that the router puts into the kernel, beside those of others:
 *
 *                  ours                     tailscaled             wg-quick
 *     mark         0x50000000/0xff000000    0x80000/0xff0000       the port, 51820 = 0xca6c
 *     table        5200                     52                     the port, 51820
 *     priorities   5200 to 5202             5210 to 5270           just before the first that is there
 *
 * Our rules come before tailscaled's, whose table holds fd7a:115c:a1e0::/48 as a whole. Where wg-quick starts
 * after us, the kernel puts its rules before ours (routes.ts).
 */

import type { Prefix } from '../../base/prefix.ts';
import { parsePrefix } from '../../base/prefix.ts';
import type { Mark } from './ports.ts';

/** On every packet that we send beside the tunnel: WireGuard, disco, relay and control connections. */
export const OWN_MARK: Mark = { value: 0x50000000, mask: 0xff000000 };

export const ROUTE_TABLE = 5200;

export const FIRST_PRIORITY = 5200;

export const NFT_TABLE = 'postern';

export const MAIN_TABLE = 254;

/** From where a mesh of Tailscale's protocol gives addresses. */
export const MESH_RANGES: readonly Prefix[] = ['100.64.0.0/10', 'fd7a:115c:a1e0::/48'].map(
  (text) => parsePrefix(text) as Prefix,
);
