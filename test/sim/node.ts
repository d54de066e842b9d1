/**
 * A whole node in memory: the real tunnel and the real data plane, with arrays in the place of the TUN
 * device, the sockets and the channel between the threads.
 */

import type { Endpoint } from '../../src/base/endpoint.ts';
import { SOCKADDR_BYTES } from '../../src/base/endpoint.ts';
import type { Env } from '../../src/base/env.ts';
import { lineLog } from '../../src/base/log.ts';
import { unixMillis } from '../../src/base/time.ts';
import { nodeCryptoAead } from '../../src/crypto/aead-node.ts';
import type { Arena } from '../../src/node/dataplane/arena.ts';
import { createArena, tunPlaces } from '../../src/node/dataplane/arena.ts';
import type { Command, Event } from '../../src/node/dataplane/commands.ts';
import { loadKernels } from '../../src/node/dataplane/kernels.ts';
import type { CountingUdpPort } from '../../src/node/dataplane/plane.ts';
import { Plane } from '../../src/node/dataplane/plane.ts';
import type { TunPort } from '../../src/node/dataplane/ports.ts';
import { EMPTY } from '../../src/node/dataplane/ports.ts';
import { Tunnel } from '../../src/node/tunnel/tunnel.ts';
import { DeferredAead } from '../deferred-aead.ts';
import { queueReads } from '../queue-reads.ts';
import type { Seeded } from '../seeded.ts';
import type { Clock } from './clock.ts';
import type { Network } from './network.ts';

/** The wall clock of simulations starts here: 2026-01-01. */
const EPOCH = 1_767_225_600_000;

export interface SimOptions {
  readonly clock: Clock;
  readonly network: Network;
  readonly random: Seeded;
  readonly endpoint: Endpoint;
  readonly wasm: Uint8Array;
  readonly activePeers?: number;
  readonly bound?: Uint8Array;
}

export class SimNode {
  readonly tunnel: Tunnel;
  readonly plane: Plane;
  readonly arena: Arena;
  /** Packets that came out of the tunnel, in order. */
  readonly delivered: Uint8Array[] = [];
  readonly events: Event['type'][] = [];
  #endpoint: Endpoint;
  readonly #options: SimOptions;
  readonly #outgoing: Uint8Array[] = [];
  readonly #incoming: { datagram: Uint8Array; source: Uint8Array }[] = [];
  readonly #udp: CountingUdpPort;
  #detach: () => void = () => {};

  constructor(options: SimOptions) {
    const { clock, random } = options;
    this.#options = options;
    this.#endpoint = options.endpoint;
    this.arena = createArena({ activePeers: options.activePeers ?? 4, flows: 64, rules: 64 });
    const env: Env = {
      now: () => clock.now(),
      wall: () => unixMillis(EPOCH + clock.now()),
      random: (length) => random.bytes(length),
      setTimer: (at, action) => clock.setTimer(at, action),
      log: lineLog(() => {}, 'error'),
    };
    const queue: Command[] = [];
    const flush = (): void => {
      for (let command = queue.shift(); command !== undefined; command = queue.shift())
        this.#apply(command);
    };
    this.#udp = this.#fakeUdp();
    this.plane = new Plane({
      arena: this.arena,
      base: 0,
      kernels: loadKernels(options.wasm, this.arena.memory),
      aead: new DeferredAead(nodeCryptoAead(this.arena.u8)),
      tun: this.#fakeTun(),
      hashSeed: [1, 2],
      mtuBytes: 1420,
      mesh: false,
      now: () => clock.now(),
      notify: (event) => {
        this.events.push(event.type);
        clock.setTimer(clock.now(), () => this.tunnel.onEvent(event));
      },
      catchUp: flush,
    });
    this.tunnel = new Tunnel(env, {
      arena: this.arena,
      link: {
        send: (command) => {
          queue.push(command);
          clock.setTimer(clock.now(), flush);
        },
        flush: () => {},
      },
      sockets: {
        open: () => ({
          port: this.#endpoint.port,
          udp4: 1,
          udp6: -1,
          gso: true,
          sendTo: (target, datagram) => options.network.send(this.#endpoint, target, datagram),
          setMark: () => {},
          close: () => {},
        }),
      },
      timestamps: { bound: options.bound, extend: (_, done) => done(true) },
    });
    this.move(options.endpoint);
  }

  /** Puts one IP packet into the TUN device. */
  send(packet: Uint8Array): void {
    this.#outgoing.push(packet);
    this.plane.tunReadable();
  }

  /** The node is at another endpoint from now on; nothing reaches it at the old one. */
  move(endpoint: Endpoint): void {
    this.#detach();
    this.#endpoint = endpoint;
    this.#detach = this.#options.network.attach(endpoint, (datagram, source) => {
      this.#incoming.push({ datagram, source });
      this.plane.udpReadable(this.#udp);
    });
  }

  /** Power off: nothing more comes in or goes out. */
  halt(): void {
    this.#detach();
    this.tunnel.close();
  }

  #apply(command: Command): void {
    if (command.type === 'sockets') {
      const used = command.udp4 >= 0 ? this.#udp : null;
      this.plane.useSockets(used, null);
      this.tunnel.onEvent({ type: 'sockets' });
    } else if (command.type !== 'stop') this.plane.apply(command);
  }

  #fakeTun(): TunPort {
    const { u8, u32, layout } = this.arena;
    return {
      vnetHeader: false,
      uso: false,
      ...queueReads(this.#outgoing, u8, tunPlaces(layout, false)),
      write: (iovecsAt) => {
        const at = u32[iovecsAt >> 2] as number;
        const length = u32[(iovecsAt + 8) >> 2] as number;
        this.delivered.push(new Uint8Array(u8.subarray(at, at + length)));
        return length;
      },
    };
  }

  #fakeUdp(): CountingUdpPort {
    const { network } = this.#options;
    const { u8, layout } = this.arena;
    const received = { segmentBytes: 0, ecn: 0, sourceAt: layout.udp4 };
    return {
      received,
      counters: { sendCalls: 0, refused: new Map(), gso: true },
      receive: (at) => {
        const next = this.#incoming.shift();
        if (next === undefined) return EMPTY;
        u8.set(next.datagram, at);
        u8.set(next.source, received.sourceAt);
        received.segmentBytes = next.datagram.length;
        return next.datagram.length;
      },
      send: (at, length, segment, endpointAt) => {
        const target = new Uint8Array(u8.subarray(endpointAt, endpointAt + SOCKADDR_BYTES));
        for (let from = 0; from < length; from += segment) {
          const end = at + Math.min(from + segment, length);
          network.send(this.#endpoint, target, new Uint8Array(u8.subarray(at + from, end)));
        }
      },
      flush: () => {},
    };
  }
}
