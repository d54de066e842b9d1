/**
 * LAN devices, the server's half: a node says what it shares, and each thing gets a name and one address of
 * each family that stay its own for as long as its node is a member.
 *
 *     not known ──shared──> name, addresses ──left out──> withdrawn (keeps both) ──shared again──> as it was
 *
 * The node chooses what it shares, not whose it is: the owner that it names counts only where the policy says
 * so, or it would let a node speak for any user. One report is taken whole or not at all.
 */

import type { NodeKeyText } from '../../protocol/tailcfg/keys.ts';
import { isKeyText, isNoKey } from '../../protocol/tailcfg/keys.ts';
import { allotted } from './addresses.ts';
import type { Context, Outcome, Refused } from './change.ts';
import { done, refused, unchanged } from './change.ts';
import { putDevice } from './edit.ts';
import type { DeviceMode, LanDevice, MeshNode, Model, NodeId } from './model.ts';
import { deviceHolder, deviceKey, devicesOf } from './model.ts';
import { freeName, sanitisedName } from './names.ts';
import { missing, nodeText } from './nodes.ts';

/** What one node shares at once; a home has fewer things with an SSH port. */
export const MAX_SHARED = 256;
/** With those withdrawn, whose addresses are still theirs: a bound on what one node takes of the pool. */
export const MAX_DEVICES = 1024;

const DEVICE_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;

/** One thing as its node reports it. */
export interface SharedDevice {
  readonly id: string;
  readonly kind: 'lan' | 'wireguard';
  readonly name: string;
  readonly sshPort: number;
  readonly mode: DeviceMode;
  readonly publicKey: NodeKeyText | null;
  readonly owner: string | null;
  readonly family?: 4 | 6;
}

/** All that a node shares from now on; what is not in the list is withdrawn. */
export function shareDevices(
  model: Model,
  request: { readonly node: NodeId; readonly devices: readonly SharedDevice[] },
  context: Context,
): Outcome<readonly LanDevice[]> {
  const node = model.nodes.get(request.node);
  if (node === undefined) return missing(request.node);
  const fault = reportFault(model, node, request.devices);
  if (fault !== undefined) return fault;
  const before = devicesOf(model, node.id);
  let next = model;
  for (const shared of request.devices) {
    const after = deviceShared(next, node, shared, context);
    if (after === undefined)
      return refused('full', `no address is free in ${model.settings.pool} for ${shared.id}`);
    next = after;
  }
  const named = new Set(request.devices.map(({ id }) => id));
  for (const device of before)
    if (device.shared && !named.has(device.id))
      next = putDevice(next, { ...device, shared: false });
  const after = devicesOf(next, node.id);
  const result = after.filter(({ shared }) => shared);
  if (next === model) return unchanged(model, result);
  return done(
    next,
    context,
    [{ type: 'devices changed', node: node.id }],
    {
      action: 'lan.share',
      target: nodeText(node),
      before: before.filter((device) => !after.includes(device)),
      after: after.filter((device) => !before.includes(device)),
    },
    result,
  );
}

/** The model with the device as it is shared now; undefined where there is no address for a new one. */
function deviceShared(
  model: Model,
  node: MeshNode,
  shared: SharedDevice,
  context: Context,
): Model | undefined {
  const key = deviceKey(node.id, shared.id);
  const old = model.devices.get(key);
  const reported = {
    kind: shared.kind,
    hostname: shared.name,
    sshPort: shared.sshPort,
    mode: shared.mode,
    publicKey: shared.publicKey,
    claimedOwner: shared.owner,
    ...(shared.family !== undefined && { family: shared.family }),
    shared: true,
  };
  if (old !== undefined) {
    const label = sanitisedName(shared.name);
    const name =
      label === sanitisedName(old.hostname) ? old.name : freeName(model, label, deviceHolder(key));
    const { family: _before, ...kept } = old;
    const device = { ...kept, ...reported, name };
    return sameDevice(old, device) ? model : putDevice(model, device);
  }
  const given = allotted(model, context);
  if (given === undefined) return undefined;
  const { ip4, ip6 } = given;
  const name = freeName(model, sanitisedName(shared.name), deviceHolder(key));
  return putDevice(given.model, { node: node.id, id: shared.id, name, ip4, ip6, ...reported });
}

function reportFault(
  model: Model,
  node: MeshNode,
  devices: readonly SharedDevice[],
): Refused | undefined {
  if (devices.length > MAX_SHARED)
    return refused('full', `${devices.length} devices; a node shares at most ${MAX_SHARED}`);
  const ids = new Set(devices.map(({ id }) => id));
  if (ids.size !== devices.length) return refused('bad request', 'an id stands twice in the list');
  const known = new Set(devicesOf(model, node.id).map(({ id }) => id));
  if (known.union(ids).size > MAX_DEVICES)
    return refused('full', `this node has had ${known.size} devices; ${MAX_DEVICES} are the most`);
  return devices.map(deviceFault).find((fault) => fault !== undefined);
}

function deviceFault({
  id,
  kind,
  name,
  sshPort,
  mode,
  publicKey,
  owner,
}: SharedDevice): Refused | undefined {
  if (!DEVICE_ID.test(id)) return refused('bad request', `'${id.slice(0, 64)}' is no device id`);
  if (name.length > 256 || (owner?.length ?? 0) > 320)
    return refused('bad request', `device ${id}: the name or owner is too long`);
  if (!Number.isInteger(sshPort) || sshPort < 1 || sshPort > 65_535)
    return refused('bad request', `device ${id}: ${sshPort} is no port`);
  if (mode !== 'route' && mode !== 'gateway')
    return refused('bad request', `device ${id}: the mode is route or gateway`);
  switch (kind) {
    case 'lan':
      return publicKey === null
        ? undefined
        : refused('bad request', `device ${id}: a LAN device has no key`);
    case 'wireguard':
      return publicKey !== null && isKeyText(publicKey, 'nodekey:') && !isNoKey(publicKey)
        ? undefined
        : refused('bad request', `device ${id}: a WireGuard device needs its public key`);
    default:
      return refused('bad request', `device ${id}: the kind is lan or wireguard`);
  }
}

const sameDevice = (a: LanDevice, b: LanDevice): boolean =>
  a.family === b.family &&
  (Object.keys(b) as (keyof LanDevice)[]).every((field) => a[field] === b[field]);
