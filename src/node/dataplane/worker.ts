/**
 * The worker: joins the data plane to the kernel, in a loop of its own (linux/poll-loop.ts). It gets the arena, the TUN
 * descriptor and its settings as worker data; descriptors belong to the main thread, which closes them when they are let
 * go of here. After each message the main thread signals `wake`.
 *
 * A worker's entry, and so one of the two places that may join `linux/` to a room.
 */

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { BugError } from '../../base/errors.ts';
import { nodeCryptoAead } from '../../crypto/aead-node.ts';
import { bootClock } from '../../linux/clock.ts';
import type { Echo } from '../../linux/echo.ts';
import { echo, wrapped } from '../../linux/echo.ts';
import type { Native } from '../../linux/ffi.ts';
import { loadNative } from '../../linux/ffi.ts';
import { batchAead } from '../../linux/openssl-batch.ts';
import { evpAead } from '../../linux/openssl-evp.ts';
import { rawAead } from '../../linux/openssl-raw.ts';
import type { Polled } from '../../linux/poll-loop.ts';
import { PollLoop } from '../../linux/poll-loop.ts';
import type { TunOffload } from '../../linux/tun.ts';
import { tunPort } from '../../linux/tun.ts';
import { UdpSocketPort } from '../../linux/udp-port.ts';
import { Wake } from '../../linux/wake.ts';
import type { AeadCandidate, AeadChoice } from './aead-choice.ts';
import { chooseAead } from './aead-choice.ts';
import type { Arena, Layout, TunPlaces } from './arena.ts';
import { RX_OUT_BYTES, tunPlaces, viewArena } from './arena.ts';
import type { Command, Event } from './commands.ts';
import { loadKernels } from './kernels.ts';
import type { PlanePorts } from './plane.ts';
import { Plane } from './plane.ts';
import { rehearse } from './rehearsal.ts';

/** What the main thread starts the worker with. */
export interface WorkerSetup {
  readonly layout: Layout;
  readonly memory: WebAssembly.Memory;
  /** The compiled kernels. */
  readonly wasm: Uint8Array;
  /** A bare koffi.node, where koffi is not in npm's folder. */
  readonly nativePath: string | undefined;
  readonly tun: { readonly fd: number; readonly offload: TunOffload };
  /** An eventfd (linux/wake.ts). */
  readonly wake: number;
  readonly aead: AeadChoice | undefined;
  readonly mtuBytes: number;
  readonly mesh: boolean;
  readonly hashSeed: readonly [number, number];
}

class Worker {
  readonly #native: Native;
  readonly #arena: Arena;
  readonly #plane: Plane;
  readonly #port: NonNullable<typeof parentPort>;
  readonly #loop: PollLoop;
  readonly #wake: Wake;
  readonly #tun: Polled;
  readonly #commands: Command[] = [];
  /** How many of them have had their turn. */
  #applied = 0;
  #udp: Polled[] = [];
  /** What the main thread has not been told of. */
  #events: Event[] = [];

  constructor(setup: WorkerSetup, port: NonNullable<typeof parentPort>) {
    this.#port = port;
    this.#native = loadNative(setup.nativePath);
    this.#arena = viewArena(setup.layout, setup.memory);
    const { aead, refused } = chooseAead(
      candidates(this.#native, this.#arena),
      setup.aead,
      this.#arena.u8,
      setup.layout.txOut,
    );
    const now = bootClock(this.#native);
    const shared = {
      arena: this.#arena,
      base: this.#native.addressOf(setup.memory.buffer),
      kernels: loadKernels(setup.wasm, setup.memory),
      aead,
      hashSeed: setup.hashSeed,
      mtuBytes: setup.mtuBytes,
      mesh: setup.mesh,
      now,
    };
    this.#rehearse(echo(this.#native, this.#arena), shared, setup);
    this.#rehearse(wrapped(echo(this.#native, this.#arena)), shared, setup);
    this.#plane = new Plane({
      ...shared,
      tun: tunPort(this.#native, this.#arena, setup.tun, placesOf(setup)),
      notify: (event) => this.#notify(event),
      catchUp: () => this.#catchUp(),
    });
    this.#loop = new PollLoop(this.#native, MOST_DESCRIPTORS);
    this.#wake = new Wake(this.#native, setup.wake);
    this.#loop.add(setup.wake, () => this.#woken());
    this.#tun = this.#loop.add(setup.tun.fd, () => this.#tunReadable());
    this.#notify({ type: 'ready', aead: aead.name, refusedAeads: refused });
    this.#tell();
  }

  /** To the end of the thread. */
  run(): void {
    this.#loop.run(() => this.#tell());
  }

  #woken(): void {
    // First, so that what is sent while the commands have their turn wakes again.
    this.#wake.take();
    this.#catchUp();
  }

  #rehearse(
    stage: Echo,
    shared: Omit<PlanePorts, 'tun' | 'notify' | 'catchUp'>,
    setup: WorkerSetup,
  ): void {
    const tun = tunPort(stage.native, this.#arena, setup.tun, placesOf(setup), stage.each);
    const place = { fd: -1, family: 4, gso: true, regionAt: setup.layout.udp4 } as const;
    const udp = new UdpSocketPort(stage.native, this.#arena, place);
    const plane = new Plane({ ...shared, tun, notify: () => {}, catchUp: () => {} });
    plane.useSockets(udp, udp);
    rehearse(plane, this.#arena, udp, stage, tun.vnetHeader, shared.now());
  }

  /** Packets first: the main thread is told at the end of a turn, unless it has to empty a ring meanwhile. */
  #notify(event: Event): void {
    this.#events.push(event);
    if (event.type === 'relay') this.#tell();
  }

  #tell(): void {
    if (this.#events.length === 0) return;
    this.#port.postMessage(this.#events);
    this.#events = [];
  }

  #tunReadable(): void {
    if (this.#plane.tunReadable()) return;
    this.#tun.close();
    this.#notify({ type: 'gone' });
  }

  /** Commands that have arrived but not had their turn. */
  #catchUp(): void {
    for (
      let received = receiveMessageOnPort(this.#port);
      received !== undefined;
      received = receiveMessageOnPort(this.#port)
    )
      this.#applyAll(received.message as readonly Command[]);
  }

  /** In order, also where a command catches up with those behind it. */
  #applyAll(commands: readonly Command[]): void {
    // One by one, and no shift: a file may allow a hundred thousand prefixes in one turn.
    for (const command of commands) this.#commands.push(command);
    while (this.#applied < this.#commands.length)
      this.#apply(this.#commands[this.#applied++] as Command);
    this.#commands.length = 0;
    this.#applied = 0;
  }

  #apply(command: Command): void {
    switch (command.type) {
      case 'sockets':
        this.#sockets(command);
        return;
      case 'stop':
        // Nothing is left to wait for then: the thread ends by itself.
        this.#loop.end();
        return;
      default:
        this.#plane.apply(command);
    }
  }

  #sockets({ udp4, udp6, gso }: Extract<Command, { type: 'sockets' }>): void {
    for (const polled of this.#udp) polled.close();
    this.#udp = [];
    const { layout } = this.#arena;
    const ports = [
      { fd: udp4, family: 4, regionAt: layout.udp4 } as const,
      { fd: udp6, family: 6, regionAt: layout.udp6 } as const,
    ].map((place) =>
      place.fd < 0 ? null : new UdpSocketPort(this.#native, this.#arena, { ...place, gso }),
    );
    this.#plane.useSockets(ports[0] ?? null, ports[1] ?? null);
    for (const [i, port] of ports.entries()) {
      const fd = i === 0 ? udp4 : udp6;
      if (port !== null) this.#udp.push(this.#loop.add(fd, () => this.#plane.udpReadable(port)));
    }
    this.#notify({ type: 'sockets' });
  }
}

/** The device, a socket for each family, and whoever wakes us. */
const MOST_DESCRIPTORS = 4;

const placesOf = ({ tun, layout }: WorkerSetup): TunPlaces =>
  tunPlaces(layout, tun.offload !== 'plain');

/** Fastest first. */
function candidates(native: Native, arena: Arena): readonly AeadCandidate[] {
  const places = {
    scratch: arena.layout.aeadScratch,
    rxOut: arena.layout.rxOut,
    rxOutBytes: RX_OUT_BYTES,
  };
  return [
    { choice: 'batch', make: () => batchAead(native, arena, places) },
    { choice: 'raw', make: () => rawAead(native, arena, places) },
    { choice: 'evp', make: () => evpAead(native, arena, places, 'node') },
    { choice: 'evp', make: () => evpAead(native, arena, places, 'system') },
    { choice: 'node', make: () => nodeCryptoAead(arena.u8) },
  ];
}

if (parentPort === null) throw new BugError('this file is the entry of a worker');
const worker = new Worker(workerData as WorkerSetup, parentPort);
// Not before Node has done with starting the thread.
setImmediate(() => worker.run());
