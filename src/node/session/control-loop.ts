/**
 * Staying a member: one connection after another, for as long as the node is wanted.
 *
 *     connect ──> [wish, or no member: enrol] ──> map session ──┐
 *        ^                                                      │ ended, cut off, silent
 *        └──────────── wait: 1 to 30 s, by chance <─────────────┘ 401, 404: no member; at once, then as above
 *
 * A wish (login, rotation) interrupts what is going on; the connection is kept for it. The server's key is asked
 * for once for each server, and again when a handshake fails.
 */

import { DeniedError, NetError } from '../../base/errors.ts';
import type { Millis } from '../../base/time.ts';
import { millis } from '../../base/time.ts';
import type { PeerKey } from '../../crypto/x25519.ts';
import type { MapResponse } from '../../protocol/tailcfg/map-types.ts';
import { Backoff } from './backoff.ts';
import { fetchServerKey } from './connect.ts';
import { ControlClient } from './control-client.ts';
import { pause } from './deadline.ts';
import type { EnrolHost, Wish } from './enrol.ts';
import { enrol, ownWish } from './enrol.ts';
import { machineKeyOf } from './identity.ts';
import { MapSession, NotMemberError } from './map-session.ts';
import type { OwnFacts } from './own-facts.ts';
import type { SessionPorts } from './ports.ts';
import type { Prefs } from './prefs.ts';
import { controlUrlOf } from './prefs.ts';

export interface LoopHost extends EnrolHost {
  readonly ports: SessionPorts;
  readonly prefs: Prefs;
  readonly facts: OwnFacts;
  map(map: MapResponse): void;
  /** The server does not know our key. */
  notMember(): Promise<void>;
  rotationRefused(text: string): void;
  reached(): void;
  /** Nothing comes of it for now. */
  failed(error: Error): void;
  /** A frame of the map has come. */
  heard(): void;
  /** The map session has ended, whatever comes next. */
  parted(): void;
  count(reason: string, detail?: string): void;
}

const REFUSED_WAIT = millis(300_000);
/** "Not a member" again within this long after a login is no reason to hurry. */
const HASTE = millis(60_000);

export class ControlLoop {
  readonly #host: LoopHost;
  readonly #backoff: Backoff;
  #running: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;
  #turn: AbortController = new AbortController();
  #wish: Wish | undefined;
  #client: ControlClient | undefined;
  #map: MapSession | undefined;
  #serverKey: { readonly origin: string; readonly key: PeerKey } | undefined;
  #lastExpelled: Millis | undefined;
  /** Something was asked for since the last turn began. */
  #hurry = false;

  constructor(host: LoopHost) {
    this.#host = host;
    this.#backoff = new Backoff(host.ports.env.random);
  }

  get isConnected(): boolean {
    return this.#map !== undefined;
  }

  start(): void {
    if (this.#running !== undefined) return;
    const stop = new AbortController();
    this.#running = { stop, ended: this.#run(stop.signal) };
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    running.stop.abort(new NetError('session: stopped'));
    this.#interrupt();
    this.#wish?.failed(new NetError('session: stopped'));
    this.#wish = undefined;
    this.#client?.close();
    await running.ended;
  }

  /** Takes the place of a wish that is under way. */
  wish(wish: Wish): void {
    this.#wish?.failed(new NetError('session: another login was asked for'));
    this.#wish = wish;
    this.#interrupt();
  }

  /** What the node says of itself is new. */
  changed(): void {
    this.#map?.changed();
  }

  /** The network has changed: no reason to wait any longer, nor to trust the connection. */
  retry(): void {
    this.#backoff.reset();
    if (this.#map === undefined) this.#interrupt();
    else this.#client?.test();
  }

  /** A connection for one request of its own; the loop's, where there is one. */
  async client(signal: AbortSignal): Promise<ControlClient> {
    if (this.#client !== undefined && !this.#client.isClosed) return this.#client;
    const { ports, keys, prefs } = this.#host;
    const url = controlUrlOf(prefs.controlUrl);
    const key = await this.#keyOf(url, signal);
    try {
      return await ControlClient.open(ports, url, machineKeyOf(keys.identity), key, signal);
    } catch (error) {
      // It may have another key by now.
      this.#serverKey = undefined;
      throw error;
    }
  }

  #interrupt(): void {
    this.#hurry = true;
    this.#turn.abort(new NetError('session: something else comes first'));
  }

  async #run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      this.#turn = new AbortController();
      this.#hurry = false;
      const { signal } = this.#turn;
      try {
        this.#client = await this.client(signal);
        await this.#member(this.#client, signal);
      } catch (error) {
        if (stop.aborted) break;
        if (signal.aborted) continue;
        await this.#failed(error as Error, stop);
      }
    }
    this.#client?.close();
    this.#client = undefined;
  }

  async #member(client: ControlClient, signal: AbortSignal): Promise<void> {
    const host = this.#host;
    const { identity } = host.keys;
    if (this.#wish !== undefined || identity.candidate !== undefined || !identity.member)
      await this.#enrol(client, signal);
    const map = new MapSession({
      ports: host.ports,
      client,
      streamRequest: () => host.facts.stream(host.keys.identity.node.text, host.prefs),
      updateRequest: () => host.facts.update(host.keys.identity.node.text, host.prefs),
      map: (found) => {
        this.#backoff.reset();
        host.reached();
        host.map(found);
      },
      heard: () => host.heard(),
      count: (reason, detail) => host.count(reason, detail),
    });
    this.#map = map;
    try {
      await map.run(signal);
    } finally {
      this.#map = undefined;
      host.parted();
    }
  }

  async #enrol(client: ControlClient, signal: AbortSignal): Promise<void> {
    const host = this.#host;
    // A candidate of before a power cut: the server has it, or has never heard of it.
    const left = host.keys.identity.member && host.keys.identity.candidate !== undefined;
    const wish = this.#wish ?? ownWish(left ? 'rotate' : 'resume');
    this.#wish = wish;
    try {
      const granted = await enrol(host, client, wish, this.#backoff, signal);
      if (granted) wish.done();
      else {
        host.rotationRefused('the server wants a login for it');
        wish.failed(new DeniedError('the server wants a login for a new key: use a forced login'));
      }
      if (this.#wish === wish) this.#wish = undefined;
    } catch (error) {
      if (!(error instanceof DeniedError)) throw error;
      if (this.#wish === wish) this.#wish = undefined;
      wish.failed(error);
      if (wish.kind === 'rotate') host.rotationRefused(error.message);
      // The key of before serves on.
      if (!host.keys.identity.member) throw error;
    }
  }

  async #failed(error: Error, stop: AbortSignal): Promise<void> {
    const host = this.#host;
    const { env } = host.ports;
    if (error instanceof NotMemberError) {
      host.count('control: not a member');
      await host.notMember();
      const last = this.#lastExpelled;
      this.#lastExpelled = env.now();
      if (last === undefined || env.now() - last > HASTE) return;
    } else if (!(error instanceof NetError || error instanceof DeniedError)) {
      throw error;
    }
    if (!(error instanceof NotMemberError)) {
      this.#client?.close();
      this.#client = undefined;
    }
    host.failed(error);
    if (this.#hurry) return;
    const wait = this.#backoff.next(error instanceof DeniedError ? REFUSED_WAIT : millis(0));
    const turn = new AbortController();
    this.#turn = turn;
    const end = (): void => turn.abort();
    stop.addEventListener('abort', end, { once: true });
    try {
      await pause(env, wait, turn.signal);
    } catch {
      // Woken up early.
    } finally {
      stop.removeEventListener('abort', end);
    }
  }

  async #keyOf(url: URL, signal: AbortSignal): Promise<PeerKey> {
    if (this.#serverKey?.origin === url.origin) return this.#serverKey.key;
    const key = await fetchServerKey(this.#host.ports, url, signal);
    this.#serverKey = { origin: url.origin, key };
    return key;
  }
}
