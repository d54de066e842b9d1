/**
 * The data plane's loops between a fake TUN device and a fake socket, both with every offload. Keys are
 * known to the test, so that what leaves is opened, and what comes is sealed, by @noble/ciphers.
 *
 *     tunIn(virtio header, packet) -> loops -> runs: what `send` was told, read at `flush`
 *     udpIn(joined datagrams)      -> loops -> written: each write to the TUN device, virtio header first
 */

import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { concat } from '../../../src/base/bytes.ts';
import type { Prefix } from '../../../src/base/prefix.ts';
import { parsePrefix } from '../../../src/base/prefix.ts';
import { nodeCryptoAead } from '../../../src/crypto/aead-node.ts';
import type { Arena } from '../../../src/node/dataplane/arena.ts';
import { createArena, KEYPAIR, keypairAt, tunPlaces } from '../../../src/node/dataplane/arena.ts';
import type { Command, Event, Report } from '../../../src/node/dataplane/commands.ts';
import { loadKernels } from '../../../src/node/dataplane/kernels.ts';
import type { CountingUdpPort } from '../../../src/node/dataplane/plane.ts';
import { Plane } from '../../../src/node/dataplane/plane.ts';
import type { TunPort } from '../../../src/node/dataplane/ports.ts';
import { EMPTY } from '../../../src/node/dataplane/ports.ts';
import { DeferredAead } from '../../deferred-aead.ts';
import { must } from '../../must.ts';
import { queueReads } from '../../queue-reads.ts';

export const VNET_BYTES = 10;
const HEADER_BYTES = 16;
const SOCKADDR_BYTES = 28;

/** What `send` was told, and the bytes that stood there when it was flushed. */
export interface Run {
  readonly datagrams: readonly Uint8Array[];
  readonly segmentBytes: number;
  readonly bytes: number;
  readonly ecn: number;
  /** The last byte of the IPv4 address that it goes to. */
  readonly host: number;
}

export interface Incoming {
  /** Datagrams that the kernel has joined: each but the last as long as the first. */
  readonly datagrams: readonly Uint8Array[];
  readonly ecn?: number;
  /** The last byte of the address that they come from. */
  readonly host?: number;
}

export interface PlaneOnArenaOptions {
  readonly wasm: Uint8Array;
  readonly mtuBytes?: number;
  readonly uso?: boolean;
  readonly activePeers?: number;
  readonly mesh?: boolean;
}

/** One peer's keypair as the test holds it. */
export interface TestKeypair {
  readonly slot: number;
  /** With which the loops seal. */
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  readonly ownIndex: number;
  readonly peerIndex: number;
}

export class PlaneOnArena {
  readonly arena: Arena;
  readonly plane: Plane;
  readonly runs: Run[] = [];
  readonly written: Uint8Array[] = [];
  readonly events: Event[] = [];
  /** Commands that have been sent and not yet read. */
  readonly queued: Exclude<Command, { type: 'sockets' | 'stop' }>[] = [];
  /** How many packets each read asked for. */
  readonly reads: number[] = [];
  now = 1_000_000;
  readonly #fromTun: Uint8Array[] = [];
  readonly #fromNet: Incoming[] = [];
  readonly #udp: CountingUdpPort;

  constructor({
    wasm,
    mtuBytes = 1420,
    uso = true,
    activePeers = 4,
    mesh = false,
  }: PlaneOnArenaOptions) {
    this.arena = createArena({ activePeers, flows: 1024, rules: 64 });
    this.#udp = this.#fakeUdp();
    this.plane = new Plane({
      arena: this.arena,
      base: 0,
      kernels: loadKernels(wasm, this.arena.memory),
      aead: new DeferredAead(nodeCryptoAead(this.arena.u8)),
      tun: this.#fakeTun(uso),
      mesh,
      hashSeed: [3, 4],
      mtuBytes,
      now: () => this.now,
      notify: (event) => this.events.push(event),
      catchUp: () => {
        for (const command of this.queued.splice(0)) this.plane.apply(command);
      },
    });
    this.plane.useSockets(this.#udp, null);
  }

  /** Peer `number` gets slot `number - 1`, owns 10.0.0.`number` and fd00::`number`, is at 192.0.2.`number`. */
  addPeer(number: number): void {
    const slot = number - 1;
    for (const text of [`10.0.0.${number}`, `fd00::${number}`]) {
      const prefix: Prefix = must(parsePrefix(text));
      this.plane.apply({ type: 'allow', peer: number, prefix });
    }
    this.plane.apply({ type: 'activate', peer: number, slot });
    this.plane.apply({ type: 'endpoint', slot, sockaddr: sockaddrOf(number) });
  }

  /** Fills a keypair slot, as the main thread does before it names it. */
  writeKeypair(peer: number, slot: number): TestKeypair {
    const { layout, u8, u32, f64 } = this.arena;
    const at = keypairAt(layout, slot);
    const keypair: TestKeypair = {
      slot,
      sendKey: new Uint8Array(32).fill(slot + 1),
      receiveKey: new Uint8Array(32).fill(slot + 101),
      ownIndex: (0xabcd_0000 | slot) >>> 0,
      peerIndex: 0x7700_0000 + slot,
    };
    u8.fill(0, at, at + KEYPAIR.bytes);
    u8.set(keypair.sendKey, at + KEYPAIR.sendKey);
    u8.set(keypair.receiveKey, at + KEYPAIR.receiveKey);
    u32[(at + KEYPAIR.ownIndex) >> 2] = keypair.ownIndex;
    u32[(at + KEYPAIR.peerIndex) >> 2] = keypair.peerIndex;
    u32[(at + KEYPAIR.peerSlot) >> 2] = peer - 1;
    f64[(at + KEYPAIR.createdAt) >> 3] = this.now;
    f64[(at + KEYPAIR.rekeyAt) >> 3] = Number.POSITIVE_INFINITY;
    return keypair;
  }

  /** The same, and names it. The keepalive that confirms it takes counter 0, and is not among the runs. */
  keypair(peer: number, slot: number = (peer - 1) * 4): TestKeypair {
    const keypair = this.writeKeypair(peer, slot);
    this.plane.apply({ type: 'keypair', slot: peer - 1, keypair: slot, as: 'current' });
    const first = this.runs.at(-1);
    if (first?.bytes === HEADER_BYTES * 2) this.runs.pop();
    return keypair;
  }

  /** @param virtio 10 bytes; a plain packet without it */
  tunIn(...packets: readonly { packet: Uint8Array; virtio?: Uint8Array }[]): void {
    for (const { packet, virtio = new Uint8Array(VNET_BYTES) } of packets)
      this.#fromTun.push(concat(virtio, packet));
    while (this.#fromTun.length > 0) this.plane.tunReadable();
  }

  udpIn(...incoming: readonly Incoming[]): void {
    this.#fromNet.push(...incoming);
    while (this.#fromNet.length > 0) this.plane.udpReadable(this.#udp);
  }

  report(): Report {
    this.plane.apply({ type: 'report' });
    const event = this.events.findLast(({ type }) => type === 'report');
    return (event as Extract<Event, { type: 'report' }>).report;
  }

  eventsOf<T extends Event['type']>(type: T): Extract<Event, { type: T }>[] {
    return this.events.filter((event) => event.type === type) as Extract<Event, { type: T }>[];
  }

  #fakeTun(uso: boolean): TunPort {
    const { u8, u32, layout } = this.arena;
    const reads = queueReads(this.#fromTun, u8, tunPlaces(layout, true));
    return {
      vnetHeader: true,
      uso,
      found: reads.found,
      read: (most) => {
        this.reads.push(most);
        return reads.read(most);
      },
      write: (iovecsAt, count) => {
        const parts = Array.from({ length: count }, (_, i) => {
          const entry = (iovecsAt + i * 16) >> 2;
          const at = must(u32[entry]);
          return u8.slice(at, at + must(u32[entry + 2]));
        });
        const whole = concat(...parts);
        this.written.push(whole);
        return whole.length;
      },
    };
  }

  #fakeUdp(): CountingUdpPort {
    const { u8, layout } = this.arena;
    const received = { segmentBytes: 0, ecn: 0, sourceAt: layout.udp4 };
    const told: (() => Run)[] = [];
    return {
      received,
      counters: { sendCalls: 0, refused: new Map(), gso: true },
      receive: (at) => {
        const next = this.#fromNet.shift();
        if (next === undefined) return EMPTY;
        const whole = concat(...next.datagrams);
        u8.set(whole, at);
        u8.set(sockaddrOf(next.host ?? 1), received.sourceAt);
        received.segmentBytes = next.datagrams[0]?.length ?? 0;
        received.ecn = next.ecn ?? 0;
        return whole.length;
      },
      send: (at, bytes, segmentBytes, endpointAt, ecn) => {
        const host = must(u8[endpointAt + 7]);
        if (at % 4 !== 0 || segmentBytes === 0)
          throw new Error(`a run of ${segmentBytes} at ${at}`);
        told.push(() => {
          const datagrams = Array.from({ length: Math.ceil(bytes / segmentBytes) }, (_, i) =>
            u8.slice(at + i * segmentBytes, at + Math.min((i + 1) * segmentBytes, bytes)),
          );
          return { datagrams, segmentBytes, bytes, ecn, host };
        });
      },
      flush: () => {
        for (const run of told.splice(0)) this.runs.push(run());
      },
    };
  }
}

/** 192.0.2.`host`, port 1000 + `host`. */
export function sockaddrOf(host: number): Uint8Array {
  const bytes = new Uint8Array(SOCKADDR_BYTES);
  bytes.set([2, 0, (1000 + host) >> 8, (1000 + host) & 255, 192, 0, 2, host]);
  return bytes;
}

/** The plaintext of a datagram that the loops sent; its counter is `counter`. @throws where it is anything else */
export function open(datagram: Uint8Array, keypair: TestKeypair, counter: number): Uint8Array {
  const view = new DataView(datagram.buffer, datagram.byteOffset, HEADER_BYTES);
  const header = [view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)];
  const wanted = [4, keypair.peerIndex, counter];
  if (header.join() !== wanted.join() || view.getUint32(12, true) !== 0)
    throw new Error(`header ${header} instead of ${wanted}`);
  return chacha20poly1305(keypair.sendKey, nonce(counter)).decrypt(datagram.subarray(HEADER_BYTES));
}

/** A datagram of the peer's, as it would arrive. */
export function seal(plaintext: Uint8Array, keypair: TestKeypair, counter: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, 4, true);
  view.setUint32(4, keypair.ownIndex, true);
  view.setUint32(8, counter, true);
  return concat(header, chacha20poly1305(keypair.receiveKey, nonce(counter)).encrypt(plaintext));
}

function nonce(counter: number): Uint8Array {
  const bytes = new Uint8Array(12);
  new DataView(bytes.buffer).setUint32(4, counter, true);
  return bytes;
}
