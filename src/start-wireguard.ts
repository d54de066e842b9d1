/**
 * Joins TUN device, UDP sockets, worker and tunnel into one running interface.
 *
 *     TUN device -> arena -> worker (ready: its AEAD passed) -> tunnel -> MTU -> link events
 *
 * The end comes from outside (`close`) or from the device (`ip link delete`): then `gone` resolves. A worker
 * that dies takes the tunnel with it, since nothing else could go on: `gone` rejects, and the unit restarts us.
 */

import { randomBytes } from 'node:crypto';
import type { Assets } from './assets.ts';
import type { Env } from './base/env.ts';
import { NetError } from './base/errors.ts';
import { nodePublic } from './base/keys.ts';
import type { Millis } from './base/time.ts';
import { after, seconds } from './base/time.ts';
import type { X25519 } from './crypto/x25519.ts';
import { isX25519, ownKey } from './crypto/x25519.ts';
import { interfaceReport } from './interface-report.ts';
import type { Native } from './linux/ffi.ts';
import { configureLink, setGsoMaxBytes } from './linux/ip.ts';
import { LinkNetwork } from './linux/link-network.ts';
import { releaseMemory } from './linux/malloc.ts';
import type { LinkEvent, LinkWatch } from './linux/netlink.ts';
import { linkInfo, watchLink } from './linux/netlink.ts';
import { networkSystem } from './linux/network-system.ts';
import { opensslX25519 } from './linux/openssl-x25519.ts';
import type { TunDevice } from './linux/tun.ts';
import { openTun } from './linux/tun.ts';
import { openUdp } from './linux/udp-sockets.ts';
import { Listening } from './listening.ts';
import type { Arena } from './node/dataplane/arena.ts';
import { createArena, DEFAULT_SIZES } from './node/dataplane/arena.ts';
import type { Event } from './node/dataplane/commands.ts';
import type { MeshPort, SocketsPort } from './node/tunnel/ports.ts';
import { Tunnel } from './node/tunnel/tunnel.ts';
import type { Gso } from './node/tunnel/tunnel-health.ts';
import { TunnelHealth } from './node/tunnel/tunnel-health.ts';
import { PacketWorker } from './packet-worker.ts';
import type { InterfaceReport } from './protocol/localapi/status.ts';
import { recoverLan, withLan } from './route-lan.ts';
import { watchOf } from './routing-watch.ts';
import { fullSuperPacket } from './super-packet-size.ts';
import { timestampStore } from './timestamp-store.ts';
import type { RunningTunnel, StartTunnel, TunnelSetup } from './wireguard.ts';

/** GSO goes off in the worker, on the packet path, which tells nobody. */
const LOOK_AT_GSO: Millis = seconds(600);

const NO_GSO: Gso = { udp4: false, udp6: false };

/**
 * Eight milliseconds of small packets at 125,000 a second: a scheduler's slice on a busy machine, which half as
 * many did not outlast.
 */
const QUEUE_PACKETS = 1000;

/** What the process brings to it. */
export interface StartPorts {
  readonly native: Native;
  readonly assets: Assets;
  /** A bare koffi.node for the worker to load, where npm's folder has none. */
  readonly nativePath: string | undefined;
}

export const startWireguard = (ports: StartPorts): StartTunnel => {
  const { native } = ports;
  const start = startTunnel(ports);
  return async (setup, env) => {
    const system = { ...networkSystem(process.pid), env };
    await recoverLan(system);
    const tunnel = await start(setup, env, undefined);
    if (setup.routeLan.length === 0) return tunnel;
    return withLan(tunnel, setup, {
      ...system,
      watch: watchOf(native, env),
      mtuBytes: () => linkInfo(native, setup.name)?.mtuBytes,
    });
  };
};

/** A tunnel that also hands out itself, for the node, which is a member of a mesh. */
export interface StartedTunnel extends RunningTunnel {
  readonly tunnel: Tunnel;
  readonly x25519: X25519 | undefined;
}

export const startTunnel =
  ({ native, assets, nativePath }: StartPorts) =>
  async (setup: TunnelSetup, env: Env, mesh: MeshPort | undefined): Promise<StartedTunnel> => {
    const wasm = await assets.kernels();
    const device = openTun(native, setup.name, setup.offload ? 'full' : 'plain');
    const arena = createArena({
      ...DEFAULT_SIZES,
      activePeers: powerOfTwo(setup.activePeers ?? DEFAULT_SIZES.activePeers),
      flows: setup.flows ?? DEFAULT_SIZES.flows,
    });
    const seed = new Uint32Array(randomBytes(8).buffer.slice(0, 8));
    const worker = new PacketWorker(native, assets, {
      layout: arena.layout,
      memory: arena.memory,
      wasm,
      nativePath,
      tun: { fd: device.file.fd, offload: device.offload },
      aead: setup.aead,
      mtuBytes: setup.mtuBytes,
      mesh: mesh !== undefined,
      hashSeed: [seed[0] ?? 0, seed[1] ?? 0],
    });
    return new Running(native, env, setup, { device, arena, worker, mesh }).start();
  };

/** A started worker, and what it works on. */
interface Parts {
  readonly device: TunDevice;
  readonly arena: Arena;
  readonly worker: PacketWorker;
  readonly mesh: MeshPort | undefined;
}

class Running {
  readonly #native: Native;
  readonly #env: Env;
  readonly #setup: TunnelSetup;
  readonly #parts: Parts;
  readonly #tunnel: Tunnel;
  readonly #x25519: X25519 | undefined;
  readonly #health: TunnelHealth;
  readonly #listening: Listening;
  readonly #network: LinkNetwork;
  readonly #startedAt: Millis;
  readonly #gone = Promise.withResolvers<void>();
  readonly #ready = Promise.withResolvers<Extract<Event, { type: 'ready' }>>();
  #aead: InterfaceReport['aead'] = { name: '', passedOver: [] };
  /** What the sockets in use began with. */
  #gso = NO_GSO;
  #watch: LinkWatch | null = null;
  #mtuBytes = 0;
  #cancelLook: () => void = () => {};

  constructor(native: Native, env: Env, setup: TunnelSetup, parts: Parts) {
    this.#native = native;
    this.#env = env;
    this.#setup = setup;
    this.#parts = parts;
    this.#startedAt = env.now();
    const x25519 = opensslX25519(native);
    this.#x25519 = x25519 !== undefined && isX25519(x25519) ? x25519 : undefined;
    this.#network = new LinkNetwork(setup.name);
    this.#health = new TunnelHealth(setup.name, env.log);
    this.#tunnel = new Tunnel(env, {
      arena: parts.arena,
      x25519: this.#x25519,
      link: parts.worker.link,
      sockets: this.#sockets(),
      timestamps: timestampStore(setup.timestampBound, this.#health),
      mesh: parts.mesh,
    });
    this.#listening = new Listening(env, this.#tunnel, this.#health);
    parts.worker.listen({
      event: (event) => this.#event(event),
      failed: (error) => this.#fail(error),
    });
  }

  async start(): Promise<StartedTunnel> {
    const { aead, refusedAeads } = await this.#ready.promise;
    const { device } = this.#parts;
    this.#env.log.info('dataplane: ready', { aead, offload: device.offload });
    this.#aead = { name: aead, passedOver: refusedAeads };
    this.#health.sealing(aead, refusedAeads, this.#setup.aead !== undefined);
    await this.#watchDevice();
    this.#lookAtGso();
    return {
      tunnel: this.#tunnel,
      x25519: this.#x25519,
      target: {
        configure: (change) => {
          this.#tunnel.configure(change);
          this.#listening.again();
        },
        status: () => this.#tunnel.status(),
      },
      publicKeyOf: (key) => nodePublic(ownKey(key.expose()).publicKey),
      report: () => this.#report(),
      releaseMemory: (code) => releaseMemory(this.#native, code),
      setNetwork: (setting) => this.#network.set(setting),
      gone: this.#gone.promise,
      close: () => this.#close(),
    };
  }

  /** The kernel tells of every change from now on, our own MTU first. */
  async #watchDevice(): Promise<void> {
    const { name, mtuBytes } = this.#setup;
    await configureLink(name, { mtuBytes, queuePackets: QUEUE_PACKETS });
    const link = linkInfo(this.#native, name);
    if (link === undefined) throw new NetError(`the interface ${name} was deleted`);
    this.#watch = watchLink(this.#native, link.index, (event) => this.#linkChanged(event));
  }

  #linkChanged(event: LinkEvent): void {
    if (event.type === 'gone') {
      this.#gone.resolve();
      return;
    }
    const { up, mtuBytes } = event.link;
    if (mtuBytes !== this.#mtuBytes) this.#mtuChanged(mtuBytes);
    if (!up) this.#gso = NO_GSO;
    this.#listening.link(up);
  }

  #lookAtGso(): void {
    this.#cancelLook = this.#env.setTimer(after(this.#env.now(), LOOK_AT_GSO), () => {
      void this.#report();
      this.#lookAtGso();
    });
  }

  async #report(): Promise<InterfaceReport> {
    // The worker answers for the sockets that it has been told of until now.
    const gso = this.#gso;
    const report = await this.#tunnel.report();
    this.#health.gso(gso, report.gso);
    const { device, arena } = this.#parts;
    const status = this.#tunnel.status();
    return interfaceReport({
      name: this.#setup.name,
      up: this.#listening.up,
      publicKey: status.privateKey && nodePublic(ownKey(status.privateKey.expose()).publicKey),
      mtuBytes: this.#mtuBytes,
      uptimeSeconds: Math.floor((this.#env.now() - this.#startedAt) / 1000),
      aead: this.#aead,
      tunOffload: device.offload,
      activePeersMost: arena.layout.sizes.activePeers,
      status,
      report,
      health: this.#health.items(),
    });
  }

  #mtuChanged(mtuBytes: number): void {
    this.#mtuBytes = mtuBytes;
    this.#tunnel.setMtu(mtuBytes);
    // Best effort, and refused for nothing that matters: see setGsoMaxBytes.
    void setGsoMaxBytes(this.#setup.name, fullSuperPacket(mtuBytes));
  }

  #event(event: Event): void {
    if (event.type === 'ready') this.#ready.resolve(event);
    else if (event.type === 'gone') this.#gone.resolve();
    else this.#tunnel.onEvent(event);
  }

  #fail(error: unknown): void {
    this.#ready.reject(error);
    this.#gone.reject(error);
  }

  async #close(): Promise<void> {
    this.#watch?.close();
    this.#listening.close();
    this.#cancelLook();
    const { device, worker } = this.#parts;
    await worker.stop();
    this.#tunnel.close();
    device.file.close();
  }

  #sockets(): SocketsPort {
    return {
      open: (port, mark) => {
        const sockets = openUdp(this.#native, { port, mark, offload: this.#setup.gso });
        const { udp4, udp6 } = sockets;
        const gso = [udp4, udp6].every((socket) => socket?.gso ?? true);
        this.#gso = { udp4: gso && udp4 !== undefined, udp6: gso && udp6 !== undefined };
        return {
          port: sockets.port,
          udp4: udp4?.file.fd ?? -1,
          udp6: udp6?.file.fd ?? -1,
          gso,
          sendTo: (sockaddr, datagram) => sockets.sendTo(sockaddr, datagram),
          setMark: (value) => sockets.setMark(value),
          close: () => sockets.close(),
        };
      },
    };
  }
}

function powerOfTwo(least: number): number {
  return 2 ** Math.ceil(Math.log2(least));
}
