/** The status of one interface as a screen of text: what it is, its peers, what it counted, what is wrong. */

import type { InterfaceReport, PeerReport } from '../protocol/localapi/status.ts';
import { bytes, count, duration, healthLines } from './columns.ts';

/** More are a matter for --json; the ones heard of last come first. */
const PEERS_SHOWN = 20;

const COLUMN = 12;
const OFFLOADS = {
  full: 'TCP and UDP super-packets',
  tcp: 'TCP super-packets',
  plain: 'none',
} as const satisfies Record<InterfaceReport['offload']['tun'], string>;

/** @param now wall time, Unix milliseconds */
export function statusText(report: InterfaceReport, now: number): string {
  return [
    ...head(report),
    ...peers(report, now),
    '',
    ...counters(report),
    '',
    ...healthLines(report.health),
    '',
  ].join('\n');
}

function head(report: InterfaceReport): string[] {
  const { name, up, listenPort, mtuBytes, fwmark, aead, offload } = report;
  const gso = (on: boolean): string => (on ? 'on' : 'off');
  return [
    `${name}: ${up ? 'up' : 'down'}, port ${listenPort === 0 ? 'any' : listenPort}, MTU ${mtuBytes}, running for ${duration(report.uptimeSeconds)}`,
    row('public key', report.publicKey ?? '(none)'),
    row('sealed by', aead.name),
    ...aead.passedOver.map((reason) => row('', `passed over: ${reason}`)),
    row(
      'offload',
      `TUN ${offload.tun} (${OFFLOADS[offload.tun]}), UDP GSO IPv4 ${gso(offload.udp4Gso)}, IPv6 ${gso(offload.udp6Gso)}`,
    ),
    ...(fwmark === 0 ? [] : [row('mark', `0x${fwmark.toString(16)}`)]),
  ];
}

function peers(report: InterfaceReport, now: number): string[] {
  const shown = [...report.peers]
    .sort((a, b) => (b.lastHandshake ?? '').localeCompare(a.lastHandshake ?? ''))
    .slice(0, PEERS_SHOWN);
  const more = report.peers.length - shown.length;
  return [
    row('peers', `${count(report.peers.length)}, ${count(report.activePeers)} active`),
    ...shown.flatMap((peer) => ['', ...peerRows(peer, now)]),
    ...(more > 0 ? ['', `and ${count(more)} more: --json shows all`] : []),
  ];
}

function peerRows(peer: PeerReport, now: number): string[] {
  const { lastHandshake } = peer;
  const seconds =
    lastHandshake === null ? 0 : Math.max(0, Math.floor((now - Date.parse(lastHandshake)) / 1000));
  return [
    `peer ${peer.publicKey}`,
    row('endpoint', peer.endpoint ?? '(unknown)'),
    row('handshake', lastHandshake === null ? 'never' : `${duration(seconds)} ago`),
    row('transfer', `${bytes(peer.bytesReceived)} received, ${bytes(peer.bytesSent)} sent`),
    row('allowed IPs', peer.allowedIps.length === 0 ? '(none)' : peer.allowedIps.join(', ')),
    ...(peer.persistentKeepaliveSeconds === 0
      ? []
      : [row('keepalive', `every ${peer.persistentKeepaliveSeconds} s`)]),
  ];
}

function counters({ counters, activePeersMost }: InterfaceReport): string[] {
  const { refusedDatagrams, peerEvictions, flowEvictions } = counters;
  const some = (label: string, value: number, text: string): string[] =>
    value === 0 ? [] : [row(label, `${count(value)} ${text}`)];
  return [
    row('packets', `${count(counters.packetsReceived)} in, ${count(counters.packetsSent)} out`),
    ...tally('dropped', counters.drops),
    ...some('refused', refusedDatagrams, 'datagrams that the kernel did not take'),
    ...tally('handshakes', counters.handshakes),
    ...some('evicted', peerEvictions, `peers; ${count(activePeersMost)} may be active at once`),
    ...some('', flowEvictions, 'flows that the filter forgot for others'),
  ];
}

/** The most frequent first. */
function tally(label: string, counts: Readonly<Record<string, number>>): string[] {
  return Object.entries(counts)
    .filter(([, value]) => value > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, value], i) => row(i === 0 ? label : '', `${count(value)} ${reason}`));
}

const row = (label: string, text: string): string => `  ${label.padEnd(COLUMN)}${text}`;
