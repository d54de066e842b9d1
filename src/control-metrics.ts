/** Which numbers of `postern control` are shown at /metrics, and which room each is of. */

import type { Coordinator } from './control/coordinator/coordinator.ts';
import type { MapHub } from './control/map/hub.ts';
import type { Metric } from './control/metrics/metrics.ts';
import { isOnline } from './control/registry/live.ts';
import type { ControlServer } from './control/serve/server.ts';
import type { RouterProbes } from './control/upkeep/router-probes.ts';
import type { RelayRoom } from './control-relay.ts';

export interface MeasuredRooms {
  readonly coordinator: Pick<Coordinator, 'network'>;
  readonly maps: Pick<MapHub, 'counters'>;
  readonly probes: Pick<RouterProbes, 'counters'>;
  readonly server: Pick<ControlServer, 'counters' | 'gauges'>;
  readonly relayRoom: Pick<RelayRoom, 'relay'>;
  readonly ledger: { readonly waiting: number };
}

export function metricsOf(rooms: MeasuredRooms): readonly Metric[] {
  return [...ofNetwork(rooms), ...ofServer(rooms), ...ofRelay(rooms)];
}

function ofNetwork({ coordinator }: MeasuredRooms): readonly Metric[] {
  const nodes = () => [...coordinator.network.model.nodes.values()];
  return [
    {
      name: 'users',
      help: 'Users of the network.',
      type: 'gauge',
      read: () => coordinator.network.model.users.size,
    },
    {
      name: 'nodes',
      help: 'Nodes of the network, by whether they are connected.',
      type: 'gauge',
      label: 'state',
      read: () => {
        const { live } = coordinator.network;
        const online = nodes().filter(({ id }) => isOnline(live, id)).length;
        return { online, offline: nodes().length - online };
      },
    },
    {
      name: 'lan_devices',
      help: 'LAN devices that have an address of their own, shared now or before.',
      type: 'gauge',
      read: () => coordinator.network.model.devices.size,
    },
  ];
}

function ofServer({ maps, probes, server, ledger }: MeasuredRooms): readonly Metric[] {
  return [
    {
      name: 'changes_waiting',
      help: 'Changes that wait for the disk.',
      type: 'gauge',
      read: () => ledger.waiting,
    },
    {
      name: 'map_total',
      help: 'What the map streams have done.',
      type: 'counter',
      label: 'what',
      read: () => ({ ...maps.counters() }),
    },
    {
      name: 'router_probes_total',
      help: 'Probes of routers that stand in for each other, by what became of them.',
      type: 'counter',
      label: 'outcome',
      read: () => ({ ...probes.counters() }),
    },
    {
      name: 'requests_total',
      help: 'Requests and connections, by what became of them.',
      type: 'counter',
      label: 'outcome',
      read: () => ({ ...server.counters() }),
    },
    {
      name: 'open',
      help: 'What is open at this moment.',
      type: 'gauge',
      label: 'what',
      read: () => server.gauges(),
    },
    {
      name: 'resident_memory_bytes',
      help: 'Resident memory of the process, with all its threads.',
      type: 'gauge',
      read: () => process.memoryUsage.rss(),
    },
    {
      name: 'cpu_seconds_total',
      help: 'CPU time of the process, with all its threads.',
      type: 'counter',
      read: () => {
        const { user, system } = process.cpuUsage();
        return (user + system) / 1e6;
      },
    },
  ];
}

function ofRelay({ relayRoom }: MeasuredRooms): readonly Metric[] {
  return [
    {
      name: 'relay_total',
      help: 'What the relay and STUN have done.',
      type: 'counter',
      label: 'what',
      read: async () => {
        const {
          connections: _,
          clients: __,
          refused: ___,
          ...counters
        } = await relayRoom.relay.report();
        return counters;
      },
    },
    {
      name: 'relay_clients',
      help: 'Node keys that are connected to the relay.',
      type: 'gauge',
      read: async () => (await relayRoom.relay.report()).clients,
    },
    {
      name: 'relay_refused_total',
      help: 'Connections and datagrams that came to nothing, by reason.',
      type: 'counter',
      label: 'reason',
      read: async () => (await relayRoom.relay.report()).refused,
    },
  ];
}
