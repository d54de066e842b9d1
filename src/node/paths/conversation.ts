/**
 * Disco spoken with peers: what a path wants is sent, what comes is opened, judged and taken to its path.
 *
 *     ping            answered where it came from; its source is a candidate unless a relay brought it
 *     pong            proves the endpoint that its ping went to
 *     call-me-maybe   only by relay, and only from the peer whose node key the relay names
 *
 * A message counts for the peer whose disco key opened it; of several with that key, the one whose node key
 * it names. Everything else is dropped by its reason and answered by silence.
 */

import { equalBytes } from '../../base/bytes.ts';
import type { Endpoint } from '../../base/endpoint.ts';
import type { Env } from '../../base/env.ts';
import type { NodePublic } from '../../base/keys.ts';
import { discoPublic } from '../../base/keys.ts';
import { BOX_NONCE_BYTES, boxKey } from '../../crypto/box.ts';
import type { OwnKey } from '../../crypto/x25519.ts';
import { peerKey } from '../../crypto/x25519.ts';
import type { DiscoMessage } from '../../protocol/disco/messages.ts';
import {
  DISCO_TRANSACTION_BYTES,
  discoSender,
  openDisco,
  relayEndpoint,
  sealDisco,
} from '../../protocol/disco/messages.ts';
import type { PeerEntry, PeerTable, PeerUse } from './peer-table.ts';
import type { PathsPorts } from './ports.ts';

export interface RelaySource {
  readonly relay: number;
  readonly peer: NodePublic;
}

export type Via = Endpoint | { readonly relay: number };

export interface ConversationEvents {
  /** Something came that may have changed what a path wants. */
  heard(entry: PeerEntry, use: PeerUse): void;
  /** Any pong, of whatever ping; `direct` where it proved an endpoint. */
  pong(entry: PeerEntry, transaction: Uint8Array, direct: Endpoint | undefined): void;
  count(reason: string): void;
}

type Ports = Pick<PathsPorts, 'sendUdp' | 'sendRelay'>;

export class Conversation {
  readonly #env: Env;
  readonly #ports: Ports;
  readonly #own: OwnKey;
  readonly #peers: PeerTable;
  readonly #events: ConversationEvents;
  /** Ours, said in each ping. */
  nodeKey: NodePublic | undefined;

  constructor(env: Env, ports: Ports, own: OwnKey, peers: PeerTable, events: ConversationEvents) {
    this.#env = env;
    this.#ports = ports;
    this.#own = own;
    this.#peers = peers;
    this.#events = events;
  }

  /** Pings one endpoint of the peer's. @returns the transaction; undefined where nothing could be sent */
  ping(entry: PeerEntry, endpoint: Endpoint): Uint8Array | undefined {
    if (this.nodeKey === undefined) return undefined;
    const now = this.#env.now();
    const transaction = this.#env.random(DISCO_TRANSACTION_BYTES);
    // Even what cannot be sealed counts as tried, so that it is not tried in a circle.
    this.#peers.use(entry, now).path.pinging(endpoint, transaction, now);
    const sealed = this.#seal(entry, { type: 'ping', transaction, sender: this.nodeKey });
    if (sealed === undefined) return undefined;
    this.#events.count('disco: ping sent');
    this.#ports.sendUdp(endpoint, sealed);
    return transaction;
  }

  pingByRelay(entry: PeerEntry, region: number): Uint8Array | undefined {
    if (this.nodeKey === undefined) return undefined;
    const transaction = this.#env.random(DISCO_TRANSACTION_BYTES);
    const ping = { type: 'ping', transaction, sender: this.nodeKey } as const;
    return this.#byRelay(entry, region, ping) ? transaction : undefined;
  }

  /** "I am there": @returns whether a relay took it */
  call(entry: PeerEntry, region: number, endpoints: readonly Endpoint[]): boolean {
    this.#events.count('disco: call sent');
    return this.#byRelay(entry, region, { type: 'call-me-maybe', endpoints });
  }

  /** @param datagram one that isDisco */
  receive(datagram: Uint8Array, from: Endpoint | RelaySource): void {
    const listed = this.#peers.ofDisco(discoSender(datagram));
    const entry = 'relay' in from ? listed.find((one) => isOf(one, from.peer)) : listed[0];
    if (entry === undefined) {
      this.#events.count(listed.length > 0 ? 'disco: relay names another' : 'disco: unknown key');
      return;
    }
    const key = this.#boxKey(entry);
    const message = key === undefined ? 'disco: box does not open' : openDisco(key, datagram);
    if (typeof message === 'string') {
      this.#events.count(message);
      return;
    }
    switch (message.type) {
      case 'ping':
        this.#heardPing(listed, message, from);
        return;
      case 'pong':
        this.#heardPong(listed, message);
        return;
      case 'call-me-maybe':
        this.#heardCall(entry, message.endpoints, from);
        return;
    }
  }

  #heardPing(
    listed: readonly PeerEntry[],
    { sender, transaction }: Extract<DiscoMessage, { type: 'ping' }>,
    from: Endpoint | RelaySource,
  ): void {
    const entry = listed.find((one) => isOf(one, sender));
    if (entry === undefined || ('relay' in from && !isOf(entry, from.peer))) {
      this.#events.count('disco: ping names another');
      return;
    }
    const now = this.#env.now();
    const use = this.#peers.use(entry, now);
    if (use.pongs.left(now) === 0) {
      this.#events.count('disco: too many pings');
      return;
    }
    use.pongs.spend(now);
    this.#events.count('disco: ping received');
    if ('relay' in from) {
      use.heardRelay = from.relay;
      const seenFrom = relayEndpoint(from.relay);
      this.#byRelay(entry, from.relay, { type: 'pong', transaction, seenFrom });
    } else {
      use.path.pinged(from, now);
      const sealed = this.#seal(entry, { type: 'pong', transaction, seenFrom: from });
      if (sealed !== undefined) this.#ports.sendUdp(from, sealed);
    }
    this.#events.heard(entry, use);
  }

  #heardPong(
    listed: readonly PeerEntry[],
    { transaction, seenFrom }: Extract<DiscoMessage, { type: 'pong' }>,
  ): void {
    const now = this.#env.now();
    this.#events.count('disco: pong received');
    for (const entry of listed) {
      const proven = entry.use?.path.pong(transaction, now);
      this.#events.pong(entry, transaction, proven?.endpoint);
      if (entry.use === undefined || proven === undefined) continue;
      entry.use.seenFrom = seenFrom;
      entry.use.former = [];
      this.#events.heard(entry, entry.use);
    }
  }

  #heardCall(entry: PeerEntry, endpoints: readonly Endpoint[], from: Endpoint | RelaySource): void {
    if (!('relay' in from)) {
      this.#events.count('disco: call outside a relay');
      return;
    }
    this.#events.count('disco: call received');
    const now = this.#env.now();
    const use = this.#peers.use(entry, now);
    use.heardRelay = from.relay;
    use.path.called(endpoints, now);
    this.#events.heard(entry, use);
  }

  #byRelay(entry: PeerEntry, region: number, message: DiscoMessage): boolean {
    if (region === 0) return false;
    const sealed = this.#seal(entry, message);
    return sealed !== undefined && this.#ports.sendRelay(region, entry.peer.nodeKey, sealed);
  }

  #seal(entry: PeerEntry, message: DiscoMessage): Uint8Array | undefined {
    const key = this.#boxKey(entry);
    if (key === undefined) return undefined;
    const nonce = this.#env.random(BOX_NONCE_BYTES);
    return sealDisco(discoPublic(this.#own.publicKey), key, nonce, message);
  }

  /** undefined for a peer without disco key, or with one of low order. */
  #boxKey(entry: PeerEntry): Uint8Array | undefined {
    const { discoKey } = entry.peer;
    if (discoKey === undefined) return undefined;
    const use = this.#peers.use(entry, this.#env.now());
    use.boxKey ??= boxKey(this.#own, peerKey(discoKey)) ?? new Uint8Array(0);
    return use.boxKey.length === 0 ? undefined : use.boxKey;
  }
}

const isOf = (entry: PeerEntry, nodeKey: NodePublic): boolean =>
  equalBytes(entry.peer.nodeKey, nodeKey);
