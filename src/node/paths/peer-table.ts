/**
 * The peers of the map, by node key and by disco key. A tailnet may have thousands of which a board talks to
 * a handful, so what a path needs is made when it is first used, and let go ten minutes after the last use.
 *
 * Two peers may claim one disco key, since each tells the server its own: both stay listed under it, and the
 * messages say which one is meant. Else any member could cut another off by claiming his key.
 */

import { equalBytes, toHex } from '../../base/bytes.ts';
import type { Endpoint } from '../../base/endpoint.ts';
import type { NodePublic } from '../../base/keys.ts';
import { keyText } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import { millis, seconds } from '../../base/time.ts';
import { PeerPath } from '../../protocol/disco/peer-path.ts';
import { ProbeBudget } from '../../protocol/disco/probe-budget.ts';
import type { PathPeer, Way } from './ports.ts';

const KEEP_UNUSED: Millis = seconds(600);

/** What a peer in use has. */
export interface PeerUse {
  readonly path: PeerPath;
  /** Answers to pings: as bounded as the probes, so that forged sources do not make us a reflector. */
  readonly pongs: ProbeBudget;
  /** Of the boxes with this peer; undefined until needed, empty for a key that makes none. */
  boxKey: Uint8Array | undefined;
  /** Data last waited for a path. */
  wantedAt: Millis;
  usedAt: Millis;
  active: boolean;
  /** Where the peer's own messages came from by relay last; for one whose home is not known. */
  heardRelay: number;
  /** Where the peer saw us last, by what it answered directly. */
  seenFrom: Endpoint | undefined;
  /** Where it may still think we are; empty once a direct way is proven anew (calls.ts). */
  former: readonly Endpoint[];
  formerUntil: Millis;
  /** As the data plane was told. */
  way: Way;
  cancelTimer: () => void;
}

export interface PeerEntry {
  peer: PathPeer;
  use: PeerUse | undefined;
}

export const NO_WAY: Way = { direct: undefined, trustedUntil: millis(0) };

export class PeerTable {
  readonly #byNode = new Map<string, PeerEntry>();
  readonly #byDisco = new Map<string, PeerEntry[]>();
  readonly #used = new Set<PeerEntry>();

  get(nodeKey: NodePublic): PeerEntry | undefined {
    return this.#byNode.get(keyText(nodeKey));
  }

  all(): readonly PeerEntry[] {
    return [...this.#byNode.values()];
  }

  used(): readonly PeerEntry[] {
    return [...this.#used];
  }

  ofDisco(discoKey: Uint8Array): readonly PeerEntry[] {
    return this.#byDisco.get(toHex(discoKey)) ?? [];
  }

  /** @returns the entry, and whether the peer runs anew since it was last told */
  put(peer: PathPeer, now: Millis): { readonly entry: PeerEntry; readonly restarted: boolean } {
    const text = keyText(peer.nodeKey);
    const known = this.#byNode.get(text);
    if (known === undefined) {
      const entry: PeerEntry = { peer, use: undefined };
      this.#byNode.set(text, entry);
      this.#index(entry);
      return { entry, restarted: false };
    }
    const before = known.peer.discoKey;
    const same = before !== undefined && peer.discoKey !== undefined;
    const restarted = same && !equalBytes(before, peer.discoKey);
    this.#unindex(known);
    known.peer = peer;
    this.#index(known);
    if (known.use !== undefined && before !== peer.discoKey) known.use.boxKey = undefined;
    known.use?.path.setMap(peer.endpoints, now);
    if (restarted) known.use?.path.reset();
    return { entry: known, restarted };
  }

  remove(entry: PeerEntry): void {
    this.#byNode.delete(keyText(entry.peer.nodeKey));
    this.#unindex(entry);
    this.release(entry);
  }

  use(entry: PeerEntry, now: Millis): PeerUse {
    if (entry.use !== undefined) {
      entry.use.usedAt = now;
      return entry.use;
    }
    const use: PeerUse = {
      path: new PeerPath(),
      pongs: new ProbeBudget(),
      boxKey: undefined,
      wantedAt: millis(0),
      usedAt: now,
      active: false,
      heardRelay: 0,
      seenFrom: undefined,
      former: [],
      formerUntil: millis(0),
      way: NO_WAY,
      cancelTimer: () => {},
    };
    use.path.setMap(entry.peer.endpoints, now);
    entry.use = use;
    this.#used.add(entry);
    return use;
  }

  /** Entries that nobody has used for long and may be released. */
  unused(now: Millis): readonly PeerEntry[] {
    return [...this.#used].filter(
      ({ use }) => use !== undefined && !use.active && use.usedAt + KEEP_UNUSED <= now,
    );
  }

  release(entry: PeerEntry): void {
    entry.use?.cancelTimer();
    entry.use?.boxKey?.fill(0);
    entry.use = undefined;
    this.#used.delete(entry);
  }

  #index(entry: PeerEntry): void {
    if (entry.peer.discoKey === undefined) return;
    const text = toHex(entry.peer.discoKey);
    const list = this.#byDisco.get(text);
    if (list === undefined) this.#byDisco.set(text, [entry]);
    else list.push(entry);
  }

  #unindex(entry: PeerEntry): void {
    if (entry.peer.discoKey === undefined) return;
    const text = toHex(entry.peer.discoKey);
    const rest = (this.#byDisco.get(text) ?? []).filter((one) => one !== entry);
    if (rest.length === 0) this.#byDisco.delete(text);
    else this.#byDisco.set(text, rest);
  }
}

/** A peer's home; where the map has none, the relay that brought his last message. */
export function relayOf({ peer, use }: PeerEntry): number {
  return peer.homeRelay !== 0 ? peer.homeRelay : (use?.heardRelay ?? 0);
}
