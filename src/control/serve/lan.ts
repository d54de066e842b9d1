/**
 * `PUT /machine/lan`: a node of ours reports all the devices that it shares; what is not in the list is withdrawn.
 *
 *     { "nodeKey": "nodekey:…", "devices": [ { "id", "kind", "name", "sshPort", "mode", "publicKey"?, "owner"? } ] }
 *     200 { "devices": [ { "id", "name": "cam.mesh.internal", "ip4", "ip6" } ] }     as they are to be reached
 *     400, 401, 409 { "Error" }                                                      and nothing has changed
 *
 * `nodeKey` may be left out where the machine is one node alone. What makes a device a good one is the registry's
 * to say (registry/lan.ts).
 */

import { NetError } from '../../base/errors.ts';
import type { NodeKeyText } from '../../protocol/tailcfg/keys.ts';
import { isKeyText } from '../../protocol/tailcfg/keys.ts';
import type { Shape } from '../../protocol/tailcfg/shape.ts';
import { leaf, list, maybe, object, oneOf, text, whole } from '../../protocol/tailcfg/shape.ts';
import { MAX_REQUEST_BYTES, read } from '../../protocol/tailcfg/validate.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import type { Refused } from '../registry/change.ts';
import type { SharedDevice } from '../registry/lan.ts';
import { MAX_SHARED, shareDevices } from '../registry/lan.ts';
import type { DeviceMode, LanDevice, MeshNode } from '../registry/model.ts';
import type { Exchange } from './exchange.ts';
import { actor, nodeOf, nodesOf } from './members.ts';
import type { Tally } from './tally.ts';

interface ReportedDevice {
  readonly id: string;
  readonly kind: 'lan' | 'wireguard';
  readonly name: string;
  readonly sshPort: number;
  readonly mode: DeviceMode;
  readonly publicKey?: NodeKeyText;
  readonly owner?: string;
}

export interface LanReport {
  readonly nodeKey?: NodeKeyText;
  readonly devices: readonly ReportedDevice[];
}

const nodeKey: Shape<NodeKeyText> = leaf<NodeKeyText>(
  'a nodekey:',
  (value) => typeof value === 'string' && isKeyText(value, 'nodekey:'),
);

export const LAN_REPORT: Shape<LanReport> = object<LanReport>({
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
    }),
    MAX_SHARED,
  ),
});

export interface LanHost {
  readonly coordinator: Coordinator;
  readonly tally: Tally;
}

export async function handleLan(host: LanHost, exchange: Exchange): Promise<void> {
  const body = await exchange.body();
  if (body === undefined) return;
  const report = read('LanReport', LAN_REPORT, body, MAX_REQUEST_BYTES);
  if ('reason' in report) {
    exchange.refuse(report.reason, 400, { detail: report.detail, text: report.detail });
    return;
  }
  const node = reporter(host, exchange, report.value);
  if (node === undefined) return;
  const devices = report.value.devices.map(
    (device): SharedDevice => ({
      ...device,
      publicKey: device.publicKey ?? null,
      owner: device.owner ?? null,
    }),
  );
  try {
    const outcome = await host.coordinator.change(
      actor(exchange.session, node.name),
      (model, context) => shareDevices(model, { node: node.id, devices }, context),
    );
    if (!outcome.ok) return sayRefused(exchange, outcome);
    host.tally.count('lan: report');
    const { baseDomain } = host.coordinator.network.model.settings;
    exchange.json(200, { devices: outcome.result.map((device) => allotted(device, baseDomain)) });
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    exchange.refuse('request: store failed', 503, { text: error.message });
  }
}

/** The node that the report is of; undefined where it has been refused. */
function reporter(
  { coordinator }: LanHost,
  exchange: Exchange,
  report: LanReport,
): MeshNode | undefined {
  const { network } = coordinator;
  const { machine } = exchange.session;
  const mine = nodesOf(network, machine);
  const named = report.nodeKey && nodeOf(network, machine, report.nodeKey);
  const node = report.nodeKey === undefined ? mine[0] : mine.find((one) => one === named);
  if (node === undefined) {
    exchange.refuse('request: not a member', 401, { text: 'this machine is no member' });
    return undefined;
  }
  if (report.nodeKey === undefined && mine.length > 1) {
    exchange.refuse('lan: refused', 409, {
      text: 'this machine is several nodes: nodeKey must name the one',
    });
    return undefined;
  }
  return node;
}

function sayRefused(exchange: Exchange, { code, reason }: Refused): void {
  const status = code === 'bad request' ? 400 : code === 'not found' ? 401 : 409;
  exchange.refuse('lan: refused', status, { detail: code, text: reason });
}

const allotted = ({ id, name, ip4, ip6 }: LanDevice, baseDomain: string): object => ({
  id,
  name: `${name}.${baseDomain}`,
  ip4,
  ip6,
});
