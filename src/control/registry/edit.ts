/**
 * How tables of the model are written: each function puts or drops one thing together with all that is
 * indexed by it. Nothing else writes a table or an index, so that the two cannot disagree.
 */

import type {
  AuthKey,
  AuthKeyId,
  ExtraRecord,
  Index,
  LanDevice,
  MeshNode,
  Model,
  NodeId,
  User,
  UserId,
} from './model.ts';
import { deviceHolder, deviceKey, nodeHolder, RECORD_HOLDER, recordKey } from './model.ts';
import type { Key, PersistentMap } from './persistent-map.ts';

export function putUser(model: Model, user: User): Model {
  const old = model.users.get(user.id);
  return indexed(
    { ...model, users: model.users.set(user.id, user) },
    { userByLogin: moved(model.index.userByLogin, old?.login, user.login, user.id) },
  );
}

export function dropUser(model: Model, id: UserId): Model {
  const old = model.users.get(id);
  return indexed(
    { ...model, users: model.users.delete(id) },
    { userByLogin: moved(model.index.userByLogin, old?.login, undefined, id) },
  );
}

export function putNode(model: Model, node: MeshNode): Model {
  const old = model.nodes.get(node.id);
  if (old === node) return model;
  const holder = nodeHolder(node.id);
  const { index } = model;
  return indexed(
    { ...model, nodes: model.nodes.set(node.id, node) },
    {
      nodeByKey: moved(index.nodeByKey, old?.nodeKey, node.nodeKey, node.id),
      nodesByMachine:
        old === undefined
          ? listed(index.nodesByMachine, node.machine, node.id)
          : index.nodesByMachine,
      labels: moved(index.labels, old?.name, node.name, holder),
      addresses: moved(index.addresses, old?.ip4, node.ip4, holder),
    },
  );
}

/** The node alone; its devices and addresses are the caller's matter. */
export function dropNode(model: Model, node: MeshNode): Model {
  const holder = nodeHolder(node.id);
  const { index } = model;
  return indexed(
    {
      ...model,
      nodes: model.nodes.delete(node.id),
      remembered: model.remembered.delete(node.id),
    },
    {
      nodeByKey: moved(index.nodeByKey, node.nodeKey, undefined, node.id),
      nodesByMachine: unlisted(index.nodesByMachine, node.machine, node.id),
      labels: moved(index.labels, node.name, undefined, holder),
      addresses: moved(index.addresses, node.ip4, undefined, holder),
    },
  );
}

export function putAuthKey(model: Model, key: AuthKey): Model {
  const old = model.authKeys.get(key.id);
  return indexed(
    { ...model, authKeys: model.authKeys.set(key.id, key) },
    { authKeyByPrefix: moved(model.index.authKeyByPrefix, old?.prefix, key.prefix, key.id) },
  );
}

export function dropAuthKey(model: Model, id: AuthKeyId): Model {
  const old = model.authKeys.get(id);
  return indexed(
    { ...model, authKeys: model.authKeys.delete(id) },
    { authKeyByPrefix: moved(model.index.authKeyByPrefix, old?.prefix, undefined, id) },
  );
}

export function putDevice(model: Model, device: LanDevice): Model {
  const key = deviceKey(device.node, device.id);
  const old = model.devices.get(key);
  const { index } = model;
  return indexed(
    { ...model, devices: model.devices.set(key, device) },
    {
      devicesByNode:
        old === undefined ? listed(index.devicesByNode, device.node, key) : index.devicesByNode,
      labels: moved(index.labels, old?.name, device.name, deviceHolder(key)),
      addresses: moved(index.addresses, old?.ip4, device.ip4, deviceHolder(key)),
    },
  );
}

export function dropDevice(model: Model, device: LanDevice): Model {
  const key = deviceKey(device.node, device.id);
  const { index } = model;
  return indexed(
    { ...model, devices: model.devices.delete(key) },
    {
      devicesByNode: unlisted(index.devicesByNode, device.node, key),
      labels: moved(index.labels, device.name, undefined, deviceHolder(key)),
      addresses: moved(index.addresses, device.ip4, undefined, deviceHolder(key)),
    },
  );
}

export function putRecord(model: Model, record: ExtraRecord): Model {
  const label = labelOf(record.name, model.settings.baseDomain);
  return indexed(
    { ...model, records: model.records.set(recordKey(record), record) },
    { labels: moved(model.index.labels, undefined, label, RECORD_HOLDER) },
  );
}

export function dropRecord(model: Model, record: ExtraRecord): Model {
  const records = model.records.delete(recordKey(record));
  const label = labelOf(record.name, model.settings.baseDomain);
  const still = [...records.values()].some(({ name }) => name === record.name);
  return indexed(
    { ...model, records },
    { labels: moved(model.index.labels, still ? undefined : label, undefined, RECORD_HOLDER) },
  );
}

/** The label of a name directly below the base domain; undefined for another name. */
export function labelOf(name: string, baseDomain: string): string | undefined {
  if (!name.endsWith(`.${baseDomain}`)) return undefined;
  const label = name.slice(0, -baseDomain.length - 1);
  return label.includes('.') ? undefined : label;
}

const indexed = (model: Model, index: Partial<Index>): Model => ({
  ...model,
  index: { ...model.index, ...index },
});

/** `value` under the new key instead of the old one. What another holder has since then taken stays his. */
function moved<K extends Key, V>(
  map: PersistentMap<K, V>,
  from: K | undefined,
  to: K | undefined,
  value: V,
): PersistentMap<K, V> {
  const without = from !== undefined && map.get(from) === value ? map.delete(from) : map;
  if (from === to && to !== undefined) return map.set(to, value);
  return to === undefined ? without : without.set(to, value);
}

const listed = <K extends Key, V extends NodeId | string>(
  map: PersistentMap<K, readonly V[]>,
  key: K,
  value: V,
): PersistentMap<K, readonly V[]> => map.set(key, [...(map.get(key) ?? []), value]);

function unlisted<K extends Key, V extends NodeId | string>(
  map: PersistentMap<K, readonly V[]>,
  key: K,
  value: V,
): PersistentMap<K, readonly V[]> {
  const left = (map.get(key) ?? []).filter((one) => one !== value);
  return left.length === 0 ? map.delete(key) : map.set(key, left);
}
