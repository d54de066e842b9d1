/**
 * How many pings each host sends to each peer in any second. To whom one is goes unsaid on the wire, and most
 * arrive nowhere: it is for the peer whose key opens it. They are opened only where a host has sent more disco in a
 * second than may go to one peer.
 */

import { boxKey } from '../../src/crypto/box.ts';
import type { OwnKey } from '../../src/crypto/x25519.ts';
import { peerKey } from '../../src/crypto/x25519.ts';
import { openDisco } from '../../src/protocol/disco/messages.ts';
import { PROBES_PER_SECOND } from '../../src/protocol/disco/probe-budget.ts';
import type { Host } from './paths-host.ts';

interface Sent {
  readonly at: number;
  readonly datagram: Uint8Array;
  /** Undefined until it is opened. */
  to: number | undefined;
}

/** A pong, or for a key that its owner has thrown away since. */
const NOBODY = -1;

export class PingCounts {
  readonly #hosts: readonly Host[];
  readonly #last = new Map<Host, Sent[]>();
  readonly #keys = new WeakMap<OwnKey, WeakMap<OwnKey, Uint8Array>>();
  /** The most that one host sent to one peer within a second. */
  most: number = 0;

  constructor(hosts: readonly Host[]) {
    this.#hosts = hosts;
  }

  /** A disco datagram leaves. */
  sent(from: Host, datagram: Uint8Array, at: number): void {
    const last = (this.#last.get(from) ?? []).filter((one) => one.at > at - 1000);
    last.push({ at, datagram, to: undefined });
    this.#last.set(from, last);
    if (last.length <= Math.max(PROBES_PER_SECOND, this.most)) return;
    for (const one of last) one.to ??= this.#peerOf(from, one.datagram);
    for (const { to } of last)
      if (to !== NOBODY)
        this.most = Math.max(this.most, last.filter((one) => one.to === to).length);
  }

  /** It has nothing to do with what it was. */
  restarted(host: Host): void {
    this.#last.delete(host);
  }

  #peerOf(from: Host, datagram: Uint8Array): number {
    for (const to of this.#hosts) {
      const key = this.#keyOf(from.disco, to.disco);
      const message = key && openDisco(key, datagram);
      if (typeof message === 'object') return message.type === 'ping' ? to.number : NOBODY;
    }
    return NOBODY;
  }

  #keyOf(own: OwnKey, peer: OwnKey): Uint8Array | undefined {
    const keys = this.#keys.get(own) ?? new WeakMap<OwnKey, Uint8Array>();
    this.#keys.set(own, keys);
    const key = keys.get(peer) ?? boxKey(own, peerKey(peer.publicKey));
    if (key !== undefined) keys.set(peer, key);
    return key;
  }
}
