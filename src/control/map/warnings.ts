/**
 * What a client's user must be told by the client itself. Linux clients before 1.94 drop a single foreign
 * address unless they accept routes, and a LAN device is one; whether they do is nothing that they say.
 *
 * Source: reference/protocol.md 00 and 3.6.
 */

import type { DisplayMessage } from '../../protocol/tailcfg/map-types.ts';

/** 1.92 and 1.94 say the same number; those of 1.92 are taken for newer ones rather than warn for nothing. */
export const SINGLE_ADDRESSES_SINCE = 131;

/** By name; those that are there now. */
export type Warnings = Readonly<Record<string, DisplayMessage>>;

export const NO_WARNINGS: Warnings = {};

const ACCEPT_ROUTES: Warnings = {
  'lan-accept-routes': {
    Title: 'LAN devices are not reachable',
    Text: 'This version reaches devices on the LAN of another node only with: tailscale set --accept-routes',
    Severity: 'medium',
  },
};

/** @param version the capability version of the viewer's stream */
export function warningsFor(version: number, os: string | undefined, devices: number): Warnings {
  const concerned = version < SINGLE_ADDRESSES_SINCE && os === 'linux' && devices > 0;
  return concerned ? ACCEPT_ROUTES : NO_WARNINGS;
}
