/**
 * LAN devices over the records of ts2021: what a node of ours shares, and as what it is to be reached. An
 * addition of our own; a server without it answers 404 or 501.
 *
 *     PUT /machine/lan
 *     { "nodeKey": "nodekey:…", "devices": [ { "id", "kind", "name", "sshPort", "mode", "publicKey"?, "owner"? } ] }
 *     200 { "devices": [ { "id", "name": "cam.mesh.internal", "ip4", "ip6" } ] }     as they are to be reached
 *     400, 401, 409 { "Error" }                                                      and nothing has changed
 *
 * A report is the whole list: what is not in it is withdrawn. An id stands for one thing for ever, and keeps its
 * addresses. `nodeKey` may be left out where the machine is one node alone.
 */

import { isAddress } from './formats.ts';
import type { NodeKeyText } from './keys.ts';
import { isKeyText } from './keys.ts';
import type { Shape } from './shape.ts';
import { leaf, list, maybe, object, oneOf, text, whole } from './shape.ts';
import type { Read } from './validate.ts';
import { MAX_REQUEST_BYTES, read } from './validate.ts';

/** What one report may name; a home has fewer things with an SSH port. */
export const MAX_REPORTED = 256;

export type DeviceMode = 'route' | 'gateway';

export interface ReportedDevice {
  readonly id: string;
  readonly kind: 'lan' | 'wireguard';
  readonly name: string;
  readonly sshPort: number;
  readonly mode: DeviceMode;
  /** Of a WireGuard device. */
  readonly publicKey?: NodeKeyText;
  /** Whose it is, as its node says; counts where the policy lets it. */
  readonly owner?: string;
  /** The one family by which it answers; absent: both. A name with an address of the other leads nowhere. */
  readonly family?: 4 | 6;
}

export interface LanReport {
  readonly nodeKey?: NodeKeyText;
  readonly devices: readonly ReportedDevice[];
}

export interface AllottedDevice {
  readonly id: string;
  /** In full, without a dot at the end. */
  readonly name: string;
  readonly ip4: string;
  readonly ip6: string;
}

export interface LanAnswer {
  readonly devices: readonly AllottedDevice[];
}

const nodeKey: Shape<NodeKeyText> = leaf<NodeKeyText>(
  'a nodekey:',
  (value) => typeof value === 'string' && isKeyText(value, 'nodekey:'),
);

const LAN_REPORT: Shape<LanReport> = object<LanReport>({
  nodeKey: maybe(nodeKey),
  devices: list(
    object<ReportedDevice>({
      id: text(64),
      kind: oneOf('lan', 'wireguard'),
      name: text(256),
      sshPort: whole(1, 65_535),
      mode: oneOf<DeviceMode>('route', 'gateway'),
      publicKey: maybe(nodeKey),
      owner: maybe(text(320)),
      family: maybe(leaf<4 | 6>('4 or 6', (value) => value === 4 || value === 6)),
    }),
    MAX_REPORTED,
  ),
});

const LAN_ANSWER: Shape<LanAnswer> = object<LanAnswer>({
  devices: list(
    object<AllottedDevice>({
      id: text(64),
      name: text(254),
      ip4: text(15, 'an IPv4 address', (one) => isAddress(one) && !one.includes(':')),
      ip6: text(45, 'an IPv6 address', (one) => isAddress(one) && one.includes(':')),
    }),
    MAX_REPORTED,
  ),
});

/** For a server: what a node says. */
export function readLanReport(body: Uint8Array): Read<LanReport> {
  return read('LanReport', LAN_REPORT, body, MAX_REQUEST_BYTES);
}

/** For a node: the answer of its server. */
export function readLanAnswer(body: Uint8Array): Read<LanAnswer> {
  return read('LanAnswer', LAN_ANSWER, body, MAX_REQUEST_BYTES);
}
