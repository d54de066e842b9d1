/**
 * `PUT /machine/lan`: a node of ours reports all the devices that it shares; what is not in the list is withdrawn.
 * The words of both sides are in protocol/tailcfg/lan.ts; what makes a device a good one is the registry's to say
 * (registry/lan.ts).
 */

import { NetError } from '../../base/errors.ts';
import type { AllottedDevice, LanReport } from '../../protocol/tailcfg/lan.ts';
import { readLanReport } from '../../protocol/tailcfg/lan.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import type { Refused } from '../registry/change.ts';
import type { SharedDevice } from '../registry/lan.ts';
import { shareDevices } from '../registry/lan.ts';
import type { LanDevice, MeshNode } from '../registry/model.ts';
import type { Exchange } from './exchange.ts';
import { actor, nodeOf, nodesOf } from './members.ts';
import type { Tally } from './tally.ts';

export interface LanHost {
  readonly coordinator: Coordinator;
  readonly tally: Tally;
}

export async function handleLan(host: LanHost, exchange: Exchange): Promise<void> {
  const body = await exchange.body();
  if (body === undefined) return;
  const report = readLanReport(body);
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

const allotted = ({ id, name, ip4, ip6 }: LanDevice, baseDomain: string): AllottedDevice => ({
  id,
  name: `${name}.${baseDomain}`,
  ip4,
  ip6,
});
