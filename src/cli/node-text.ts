/** Nodes as text for a person: a table of all, or all of one. */

import type { DeviceReport, NodeDetail, NodeReport } from '../protocol/localapi/control-reports.ts';
import { columns, facts, harmless, list, relative } from './columns.ts';

export const nodesText = (nodes: readonly NodeReport[], now: number): string =>
  columns([
    ['ID', 'NAME', 'OWNER', 'ADDRESS', 'STATE', 'SEEN', 'KEY EXPIRES', 'VERSION'],
    ...nodes.map((node) => [
      String(node.id),
      node.name,
      ownerOf(node),
      node.addresses[0] ?? '-',
      stateOf(node),
      node.online ? 'now' : relative(node.lastSeen, now, 'never'),
      relative(node.keyExpires, now, 'never'),
      shortVersion(node.version),
    ]),
  ]);

export function nodeText(node: NodeDetail, now: number): string {
  const { routes, devices } = node;
  const pending = routes.announced.filter((prefix) => !routes.approved.includes(prefix));
  return [
    `${harmless(node.fqdn)}: ${stateOf(node)}\n`,
    facts([
      ['id', `${node.id} (${node.stableId})`],
      ['owner', ownerOf(node)],
      ['addresses', list(node.addresses)],
      ['host name', node.hostname],
      ['seen', node.online ? 'now' : relative(node.lastSeen, now, 'never')],
      ['key', expiryText(node, now)],
      ['joined', `${relative(node.created, now, '-')} by ${joinedBy(node)}`],
      ['version', [node.version, node.os].filter((text) => text !== '').join(', ')],
      ['relay', node.homeDerp === 0 ? '' : `region ${node.homeDerp}`],
      ['endpoints', list(node.endpoints, '')],
      ['routes', list(routes.approved, '')],
      ['primary for', list(routes.primary, '')],
      ['not approved', list(pending, '')],
      ['node key', node.nodeKey],
      ['machine', node.machineKey],
    ]),
    ...(devices.length === 0 ? [] : ['\n', devicesText(devices)]),
  ].join('');
}

export const expiryText = ({ keyExpires, expired }: NodeReport, now: number): string =>
  keyExpires === null
    ? 'its key does not expire'
    : `its key ${expired ? 'expired' : 'expires'} ${relative(keyExpires, now, 'never')}`;

const devicesText = (devices: readonly DeviceReport[]): string =>
  columns([
    ['DEVICE', 'KIND', 'ADDRESS', 'SSH', 'MODE', 'STATE'],
    ...devices.map(({ fqdn, kind, addresses, sshPort, mode, shared }) => [
      fqdn,
      kind,
      addresses[0] ?? '-',
      String(sshPort),
      mode,
      shared ? 'shared' : 'withdrawn',
    ]),
  ]);

export const ownerOf = ({ user, tags }: Pick<NodeReport, 'user' | 'tags'>): string =>
  user ?? list(tags);

function stateOf({ online, expired, ephemeral }: NodeReport): string {
  const state = expired ? 'expired' : online ? 'online' : 'offline';
  return ephemeral ? `${state}, ephemeral` : state;
}

const joinedBy = ({ authKey }: NodeDetail): string =>
  authKey === null ? 'a login' : `key ${authKey}`;

/** Without the commit that clients put behind it. */
const shortVersion = (version: string): string => version.split('-')[0] || '-';
