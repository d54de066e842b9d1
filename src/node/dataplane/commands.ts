/**
 * What the main thread tells the worker, and what the worker reports. Messages keep their order; keys do
 * not travel in them: the main thread writes a free keypair slot of the arena and names it.
 *
 *     peers are numbered by the main thread; `peer` is that number, `slot` the place of an active peer
 */

import type { Prefix } from '../../base/prefix.ts';
import type { AeadName } from './ports.ts';
import type { Rule } from './rules.ts';

export type Command =
  /** Packets to `prefix` go to this peer, and its packets may come from there; taken from whoever had it. */
  | { readonly type: 'allow'; readonly peer: number; readonly prefix: Prefix }
  | { readonly type: 'disallow'; readonly peer: number; readonly prefix: Prefix }
  /** The peer is gone: allowed IPs, staged packets, slot. */
  | { readonly type: 'forget'; readonly peer: number }
  /** The peer gets an (empty) slot. */
  | { readonly type: 'activate'; readonly peer: number; readonly slot: number }
  /** The slot's keypairs are unnamed (the main thread wipes and frees them after `released`), then the slot. */
  | { readonly type: 'deactivate'; readonly peer: number; readonly slot: number }
  /** @property sockaddr 28 bytes */
  | { readonly type: 'endpoint'; readonly slot: number; readonly sockaddr: Uint8Array }
  /** `current`: we initiated; `next`: we answered, and wait for the first packet under it. */
  | {
      readonly type: 'keypair';
      readonly slot: number;
      readonly keypair: number;
      readonly as: 'current' | 'next';
    }
  /** Unnames every keypair of the slot: expired, or its private key has changed. */
  | { readonly type: 'drop-keypairs'; readonly slot: number }
  | { readonly type: 'keepalive'; readonly slot: number }
  /** The handshake was given up: staged packets are dropped. */
  | { readonly type: 'give-up'; readonly peer: number }
  /** Sends an inner packet to the peer as if it had come from the device, past the filter. */
  | { readonly type: 'inject'; readonly peer: number; readonly packet: Uint8Array }
  /** The relay's ring holds datagrams that came by it. */
  | { readonly type: 'relayed' }
  /** Replaces the whole rule table; not more than sizes.rules. */
  | { readonly type: 'rules'; readonly rules: readonly Rule[] }
  /** Descriptors of the UDP sockets, -1 for none; the old ones are no longer used after `sockets`. */
  | {
      readonly type: 'sockets';
      readonly udp4: number;
      readonly udp6: number;
      /** The kernel splits joined datagrams (UDP_SEGMENT). */
      readonly gso: boolean;
    }
  /** Inner MTU, for padding. */
  | { readonly type: 'mtu'; readonly mtuBytes: number }
  | { readonly type: 'report' }
  | { readonly type: 'stop' };

export type Event =
  | { readonly type: 'ready'; readonly aead: AeadName; readonly refusedAeads: readonly string[] }
  /** A packet waits for this peer and there is no keypair to seal it with. */
  | { readonly type: 'handshake-wanted'; readonly peer: number }
  /** The initiator's keypair has reached its rekey time or its last minute. */
  | { readonly type: 'rekey'; readonly slot: number }
  /** Data goes to this peer, and no endpoint of it is trusted (in a mesh); told once a second. */
  | { readonly type: 'path-wanted'; readonly slot: number }
  /** The relay's ring holds datagrams to be sent by it. */
  | { readonly type: 'relay' }
  /** A timer has become due earlier than `checkAt`; the marks in the arena say which. */
  | { readonly type: 'wake'; readonly slot: number }
  /** The first packet under `keypair` came: next has become current. */
  | { readonly type: 'confirmed'; readonly slot: number; readonly keypair: number }
  /** No peer slot names these keypairs any longer. */
  | { readonly type: 'released'; readonly keypairs: readonly number[] }
  /** The peer has no slot any longer; these are the bytes that it carried. */
  | {
      readonly type: 'deactivated';
      readonly peer: number;
      readonly bytesSent: number;
      readonly bytesReceived: number;
    }
  /** The worker no longer uses the descriptors of before. */
  | { readonly type: 'sockets' }
  /** The ring holds datagrams. */
  | { readonly type: 'datagrams' }
  | { readonly type: 'report'; readonly report: Report }
  /** The TUN device is gone. */
  | { readonly type: 'gone' };

/** Counters since start. */
export interface Report {
  readonly drops: Readonly<Partial<Record<Drop, number>>>;
  readonly flowsEvicted: number;
  readonly gso: { readonly udp4: boolean; readonly udp6: boolean };
  readonly sendCalls: number;
  readonly refusedDatagrams: number;
  readonly packetsSent: number;
  readonly packetsReceived: number;
  /** The latest packets that the filter or the source check refused, oldest first. */
  readonly refused: readonly RefusedPacket[];
}

/** A packet that was not let in. */
export interface RefusedPacket {
  readonly reason: Drop;
  /** CLOCK_BOOTTIME milliseconds. */
  readonly at: number;
  /** Peer number. */
  readonly peer: number;
  /** Its first bytes, headers and a little more. */
  readonly head: Uint8Array;
}

/** Why the packet path dropped something. */
export type Drop =
  | 'out: no peer for this address'
  | 'out: no endpoint'
  | 'out: waiting packets full'
  | 'out: handshake given up'
  | 'out: peer removed'
  | 'out: relay link busy'
  | 'out: not an IP packet'
  | 'out: keypair worn out'
  | 'in: malformed'
  | 'in: unknown index'
  | 'in: keypair expired'
  | 'in: forged'
  | 'in: replayed'
  | 'in: not an IP packet'
  | 'in: source not allowed'
  | 'in: congestion mark on a packet that cannot carry it'
  | 'in: main thread busy'
  | 'in: filter rules'
  | 'in: filter fragment'
  | 'in: filter malformed'
  | 'tun: write refused';
