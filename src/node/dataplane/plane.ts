/**
 * The data plane: tables, the two loops, and the commands that change the tables. It knows no thread and no
 * descriptor: worker.ts gives it the kernel's, a simulation gives it arrays.
 */

import { unreachable } from '../../base/errors.ts';
import { AllowedIps } from '../../protocol/wireguard/allowed-ips.ts';
import type { Arena } from './arena.ts';
import { KEYPAIR, keypairAt, peerAt, RULE_BYTES } from './arena.ts';
import type { Command, Event, Report } from './commands.ts';
import type { BulkAead, Kernels, TunPort, UdpCounters, UdpPort } from './ports.ts';
import { Receive } from './receive.ts';
import { RelayRing } from './relay-ring.ts';
import type { Rule } from './rules.ts';
import { ALLOW_ALL, writeRule } from './rules.ts';
import type { Shared } from './shared.ts';
import { Drops } from './shared.ts';
import { Slots } from './slots.ts';
import { Transmit } from './transmit.ts';
import { Waiting } from './waiting.ts';

export interface PlanePorts {
  readonly arena: Arena;
  /** Native address of the arena; 0 in a simulation. */
  readonly base: number;
  readonly kernels: Kernels;
  readonly aead: BulkAead;
  readonly tun: TunPort;
  /** Two unpredictable words for the flow table's hash. */
  readonly hashSeed: readonly [number, number];
  readonly mtuBytes: number;
  /** A member of a mesh (shared.ts). */
  readonly mesh: boolean;
  /** Monotonic milliseconds (CLOCK_BOOTTIME). */
  now(): number;
  notify(event: Event): void;
  /** Handles commands already sent but not yet read. */
  catchUp(): void;
}

export type CountingUdpPort = UdpPort & { readonly counters: UdpCounters };

export class Plane {
  readonly #ports: PlanePorts;
  readonly #shared: Shared;
  readonly #transmit: Transmit;
  readonly #receive: Receive;
  #udp4: CountingUdpPort | null = null;
  #udp6: CountingUdpPort | null = null;
  #generation = 0;

  constructor(ports: PlanePorts) {
    const { arena, kernels, aead, notify } = ports;
    this.#ports = ports;
    this.#shared = {
      arena,
      base: ports.base,
      kernels,
      aead,
      tun: ports.tun,
      udp4: null,
      udp6: null,
      mtuBytes: ports.mtuBytes,
      allowedIps: new AllowedIps(),
      slots: new Slots(arena, aead, notify),
      waiting: new Waiting(),
      drops: new Drops(),
      relay: ports.mesh ? new RelayRing(arena, 'out') : null,
      notify,
    };
    const { layout } = arena;
    const [seedLow, seedHigh] = ports.hashSeed;
    kernels.filterStart(
      layout.rulesAt,
      layout.flowsAt,
      layout.sizes.flows,
      layout.filterScratch,
      seedLow,
      seedHigh,
    );
    // A member of a mesh lets nobody in before its map says so.
    this.#rules(ports.mesh ? [] : [ALLOW_ALL]);
    this.#transmit = new Transmit(this.#shared);
    this.#receive = new Receive(
      this.#shared,
      () => ports.catchUp(),
      (peer, now) => this.#transmit.release(peer, now, false),
    );
  }

  /** The sockets to use from now on. */
  useSockets(udp4: CountingUdpPort | null, udp6: CountingUdpPort | null): void {
    this.#udp4 = udp4;
    this.#udp6 = udp6;
    this.#shared.udp4 = udp4;
    this.#shared.udp6 = udp6;
  }

  /** The TUN device is readable; false when it is gone. */
  tunReadable(): boolean {
    return this.#transmit.drain(this.#ports.now());
  }

  udpReadable(udp: UdpPort): void {
    this.#receive.drain(udp, this.#ports.now());
  }

  /** Applies a command; `sockets` and `stop`, which speak of descriptors, are the caller's. */
  apply(command: Exclude<Command, { type: 'sockets' | 'stop' }>): void {
    const { slots, allowedIps, waiting, drops, arena } = this.#shared;
    const now = this.#ports.now();
    switch (command.type) {
      case 'allow':
        allowedIps.insert(command.prefix, command.peer);
        this.#transmit.forgetRoute();
        return;
      case 'disallow':
        allowedIps.remove(command.prefix, command.peer);
        this.#transmit.forgetRoute();
        return;
      case 'forget':
        allowedIps.removePeer(command.peer);
        this.#transmit.forgetRoute();
        drops.add('out: peer removed', waiting.take(command.peer).length);
        return;
      case 'activate':
        slots.activate(command.peer, command.slot);
        return;
      case 'deactivate':
        slots.deactivate(command.peer, command.slot);
        return;
      case 'endpoint':
        slots.setEndpoint(peerAt(arena.layout, command.slot), command.sockaddr);
        return;
      case 'keypair':
        this.#keypair(command, now);
        return;
      case 'drop-keypairs':
        slots.dropKeypairs(peerAt(arena.layout, command.slot));
        return;
      case 'keepalive':
        this.#transmit.keepalive(peerAt(arena.layout, command.slot), now);
        return;
      case 'give-up':
        drops.add('out: handshake given up', waiting.take(command.peer).length);
        return;
      case 'inject':
        this.#transmit.inject(command.peer, command.packet, now);
        return;
      case 'relayed':
        this.#receive.relayed(now);
        return;
      case 'rules':
        this.#rules(command.rules);
        return;
      case 'mtu':
        this.#shared.mtuBytes = command.mtuBytes;
        return;
      case 'report':
        this.#ports.notify({ type: 'report', report: this.#report() });
        return;
      default:
        unreachable(command);
    }
  }

  #keypair(command: Extract<Command, { type: 'keypair' }>, now: number): void {
    const { slots, aead, arena } = this.#shared;
    const at = peerAt(arena.layout, command.slot);
    const keypair = keypairAt(arena.layout, command.keypair);
    // Nothing that was kept for this place may outlive a change of its keys, whoever held it before.
    aead.forget(keypair + KEYPAIR.sendKey);
    aead.forget(keypair + KEYPAIR.receiveKey);
    slots.markAnswered(at);
    if (command.as === 'next') {
      slots.installNext(at, command.keypair);
      return;
    }
    slots.installCurrent(at, command.keypair);
    this.#transmit.release(slots.peerOf(at), now, true);
  }

  #rules(rules: readonly Rule[]): void {
    const { arena, kernels } = this.#shared;
    const { rulesAt, sizes } = arena.layout;
    const held = rules.slice(0, sizes.rules);
    for (const [i, rule] of held.entries()) writeRule(arena.u8, rulesAt + i * RULE_BYTES, rule);
    this.#generation++;
    kernels.filterRules(held.length, this.#generation);
  }

  #report(): Report {
    const udp = [this.#udp4, this.#udp6].filter((port) => port !== null);
    const refused = udp.flatMap((port) => [...port.counters.refused.values()]);
    return {
      drops: this.#shared.drops.all(),
      flowsEvicted: this.#ports.kernels.filterEvicted(),
      gso: {
        udp4: this.#udp4?.counters.gso ?? false,
        udp6: this.#udp6?.counters.gso ?? false,
      },
      sendCalls: udp.reduce((calls, port) => calls + port.counters.sendCalls, 0),
      refusedDatagrams: refused.reduce((sum, count) => sum + count, 0),
      packetsSent: this.#transmit.packets,
      packetsReceived: this.#receive.packets,
      refused: this.#shared.drops.refused,
    };
  }
}
