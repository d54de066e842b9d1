/**
 * The last map, kept for a start without a server. A card wears out by writing, so it is written seldom: at the
 * first map, then no more than once in ten minutes and at the end, and only where something has changed that a
 * restart would miss, or the time on it is a day old. Who is online, and from where, changes all the time and is
 * not that, but for the end, which writes where everybody was last.
 *
 * A member that is new, or runs anew, could not be reached by an old map: that is written within seconds, at
 * pauses that double from two seconds up to those ten minutes.
 *
 *     document   { time, zstd }      time: the network's, a floor for the next start; zstd: a Told as JSON, base64
 *
 * 1,000 peers make 180 kB. A network that does not fit into a document is not kept, and that is said once.
 */

import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { fromBase64, toBase64 } from '../../base/bytes.ts';
import type { Env } from '../../base/env.ts';
import type { Millis, UnixMillis } from '../../base/time.ts';
import { after, millis, unixMillis } from '../../base/time.ts';
import type { Told } from '../../protocol/tailcfg/fold.ts';
import { fold, NOTHING_TOLD } from '../../protocol/tailcfg/fold.ts';
import type { MapResponse } from '../../protocol/tailcfg/map-types.ts';
import { salvageMap } from '../../protocol/tailcfg/salvage.ts';
import type { Node } from '../../protocol/tailcfg/types.ts';
import { MAX_MAP_BYTES } from '../../protocol/tailcfg/validate.ts';

export const CACHE_VERSION = 1;

const BETWEEN_WRITES = millis(600_000);
const SOON = millis(2000);
const TIME_AGE_MILLIS = 86_400_000;
/** A document of store/safe-file.ts has 1 MiB at most. */
const MAX_TEXT = 1_000_000;

export interface CacheDocument {
  readonly time: number;
  readonly zstd: string;
}

/** @throws Error where it is none */
export function readCache(body: unknown, version: number): CacheDocument {
  const { time, zstd } = (body ?? {}) as Partial<CacheDocument>;
  if (version !== CACHE_VERSION || typeof zstd !== 'string' || !Number.isFinite(time))
    throw new Error('it holds no map');
  return { time: Number(time), zstd };
}

/** What a document holds; it is read as a map from a server is, and trusted no more. */
export function toldIn({ zstd }: CacheDocument): Told {
  const bytes = fromBase64(zstd);
  if (bytes === undefined || bytes.length === 0) return NOTHING_TOLD;
  let json: Uint8Array;
  try {
    json = zstdDecompressSync(bytes, { maxOutputLength: MAX_MAP_BYTES });
  } catch {
    return NOTHING_TOLD;
  }
  const found = salvageMap(json);
  return 'reason' in found ? NOTHING_TOLD : fold(NOTHING_TOLD, found.map, unixMillis(0));
}

/** A map that says all of `told`. */
export function mapOf(told: Told): MapResponse {
  const { self, peers, users, derpMap, dns, domain, filters, sshPolicy, health, messages } = told;
  return {
    ...(self && { Node: self }),
    Peers: [...peers.values()],
    UserProfiles: [...users.values()],
    ...(derpMap && { DERPMap: derpMap }),
    ...(dns && { DNSConfig: dns }),
    Domain: domain,
    ...(filters && { PacketFilters: Object.fromEntries(filters) }),
    ...(sshPolicy && { SSHPolicy: sshPolicy }),
    Health: health,
    DisplayMessages: Object.fromEntries(messages),
  };
}

export interface CachePort {
  writeCache(document: CacheDocument): Promise<boolean>;
}

export class NetmapCache {
  readonly #env: Env;
  readonly #port: CachePort;
  readonly #time: () => UnixMillis;
  /** What decides, of the map on the disk, and its time. */
  #written: string | undefined;
  #writtenTime: number;
  #told: Told | undefined;
  #nextWrite: Millis;
  /** Who could be reached by the map on the disk. */
  #reachable = '';
  /** Doubles with each write for the sake of members. */
  #pause: Millis = SOON;
  #soonAt: Millis;
  #cancel: (() => void) | undefined;
  #saidTooLarge = false;

  /** @param kept what the disk holds, and of what time */
  constructor(
    env: Env,
    port: CachePort,
    time: () => UnixMillis,
    kept: { readonly told: Told; readonly time: number } | undefined,
  ) {
    this.#env = env;
    this.#port = port;
    this.#time = time;
    this.#nextWrite = env.now();
    this.#soonAt = env.now();
    this.#reachable = kept === undefined ? '' : reachable(kept.told);
    this.#written = kept && essence(kept.told);
    this.#writtenTime = kept?.time ?? 0;
  }

  /** What there is to keep now; it is written when its time has come. */
  take(told: Told): void {
    this.#told = told;
    if (this.#cancel === undefined) this.#arm(this.#nextWrite);
    if (reachable(told) !== this.#reachable) this.#arm(this.#soonAt);
  }

  #arm(at: Millis): void {
    const { now } = this.#env;
    this.#cancel?.();
    this.#cancel = this.#env.setTimer(
      millis(Math.min(this.#nextWrite, Math.max(at, now()))),
      () => {
        this.#cancel = undefined;
        void this.flush();
      },
    );
  }

  /** Writes what differs, now. @param timed the time is news: a key has expired by it */
  async flush(timed = false, last = false): Promise<void> {
    const told = this.#told;
    if (told === undefined) return;
    const now = essence(told);
    const time = this.#time();
    const isOld = timed || time - this.#writtenTime >= TIME_AGE_MILLIS;
    if (now === this.#written && !isOld && !last) return;
    this.#noteWrite(told);
    const json = Buffer.from(JSON.stringify(mapOf(told)));
    const zstd = toBase64(zstdCompressSync(json));
    if (zstd.length > MAX_TEXT) return this.#sayTooLarge(told.peers.size);
    if (!(await this.#port.writeCache({ time, zstd }))) return;
    this.#written = now;
    this.#writtenTime = time;
  }

  #noteWrite(told: Told): void {
    const now = this.#env.now();
    const isQuiet = now > this.#nextWrite + BETWEEN_WRITES;
    this.#pause = isQuiet ? SOON : millis(Math.min(BETWEEN_WRITES, this.#pause * 2));
    this.#nextWrite = after(now, BETWEEN_WRITES);
    this.#soonAt = after(now, this.#pause);
    this.#reachable = reachable(told);
  }

  /** Nothing is to be found after a logout. */
  async forget(): Promise<void> {
    this.close();
    this.#written = undefined;
    await this.#port.writeCache({ time: this.#time(), zstd: '' });
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#told = undefined;
  }

  #sayTooLarge(peers: number): void {
    if (this.#saidTooLarge) return;
    this.#saidTooLarge = true;
    this.#env.log.warn('session: the map is too large to be kept for a start without a server', {
      peers,
    });
  }
}

/** Who there is, and how each is asked for: what a map must have to find a member without the server. */
function reachable({ peers }: Told): string {
  return [...peers.values()]
    .map(
      ({ ID, Key, DiscoKey, Endpoints }) =>
        `${ID} ${Key} ${DiscoKey} ${(Endpoints?.length ?? 0) > 0}`,
    )
    .join();
}

/** A map without what changes by itself. */
function essence(told: Told): string {
  const steady = ({ Online, LastSeen, Endpoints, ...node }: Node): object => ({
    ...node,
    Hostinfo: { ...node.Hostinfo, NetInfo: undefined },
  });
  const { Node: self, Peers, ...rest } = mapOf(told);
  return JSON.stringify({ self: self && steady(self), peers: Peers?.map(steady), rest });
}
