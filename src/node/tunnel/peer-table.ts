/**
 * The configured peers and their allowed IPs: what a person set, found by key or by number. Allowed IPs are
 * kept twice, here to be read back and changed, in the worker to be looked up; every change goes to both.
 */

import type { NodePublic } from '../../base/keys.ts';
import { keyText } from '../../base/keys.ts';
import type { Prefix } from '../../base/prefix.ts';
import { AllowedIps } from '../../protocol/wireguard/allowed-ips.ts';
import { CookieGenerator } from '../../protocol/wireguard/cookie.ts';
import type { PeerChange } from './configuration.ts';
import type { Peer } from './peer.ts';
import { newPeer } from './peer.ts';
import type { PlaneLink } from './ports.ts';

export class PeerTable {
  readonly #link: PlaneLink;
  readonly #allowedIps = new AllowedIps();
  readonly #byKey = new Map<string, Peer>();
  readonly #byNumber = new Map<number, Peer>();
  #nextNumber = 1;

  constructor(link: PlaneLink) {
    this.#link = link;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** In the order in which they were added; peers may be removed meanwhile. */
  all(): readonly Peer[] {
    return [...this.#byKey.values()];
  }

  find(publicKey: NodePublic): Peer | undefined {
    return this.#byKey.get(keyText(publicKey));
  }

  numbered(number: number): Peer | undefined {
    return this.#byNumber.get(number);
  }

  allowedIps(peer: Peer): readonly Prefix[] {
    return this.#allowedIps.entries(peer.number);
  }

  /** @param publicKey of nobody in the table */
  add(publicKey: NodePublic): Peer {
    const peer = newPeer(this.#nextNumber++, publicKey, new CookieGenerator(publicKey));
    this.#byKey.set(keyText(publicKey), peer);
    this.#byNumber.set(peer.number, peer);
    return peer;
  }

  /** Its allowed IPs and waiting packets go with it. */
  remove(peer: Peer): void {
    this.#allowedIps.removePeer(peer.number);
    this.#link.send({ type: 'forget', peer: peer.number });
    this.#byKey.delete(keyText(peer.publicKey));
    this.#byNumber.delete(peer.number);
  }

  /** A prefix that another peer had moves to this one. */
  changeAllowedIps({ number: peer }: Peer, change: PeerChange): void {
    if (change.replaceAllowedIps === true) {
      for (const prefix of this.#allowedIps.entries(peer))
        this.#link.send({ type: 'disallow', peer, prefix });
      this.#allowedIps.removePeer(peer);
    }
    for (const { prefix, remove } of change.allowedIps) {
      if (remove) this.#allowedIps.remove(prefix, peer);
      else this.#allowedIps.insert(prefix, peer);
      this.#link.send({ type: remove ? 'disallow' : 'allow', peer, prefix });
    }
  }
}
