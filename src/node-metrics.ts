/** Numbers of a node for a monitoring system; `postern debug metrics` prints them. */

import type { Exposition, Metric } from './control/metrics/metrics.ts';
import { exposition } from './control/metrics/metrics.ts';
import type { MeshNode } from './node.ts';

export function nodeMetrics(node: MeshNode): Exposition {
  const { tunnel, paths, relays, names } = node.rooms;
  const metrics: readonly Metric[] = [
    {
      name: 'node_peers',
      help: 'Peers of the map.',
      type: 'gauge',
      read: () => node.peers.size,
    },
    {
      name: 'node_peers_active',
      help: 'Peers with a slot in the data plane.',
      type: 'gauge',
      read: async () => (await tunnel.report()).activePeers,
    },
    {
      name: 'node_packets_total',
      help: 'Packets of the tunnel.',
      type: 'counter',
      label: 'way',
      read: async () => {
        const { packetsSent, packetsReceived } = await tunnel.report();
        return { sent: packetsSent, received: packetsReceived };
      },
    },
    {
      name: 'node_drops_total',
      help: 'Packets dropped, by reason.',
      type: 'counter',
      label: 'reason',
      read: async () => ({ ...(await tunnel.report()).drops }) as Record<string, number>,
    },
    {
      name: 'node_handshakes_total',
      help: 'Handshakes, by outcome.',
      type: 'counter',
      label: 'outcome',
      read: async () => (await tunnel.report()).handshakes,
    },
    {
      name: 'node_paths_total',
      help: 'What happened on the way to finding paths.',
      type: 'counter',
      label: 'what',
      read: () => paths.counters(),
    },
    {
      name: 'node_relay_total',
      help: 'Packets and connections of the relay link.',
      type: 'counter',
      label: 'what',
      read: () => {
        const { packetsIn, packetsOut, joined, lost, droppedFull } = relays.counters();
        return { packetsIn, packetsOut, joined, lost, droppedFull };
      },
    },
    {
      name: 'node_names_total',
      help: 'Questions for names, by what became of them.',
      type: 'counter',
      label: 'what',
      read: () => names.status().counters,
    },
  ];
  return exposition(metrics);
}
