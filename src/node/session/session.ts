/**
 * Membership of a network: what the rest of the node asks and tells.
 *
 *     start ── lock, files ──> keys, prefs, last map ──> applied at once, also with no server
 *     edit, login, logout, rotateKey ──> prefs, keys ──> ControlLoop ──maps──> fold ──> claims ──> Netmap ──> listeners
 *
 * Listeners hear of a change after it is so, in the order in which they were added, and must not throw. A map is
 * to be applied while the state is Running or Starting, and counts as empty otherwise.
 */

import type { Env } from '../../base/env.ts';
import { BugError, ConfigError, DeniedError, NetError } from '../../base/errors.ts';
import type { NodePrivate } from '../../base/keys.ts';
import type { Millis, UnixMillis } from '../../base/time.ts';
import type { ClaimFault } from '../../protocol/tailcfg/claims.ts';
import { formatDiscoPublic } from '../../protocol/tailcfg/keys.ts';
import type { AllottedDevice, ReportedDevice } from '../../protocol/tailcfg/lan.ts';
import type { NetInfo, Service } from '../../protocol/tailcfg/types.ts';
import type { WishKind } from './enrol.ts';
import { lockFolder } from './folder-lock.ts';
import { Membership } from './membership.ts';
import type { Changed, Netmap } from './netmap.ts';
import { EMPTY_NETMAP } from './netmap.ts';
import type { OwnEndpoint } from './own-facts.ts';
import { OwnFacts } from './own-facts.ts';
import type { SessionPorts } from './ports.ts';
import type { Prefs } from './prefs.ts';
import { DEFAULT_PREFS, editedPrefs } from './prefs.ts';
import { logOut, reportDevices } from './requests.ts';
import type { BackendState } from './state.ts';
import { StateFiles } from './state-files.ts';

export interface LoginOptions {
  readonly authKey?: string;
  /** With a new key, also where the old one is good. */
  readonly force?: boolean;
}

type Listeners<A extends readonly unknown[]> = Set<(...said: A) => void>;

export class Session {
  readonly #ports: SessionPorts;
  readonly #facts: OwnFacts;
  readonly #onChange: Listeners<[Netmap, Changed]> = new Set();
  readonly #onState: Listeners<[BackendState]> = new Set();
  readonly #onKey: Listeners<[NodePrivate]> = new Set();
  #membership: Membership | undefined;
  #unlock: () => void = () => {};

  constructor(_env: Env, ports: SessionPorts) {
    this.#ports = ports;
    this.#facts = new OwnFacts(ports.board, formatDiscoPublic(ports.discoKey));
  }

  get prefs(): Prefs {
    return this.#membership?.prefs ?? DEFAULT_PREFS;
  }

  get state(): BackendState {
    return this.#membership?.state ?? 'NoState';
  }

  get netmap(): Netmap {
    return this.#membership?.netmap ?? EMPTY_NETMAP;
  }

  /** That the server has accepted. */
  get nodeKey(): NodePrivate | undefined {
    const identity = this.#membership?.identity;
    return identity?.member === true ? identity.node.secret : undefined;
  }

  get keyCreated(): UnixMillis | undefined {
    return this.#membership?.identity.created || undefined;
  }

  get keyRotates(): UnixMillis | undefined {
    return this.#membership?.rotates;
  }

  /** Where a person has to log the node in. */
  get authUrl(): string | undefined {
    return this.#membership?.authUrl;
  }

  /** Why the server refused the last login, in its own words. */
  get loginError(): string | undefined {
    return this.#membership?.loginError;
  }

  /** A map stream is open. */
  get connected(): boolean {
    return this.#membership?.connected ?? false;
  }

  /** When the stream last said something. */
  get heardAt(): Millis | undefined {
    return this.#membership?.heardAt;
  }

  /** The map is that of the disk. */
  get fromCache(): boolean {
    return this.#membership?.fromCache ?? false;
  }

  /** Our home relay's region: as measured, else as the server last had it; 0: none. */
  get homeRelay(): number {
    return this.#facts.netInfo?.PreferredDERP || this.netmap.self?.HomeDERP || 0;
  }

  /** What was left out of maps and pings, by reason, since the start. */
  get counters(): ReadonlyMap<string, number> {
    return this.#membership?.tally.counts ?? new Map();
  }

  /** What of the present map does not count, by reason. */
  get claimFaults(): ReadonlyMap<ClaimFault, number> {
    return this.#membership?.claimFaults ?? new Map();
  }

  onChange(listener: (netmap: Netmap, changed: Changed) => void): () => void {
    return added(this.#onChange, listener);
  }

  /** Also called when authUrl, loginError or connected are new. */
  onState(listener: (state: BackendState) => void): () => void {
    return added(this.#onState, listener);
  }

  /** Called with each key that the server has accepted. */
  onKey(listener: (key: NodePrivate) => void): () => void {
    return added(this.#onKey, listener);
  }

  /** @throws ConfigError where another process uses the folder */
  async start(): Promise<void> {
    if (this.#membership !== undefined) throw new BugError('the session has been started');
    const { folder, files, health } = this.#ports;
    this.#unlock = await lockFolder(folder);
    const found = await StateFiles.open(folder, files, health);
    const membership = await Membership.load(this.#ports, this.#facts, found, {
      changed: (netmap, changed) => {
        for (const listener of this.#onChange) listener(netmap, changed);
      },
      state: (state) => {
        for (const listener of this.#onState) listener(state);
      },
      key: () => {
        const key = this.nodeKey;
        if (key !== undefined) for (const listener of this.#onKey) listener(key);
      },
    });
    this.#membership = membership;
    membership.settle();
    this.#startWanted(membership);
  }

  /** @throws ConfigError naming the setting that cannot be */
  async edit(change: Partial<Prefs>): Promise<void> {
    const membership = this.#loaded();
    const prefs = editedPrefs(membership.prefs, change);
    const { identity } = membership;
    const moves = identity.member && origin(identity.controlUrl) !== origin(prefs.controlUrl);
    if (moves || !prefs.wantRunning || prefs.loggedOut) await membership.loop.stop();
    if (moves) {
      membership.forgetMap();
      await membership.keys.forget();
      await membership.cache.forget();
    }
    await membership.setPrefs(prefs);
    if (membership.identity.member) this.#startWanted(membership);
  }

  /**
   * Resolves when the server has accepted the node, or has said where a person must log it in (`authUrl`); waits
   * for a server that does not answer.
   *
   * @throws ConfigError where no server is set; DeniedError with the server's words; NetError when it was given up
   */
  async login({ authKey, force }: LoginOptions = {}): Promise<void> {
    const membership = this.#loaded();
    if (membership.prefs.controlUrl === '')
      throw new ConfigError('no server is set: name it with --login-server URL');
    membership.loginError = undefined;
    const granted = this.#wish(membership, force === true ? 'force' : 'login', authKey);
    granted.catch((error: Error) => {
      if (error instanceof DeniedError) membership.refused(error.message);
    });
    await membership.setPrefs({ ...membership.prefs, wantRunning: true, loggedOut: false });
    membership.loop.start();
    await granted;
  }

  /** Leaves the network; the server is told where it answers within 5 s. */
  async logout(): Promise<void> {
    const membership = this.#loaded();
    const { identity, prefs, loop } = membership;
    await loop.stop();
    if (identity.member && prefs.controlUrl !== '')
      await logOut(this.#ports, (signal) => loop.client(signal), {
        nodeKey: identity.node.text,
        hostinfo: membership.hostinfo(),
        ephemeral: prefs.ephemeral,
      });
    await membership.keys.forget();
    membership.forgetMap();
    await membership.cache.forget();
    membership.askPerson(undefined);
    await membership.setPrefs({ ...prefs, wantRunning: false, loggedOut: true });
  }

  /**
   * Resolves when another key is in use.
   *
   * @throws NetError without a connection; DeniedError where the server does not grant it
   */
  rotateKey(): Promise<void> {
    const membership = this.#loaded();
    if (!membership.connected)
      return Promise.reject(new NetError('the server does not answer; the key stays as it is'));
    return this.#wish(membership, 'rotate', undefined);
  }

  setEndpoints(endpoints: readonly OwnEndpoint[]): void {
    if (this.#facts.setEndpoints(endpoints)) this.#membership?.loop.changed();
  }

  setNetInfo(info: NetInfo): void {
    if (this.#facts.setNetInfo(info)) this.#membership?.loop.changed();
  }

  setSshHostKeys(lines: readonly string[]): void {
    if (this.#facts.setSshHostKeys(lines)) this.#membership?.loop.changed();
  }

  setServices(services: readonly Service[]): void {
    if (this.#facts.setServices(services)) this.#membership?.loop.changed();
  }

  /** All that is shared. @throws NetError to try again; DeniedError where the server will not have it */
  async setLanDevices(devices: readonly ReportedDevice[]): Promise<readonly AllottedDevice[]> {
    const membership = this.#loaded();
    if (!membership.connected) throw new NetError('control: not connected');
    const { signal } = new AbortController();
    const client = await membership.loop.client(signal);
    return reportDevices(client, membership.identity.node.text, devices, signal);
  }

  /** Links or addresses have changed: a server that was away is asked again at once, a connection is tested. */
  networkChanged(): void {
    this.#membership?.loop.retry();
  }

  /** What is to be kept is on the disk when it resolves. */
  async close(): Promise<void> {
    await this.#membership?.close();
    this.#unlock();
  }

  #loaded(): Membership {
    if (this.#membership === undefined) throw new BugError('the session has not been started');
    return this.#membership;
  }

  #startWanted({ prefs, loop }: Membership): void {
    if (prefs.wantRunning && !prefs.loggedOut && prefs.controlUrl !== '') loop.start();
  }

  #wish({ loop }: Membership, kind: WishKind, authKey: string | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    loop.wish({ kind, authKey, followup: undefined, done: resolve, failed: reject });
    return promise;
  }
}

function added<T>(set: Set<T>, listener: T): () => void {
  set.add(listener);
  return () => set.delete(listener);
}

const origin = (url: string): string => URL.parse(url)?.origin ?? '';
