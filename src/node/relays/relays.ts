/**
 * The relay link: a connection to our home region always, to others while packets go through.
 *
 *     send(region, peer, datagram) -> region's queue -> connection, one write a turn
 *     connection -> packet(region, source, datagram) ... batchEnd()
 *
 * What goes in and out is sealed for the peer already; a relay sees keys and lengths. Whom a packet is from, the
 * relay says: the tunnel believes its own keys alone.
 */

import { equalBytes } from '../../base/bytes.ts';
import type { Env } from '../../base/env.ts';
import { NetError } from '../../base/errors.ts';
import type { NodePrivate, NodePublic } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import type { OwnKey } from '../../crypto/x25519.ts';
import { ownKey } from '../../crypto/x25519.ts';
import type { DERPMap, DERPRegion } from '../../protocol/tailcfg/types.ts';
import { latencyCheck, MEASURE_DEADLINE, withDeadline } from './latency.ts';
import type { RelayCounters, RelayStatus, RelaysPorts } from './ports.ts';
import { newCounters } from './ports.ts';
import type { RegionHost } from './region.ts';
import { Region } from './region.ts';
import { SegmentPool } from './send-queue.ts';

export class Relays {
  readonly #env: Env;
  readonly #ports: RelaysPorts;
  readonly #counters = newCounters();
  readonly #host: RegionHost;
  readonly #regions = new Map<number, Region>();
  #map = new Map<number, DERPRegion>();
  #home = 0;
  #key: OwnKey | undefined;

  constructor(env: Env, ports: RelaysPorts) {
    this.#env = env;
    this.#ports = ports;
    this.#host = {
      env,
      ports,
      counters: this.#counters,
      pool: new SegmentPool(),
      key: () => this.#key,
    };
  }

  /** Connections are made again under the new key, and the old ones serve until then. Null: all end. */
  setIdentity(key: NodePrivate | null): void {
    const next = key === null ? undefined : ownKey(key.expose());
    const same = next && this.#key && equalBytes(next.publicKey, this.#key.publicKey);
    if (same !== true) this.#key = next;
    for (const region of this.#regions.values()) region.steer();
  }

  /** The regions of the map; a link to one that is gone ends. */
  setRegions({ Regions }: DERPMap): void {
    this.#map = new Map(Object.values(Regions).map((region) => [region.RegionID, region]));
    for (const [id, link] of this.#regions) {
      const region = this.#map.get(id);
      if (region !== undefined) link.setMap(region);
      else {
        this.#regions.delete(id);
        link.close('the region is no longer in the map');
      }
    }
    this.#link(this.#home)?.setHome(true);
  }

  /** @param region 0: none. One that the map does not have yet counts once it has */
  setHome(region: number): void {
    if (region === this.#home) return;
    this.#regions.get(this.#home)?.setHome(false);
    this.#home = region;
    this.#link(region)?.setHome(true);
  }

  /**
   * Copies a datagram into the region's queue, behind those before it. It leaves at the end of this turn, or with
   * `flush`.
   *
   * @returns false where it is dropped: no such region, no key, or longer than a relay carries
   */
  send(region: number, peer: NodePublic, datagram: Uint8Array): boolean {
    const link = this.#key === undefined ? undefined : this.#link(region);
    if (link !== undefined) return link.send(peer, datagram);
    this.#counters.droppedUnsendable++;
    return false;
  }

  /** Writes what waits without waiting for the end of the turn. */
  flush(): void {
    for (const link of this.#regions.values()) link.flush();
  }

  /**
   * How long a region takes to answer: on the connection that we have, else on a new one that is closed then.
   *
   * @throws NetError; what the dialler throws
   */
  async measure(region: number): Promise<Millis> {
    const found = this.#map.get(region);
    if (found === undefined) throw new NetError(`the map has no relay region ${region}`);
    const connection = this.#regions.get(region)?.connection;
    if (connection === undefined) {
      const nodes = found.Nodes.filter(({ STUNOnly }) => STUNOnly !== true);
      return latencyCheck(this.#env, this.#ports, nodes);
    }
    const late = new NetError(`relay region ${region} does not answer; try again later`);
    return withDeadline(
      this.#env,
      MEASURE_DEADLINE,
      late,
      () => new Promise<Millis>((done) => connection.ping(done)),
    );
  }

  /**
   * The network under us has changed: see whether the connections still live, and dial what waits.
   *
   * @param isOurs whether the machine still has an address, as Node writes it
   */
  linkChanged(isOurs: (address: string) => boolean = () => true): void {
    for (const link of this.#regions.values()) link.linkChanged(isOurs);
  }

  /** One for each region of the map. */
  status(): readonly RelayStatus[] {
    return [...this.#map.values()].map(
      (region) => this.#regions.get(region.RegionID)?.status() ?? idle(region),
    );
  }

  /** A copy. */
  counters(): RelayCounters {
    return { ...this.#counters, ended: { ...this.#counters.ended } };
  }

  /** For good. */
  close(): void {
    this.#key = undefined;
    for (const link of this.#regions.values()) link.close('closed');
    this.#regions.clear();
    this.#map.clear();
  }

  #link(id: number): Region | undefined {
    const link = this.#regions.get(id);
    const region = link === undefined ? this.#map.get(id) : undefined;
    if (region === undefined) return link;
    const made = new Region(this.#host, region);
    this.#regions.set(id, made);
    return made;
  }
}

function idle(region: DERPRegion): RelayStatus {
  return {
    region: region.RegionID,
    code: region.RegionCode,
    home: false,
    state: 'idle',
    host: undefined,
    since: undefined,
    retryAt: undefined,
    reason: undefined,
    health: undefined,
    queuedBytes: 0,
  };
}
