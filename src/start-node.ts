/**
 * `postern node`: joins the rooms of a node to the system, and ends them.
 *
 *     TUN, worker, tunnel -> paths, relays -> router, names, lan -> session (lock, files) -> socket -> ready
 *
 * The end goes backwards, so that the system's resolver and routes are as before when the device goes.
 */

import { readFileSync } from 'node:fs';
import type { Env } from './base/env.ts';
import { BugError } from './base/errors.ts';
import type { HealthItem } from './base/health.ts';
import { Health } from './base/health.ts';
import type { Millis } from './base/time.ts';
import { after, millis } from './base/time.ts';
import { serveWatchersOrSay } from './control/metrics/server.ts';
import { ownKey } from './crypto/x25519.ts';
import { releaseMemory } from './linux/malloc.ts';
import { watchNetwork } from './linux/network-watch.ts';
import { peerCredentials } from './linux/peer-credentials.ts';
import { serviceManager } from './linux/sd-notify.ts';
import { serveNodeApi } from './node/api/server.ts';
import { Lan } from './node/lan/lan.ts';
import { Names } from './node/names/names.ts';
import { Paths } from './node/paths/paths.ts';
import { Relays } from './node/relays/relays.ts';
import { OWN_MARK } from './node/router/constants.ts';
import { Router } from './node/router/router.ts';
import { Session } from './node/session/session.ts';
import { MeshNode, SERVICE_ADDRESSES } from './node.ts';
import { MESH_MTU_BYTES } from './node-apply.ts';
import { Backend } from './node-backend.ts';
import { nodeMetrics } from './node-metrics.ts';
import { rehearseContact } from './node-rehearsal.ts';
import { discoSecret, keepDisco, openState } from './node-state.ts';
import { NodeStatuses } from './node-status.ts';
import type { NodeSystem } from './node-system.ts';
import { watchersAt } from './node-watchers.ts';
import { NodeWires } from './node-wires.ts';
import { ACTIVE } from './protocol/disco/peer-path.ts';
import { watchOf } from './routing-watch.ts';
import type { StartedTunnel, StartPorts } from './start-wireguard.ts';
import { startTunnel } from './start-wireguard.ts';
import { watchSuspend } from './suspend-watch.ts';

/** Of the notes that outlive a killed process and not the machine's run. */
const RUN_FOLDER = '/run/postern';

/** Calls go by the relays too, which are dialled anew after a sleep. */
const RELAYS_BACK = millis(500);

export interface NodeOptions {
  readonly stateFolder: string;
  readonly socket: string;
  /** Name of the TUN device. */
  readonly tun: string;
  readonly port: number;
  /** Address and port of loopback, or `off`. */
  readonly metrics: string;
}

export interface NodeProcess {
  readonly env: Env;
  readonly version: string;
  readonly system: NodeSystem;
  /** Resolves, with its reason, when this shall end. */
  readonly stop: Promise<string>;
}

/** Runs until `stop` says so, or the device is deleted. @throws ConfigError, NetError */
export async function runNode(
  options: NodeOptions,
  parts: StartPorts,
  { env, version, system, stop }: NodeProcess,
): Promise<void> {
  const { native } = parts;
  const health = new Health(env.log);
  const watchers = watchersAt(options.metrics);
  await using ends = new AsyncDisposableStack();
  const state = await openState(options.stateFolder, options.tun, env.log);
  const routerPorts = { env, ...system.routing, watch: watchOf(native, env) };
  await Router.recover(routerPorts, { stateFolder: RUN_FOLDER });
  const wires = new NodeWires(env);
  const tunnel = await openTunnel(options, parts, env, state.timestampBound, wires);
  ends.defer(() => tunnel.close());
  const reached = await system.reaches(state.controlUrl);
  const secret = discoSecret(state, reached, env.random);
  const disco = ownKey(secret);
  const session = new Session(env, {
    ...system.control,
    env,
    files: state.files,
    folder: options.stateFolder,
    health,
    board: system.board(version),
    discoKey: system.discoKey(disco),
  });
  const relays = new Relays(env, {
    dial: system.dialRelay,
    packet: (region, source, datagram) => wires.relayed(region, source, datagram),
    batchEnd: () => wires.relayedEnd(),
    gone: () => {},
    changed: (region, change) => {
      if (change === 'lost') paths.relayTrouble(region);
      if (change === 'connected') paths.relayBack();
    },
  });
  const mesh = tunnel.tunnel.mesh;
  if (mesh === null) throw new BugError('the tunnel is no member of a mesh');
  const gateway = system.openGateway((datagram, from) => paths.onGateway(datagram, from));
  ends.defer(() => gateway.close());
  const paths: Paths = new Paths(
    env,
    {
      sendUdp: (to, datagram) => mesh.sendUdp(to, datagram),
      sendRelay: (region, peer, datagram) => {
        const sent = relays.send(region, peer, datagram);
        if (sent) relays.flush();
        return sent;
      },
      setWay: (peer, way) => mesh.setWay(peer, way),
      traffic: (peer) => mesh.traffic(peer),
      localEndpoints: () => system.endpoints(options.tun, tunnel.tunnel.status().listenPort),
      gateway: () => system.gateway(),
      sendGateway: (to, datagram) => gateway.send(to, datagram),
      askGateway: (to, request, signal) => gateway.ask(to, request, signal),
      measureRelay: (region) => relays.measure(region),
      resolve: (host) => system.resolve(host),
      endpointsChanged: (endpoints) => session.setEndpoints(endpoints.map(system.endpointKind)),
      netInfoChanged: (info) => session.setNetInfo(info),
      preferRelay: (region) => {
        relays.setHome(region);
        wires.setHome(region);
      },
      restarted: (peer) => mesh.dropSessions(peer),
    },
    disco,
  );
  wires.join({ mesh, paths, relays });
  const router = new Router(routerPorts, {
    interface: options.tun,
    mark: OWN_MARK,
    stateFolder: RUN_FOLDER,
  });
  const lan = new Lan(
    env,
    { report: (devices) => session.setLanDevices(devices), changed: () => node.lanChanged() },
    state.devices,
    health,
  );
  const names = new Names(env, system.names(options.tun, health), {
    addresses: SERVICE_ADDRESSES,
  });
  const rooms = { session, tunnel: tunnel.tunnel, paths, relays, router, names, lan, wires };
  const node: MeshNode = new MeshNode(
    env,
    rooms,
    {
      surroundings: () => system.surroundings(options.tun),
      hasAddress: (address) => system.hasAddress(address),
      setServiceAddresses: (addresses) => system.setServiceAddresses(options.tun, addresses),
    },
    health,
  );
  ends.defer(() => node.close());
  await node.start();
  await keepDisco(state, secret, env.log);
  const watch = watchNetwork(
    native,
    env,
    system.onlyReal(options.tun, () => node.networkChanged()),
  );
  ends.defer(() => watch.close());
  ends.defer(
    watchSuspend(
      env,
      () => performance.now(),
      (slept) => {
        env.log.info('node: the machine has slept', { seconds: Math.round(slept / 1000) });
        node.networkChanged();
        // Those who were not idle when it fell asleep.
        const since = millis(env.now() - slept - ACTIVE);
        env.setTimer(after(env.now(), RELAYS_BACK), () => mesh.call(since));
      },
    ),
  );
  node.networkChanged();
  const statuses = new NodeStatuses(env, node, {
    version,
    interface: options.tun,
    startedAt: env.now(),
    port: () => tunnel.tunnel.status().listenPort,
    hostname: system.hostname(),
  });
  ends.defer(() => statuses.close());
  const metrics = nodeMetrics(node);
  const backend = new Backend(env, node, {
    statuses,
    icmpPing: system.icmpPing,
    metrics: async () => (await metrics()).text,
    machineFacts: () => system.machineFacts(version),
  });
  const api = await serveNodeApi({
    path: options.socket,
    backend,
    env,
    ownUid: process.getuid?.() ?? 0,
    readFile: readSystemFile,
    credentialsOf: peerCredentials(native),
  });
  ends.defer(() => api.close());
  const items = (): readonly HealthItem[] => node.health();
  ends.defer(await serveWatchersOrSay({ listen: watchers, items, metrics }, health));
  const service = serviceManager(native, process.env, process.pid);
  env.log.info('node: ready', { interface: options.tun, socket: options.socket });
  service.tell('READY=1');
  ends.defer(beatWatchdog(env, service));
  const gone = tunnel.gone.then(() => 'interface deleted');
  // It may fail before anybody waits for it.
  gone.catch(() => {});
  await rehearseContact(env, tunnel.x25519);
  // Else the garbage of the start would be collected in somebody's first contact.
  releaseMemory(native, 'kept');
  mesh.reserveTimestamps();
  const reason = await Promise.race([stop, gone]);
  env.log.info('node: ending', { reason });
  service.tell('STOPPING=1');
}

async function openTunnel(
  { tun, port }: NodeOptions,
  parts: StartPorts,
  env: Env,
  timestampBound: Parameters<ReturnType<typeof startTunnel>>[0]['timestampBound'],
  wires: NodeWires,
): Promise<StartedTunnel> {
  const setup = {
    name: tun,
    mtuBytes: MESH_MTU_BYTES,
    aead: undefined,
    offload: true,
    gso: true,
    activePeers: undefined,
    flows: undefined,
    timestampBound,
  };
  const started = await startTunnel(parts)(setup, env, wires.port);
  try {
    started.tunnel.configure({ listenPort: port, fwmark: OWN_MARK.value, peers: [] });
    // The sockets open when the device is up; addresses come with the map.
    await started.setNetwork({ mtuBytes: MESH_MTU_BYTES, addresses: [], routes: [] });
  } catch (error) {
    await started.close();
    throw error;
  }
  return started;
}

function readSystemFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function beatWatchdog(
  env: Env,
  { tell, watchdogMillis }: ReturnType<typeof serviceManager>,
): () => void {
  if (watchdogMillis === undefined) return () => {};
  const pause: Millis = millis(watchdogMillis);
  let cancel: () => void = () => {};
  const beat = (): void => {
    tell('WATCHDOG=1');
    cancel = env.setTimer(after(env.now(), pause), beat);
  };
  beat();
  return () => cancel();
}
