/**
 * The status of the node as one screen: who we are, who is there, which way and how fast, what is wrong and what
 * to do about it.
 */

import type {
  NodeStatus,
  PathReport,
  PeerStatus,
  PortReport,
} from '../protocol/localapi/node-status.ts';
import {
  bytes,
  columns,
  count,
  duration,
  facts,
  harmless,
  healthLines,
  list,
  relative,
} from './columns.ts';

/** More are a matter for --json; those in use come first. */
const PEERS_SHOWN = 20;

export interface Shown {
  readonly self: boolean;
  readonly peers: boolean;
  /** Peers in use alone. */
  readonly active: boolean;
}

export function nodeStatusText(status: NodeStatus, shown: Shown): string {
  const { health } = status.Postern;
  return [
    ...(shown.self ? [headText(status)] : []),
    ...(shown.peers ? [peersText(status, shown.active)] : []),
    `${healthLines(health).join('\n')}\n`,
  ]
    .filter((part) => part !== '')
    .join('\n');
}

export const portsText = (ports: readonly PortReport[]): string =>
  ports.length === 0
    ? 'open ports: none\n'
    : columns([
        ['PORT', 'ADDRESS', 'ANSWERS', 'WHAT'],
        ...ports.map(({ protocol, port, address, answers, what }) => [
          `${port}/${protocol}`,
          address,
          { anyone: 'anyone', members: 'members alone', machine: 'this machine alone' }[answers],
          what,
        ]),
      ]);

function headText(status: NodeStatus): string {
  const { Self, TailscaleIPs, Postern } = status;
  const name = Self.DNSName.replace(/\.$/, '') || Self.HostName || 'this machine';
  const addresses = TailscaleIPs.length === 0 ? '' : ` (${TailscaleIPs.join(', ')})`;
  const { relay, settings } = Postern;
  const latency = relay?.latencyMillis == null ? '' : `, ${millisText(relay.latencyMillis)}`;
  return [
    `${harmless(name)}${addresses}: ${stateText(status)}\n`,
    facts([
      ['owner', Self.ID === '' ? '' : ownerOf(status, Self)],
      ['server', serverText(status)],
      ['key', keyText(status)],
      ['relay', relay === null ? '' : `${relay.code} (${relay.name})${latency}`],
      ['offers', offersText(status)],
      ['exit node', exitNodeText(status)],
      ['shields', settings.shieldsUp ? 'up: nobody is let in' : ''],
    ]),
  ].join('');
}

function stateText({ BackendState, AuthURL, Postern }: NodeStatus): string {
  switch (BackendState) {
    case 'Running':
      return `running for ${duration(Math.floor(Postern.uptimeSeconds))}`;
    case 'Starting':
      return 'starting';
    case 'Stopped':
      return 'down; join with: postern up';
    case 'NeedsMachineAuth':
      return 'waits for an admin of the network to let it in';
    case 'NeedsLogin':
    case 'NoState':
      return loginText(AuthURL, Postern);
  }
}

function loginText(url: string, { settings, control }: NodeStatus['Postern']): string {
  if (url !== '') return `to let this machine in, visit ${harmless(url)}`;
  const asking = settings.wanted && control.url !== '' && control.heard === null;
  return asking
    ? 'no login yet: the server does not answer'
    : 'logged out; log in with: postern up';
}

function serverText({ Postern: { control, now } }: NodeStatus): string {
  const { url, connected, heard, fromCache } = control;
  if (url === '') return '';
  if (connected) return `${url}, connected`;
  const cached = fromCache ? '; the map is that of the last run' : '';
  return `${url}, away (heard ${relative(heard, Date.parse(now), 'never')})${cached}`;
}

function keyText({ Postern: { key, now }, HaveNodeKey }: NodeStatus): string {
  if (!HaveNodeKey || key.publicKey === null) return '';
  const at = Date.parse(now);
  const past = key.expires !== null && Date.parse(key.expires) <= at;
  const expiry =
    key.expires === null
      ? 'never expires'
      : `${past ? 'expired' : 'expires'} ${relative(key.expires, at, '')}`;
  return key.rotates === null || past
    ? expiry
    : `${expiry}, a new one ${relative(key.rotates, at, '')}`;
}

/** What is offered, and what of it the others are told to use. */
function offersText({ Self, Postern: { settings } }: NodeStatus): string {
  const { advertiseRoutes, advertiseExitNode } = settings;
  const used = [...(Self.PrimaryRoutes ?? []), ...(Self.AllowedIPs ?? [])];
  const routes = advertiseRoutes.map((route) =>
    used.includes(route) ? route : `${route} (not approved)`,
  );
  const exit = Self.ExitNodeOption ? 'exit node' : 'exit node (not approved)';
  return list([...routes, ...(advertiseExitNode ? [exit] : [])], '');
}

function exitNodeText({ Peer, Postern: { settings } }: NodeStatus): string {
  if (settings.exitNode === '') return '';
  const peer = Object.values(Peer).find(({ ExitNode }) => ExitNode);
  if (peer === undefined) return `${settings.exitNode}, which is not there`;
  return `${peer.DNSName.replace(/\.$/, '')}${peer.Online ? '' : ', which is offline'}`;
}

function peersText(status: NodeStatus, active: boolean): string {
  const { Peer, Postern } = status;
  const peers = Object.values(Peer)
    .filter((peer) => !active || peer.Active)
    .sort(inUseFirst);
  if (peers.length === 0) return active ? 'no peer is in use\n' : 'no peers yet\n';
  const now = Date.parse(Postern.now);
  const more = peers.length - PEERS_SHOWN;
  const table = columns([
    ['ADDRESS', 'NAME', 'OWNER', 'OS', 'PATH', 'RTT', 'RECEIVED', 'SENT', 'SPEED'],
    ...peers.slice(0, PEERS_SHOWN).map((peer) => peerRow(status, peer, now)),
  ]);
  return more > 0 ? `${table}and ${count(more)} more: --json shows all\n` : table;
}

function inUseFirst(a: PeerStatus, b: PeerStatus): number {
  const rank = ({ Active, Online }: PeerStatus): number => (Active ? 0 : Online ? 1 : 2);
  return rank(a) - rank(b) || nameOf(a).localeCompare(nameOf(b));
}

function peerRow(status: NodeStatus, peer: PeerStatus, now: number): string[] {
  const path = status.Postern.paths[peer.PublicKey];
  const latency = path?.latencyMillis;
  return [
    peer.TailscaleIPs[0] ?? '-',
    nameOf(peer),
    ownerOf(status, peer),
    peer.OS || '-',
    `${pathText(peer, path, now)}${roleText(peer)}`,
    latency == null ? '-' : millisText(latency),
    bytes(peer.RxBytes),
    bytes(peer.TxBytes),
    path === undefined ? '-' : speedText(path),
  ];
}

function pathText(peer: PeerStatus, path: PathReport | undefined, now: number): string {
  if (peer.Expired) return 'its key has expired';
  if (path !== undefined && peer.Active) {
    if (path.kind === 'direct') return `direct ${path.via}`;
    if (path.kind === 'relay') return `relay ${path.via}`;
    return 'searching';
  }
  if (peer.Online) return 'idle';
  const seen = peer.LastSeen.startsWith('0001') ? null : peer.LastSeen;
  return `offline${seen === null ? '' : `, seen ${relative(seen, now, '')}`}`;
}

function roleText({ ExitNode, ExitNodeOption, PrimaryRoutes = [] }: PeerStatus): string {
  const exit = ExitNode ? '; exit node in use' : ExitNodeOption ? '; offers exit node' : '';
  return PrimaryRoutes.length === 0 ? exit : `; leads to ${PrimaryRoutes.join(', ')}${exit}`;
}

const nameOf = ({ DNSName, HostName }: PeerStatus): string => DNSName.split('.')[0] || HostName;

function ownerOf({ User }: NodeStatus, { Tags = [], UserID }: PeerStatus): string {
  if (Tags.length > 0) return list(Tags);
  return User[String(UserID)]?.LoginName ?? '-';
}

const millisText = (millis: number): string =>
  `${millis < 10 ? millis.toFixed(1) : Math.round(millis)} ms`;

/** The greater direction; a trickle is no speed. */
function speedText({ rxBps, txBps }: PathReport): string {
  const most = Math.max(rxBps, txBps);
  if (most < 1000) return '-';
  const units = ['kbit/s', 'Mbit/s', 'Gbit/s'];
  const rank = Math.min(units.length - 1, Math.floor(Math.log10(most) / 3) - 1);
  return `${(most / 1000 ** (rank + 1)).toFixed(1)} ${units[rank]} ${rxBps >= txBps ? 'in' : 'out'}`;
}
