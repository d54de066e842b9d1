/**
 * An hour in the life of many nodes: conversations come and go, and so do links, NATs, relays and nodes, all
 * by one seed. What is judged: the longest silence of a conversation that had a way, whether paths became
 * direct where they could, and what it cost in packets.
 *
 * A way exists where both ends are online and the receiver's home relay runs; silence is counted from the
 * last event that touched either of them or the NAT that it is behind: each may cost all trust anew.
 */

import type { NodePublic } from '../../src/base/keys.ts';
import { keyText } from '../../src/base/keys.ts';
import type { DERPMap } from '../../src/protocol/tailcfg/types.ts';
import { must } from '../must.ts';
import type { Seeded } from '../seeded.ts';
import { seeded } from '../seeded.ts';
import { Clock } from './clock.ts';
import type { HostWorld } from './paths-host.ts';
import { Host } from './paths-host.ts';
import type { NatKind, Site } from './paths-internet.ts';
import { canBeDirect, Internet, pairText } from './paths-internet.ts';
import { PingCounts } from './ping-counts.ts';

const KINDS: readonly NatKind[] = [
  ...['open', 'cone', 'restricted', 'restricted', 'symmetric', 'blocked'],
] as NatKind[];

const STUN: Readonly<Record<number, { readonly address: string; readonly delay: number }>> = {
  900: { address: '198.51.100.1', delay: 20 },
  901: { address: '198.51.100.2', delay: 45 },
};

interface Talk {
  readonly from: Host;
  readonly to: Host;
  readonly until: number;
  readonly since: number;
  lastReply: number;
}

export class PathsWorld implements HostWorld {
  readonly clock: Clock = new Clock();
  readonly random: Seeded;
  readonly internet: Internet;
  readonly relayMap: DERPMap;
  readonly hosts: readonly Host[];
  readonly #byKey = new Map<string, Host>();
  readonly #down = new Set<number>();
  #talks: Talk[] = [];
  #held = 0;
  #seconds = 0;
  #notDirect: string[] = [];
  #direct = 0;
  #worst = { seconds: 0, who: 'nobody' };
  /** When a NAT started anew. */
  readonly #mapped = new Map<Site, number>();
  /** When the last event touched a host. */
  readonly #touched = new Map<Host, number>();
  readonly pings: PingCounts;
  events: number = 0;

  constructor(seed: number, nodes: number) {
    this.random = seeded(seed);
    this.internet = new Internet(this.clock);
    this.relayMap = { Regions: {} };
    const regions: Record<string, DERPMap['Regions'][string]> = {};
    for (const [region, { address, delay }] of Object.entries(STUN)) {
      this.internet.addStun(`${address}:3478`, delay);
      const RegionID = Number(region);
      const node = { Name: region, RegionID, HostName: `relay${region}`, IPv4: address };
      regions[region] = { RegionID, RegionCode: region, RegionName: region, Nodes: [node] };
    }
    this.relayMap = { Regions: regions };
    const sites = Array.from({ length: Math.ceil(nodes / 2) }, (_, i) =>
      this.internet.addSite(must(KINDS[i % KINDS.length])),
    );
    this.hosts = Array.from(
      { length: nodes },
      (_, i) => new Host(this, i, must(sites[i % sites.length])),
    );
    this.pings = new PingCounts(this.hosts);
    for (const host of this.hosts) this.#byKey.set(keyText(host.nodeKey), host);
    for (const host of this.hosts) {
      host.onData = (bytes) => this.#heard(host, bytes);
      host.paths.setPeers(this.#peersOf(host));
      host.attach(host.site);
      host.paths.setRelayMap(this.relayMap);
    }
  }

  relay(region: number, from: Host, to: NodePublic, datagram: Uint8Array): boolean {
    if (region === 0 || this.#down.has(region)) return false;
    this.clock.setTimer(this.clock.now() + 30, () => {
      if (!this.#down.has(region))
        this.#byKey.get(keyText(to))?.arriveByRelay(datagram, region, from.nodeKey);
    });
    return true;
  }

  /** The server tells the others 50 ms later. */
  changed(host: Host): void {
    this.clock.setTimer(this.clock.now() + 50, () => {
      for (const other of this.hosts) if (other !== host) other.paths.updatePeer(host.peer());
    });
  }

  async live(seconds: number): Promise<void> {
    this.clock.runTo(5000);
    for (let second = 5; second < seconds; second++) {
      if (second % 4 === 0) this.#happen();
      if (this.#talks.length < 30) this.#begin();
      for (const talk of this.#talks) this.#say(talk);
      this.clock.runTo((second + 1) * 1000);
      this.#talks = this.#talks.filter((talk) => this.#goesOn(talk));
      // Promises of relays' latencies are kept outside of the clock.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  report(): {
    worstGap: { seconds: number; who: string };
    talks: number;
    packets: number;
    conversationSeconds: number;
    unprovoked: number;
    notDirect: readonly string[];
    direct: number;
  } {
    return {
      worstGap: this.#worst,
      talks: this.#held,
      packets: this.hosts.reduce((sum, { sentDisco }) => sum + sentDisco, 0),
      conversationSeconds: this.#seconds,
      unprovoked: this.hosts.reduce((sum, { unprovoked }) => sum + unprovoked, 0),
      notDirect: this.#notDirect,
      direct: this.#direct,
    };
  }

  #peersOf(host: Host): ReturnType<Host['peer']>[] {
    return this.hosts.filter((other) => other !== host).map((other) => other.peer());
  }

  #begin(): void {
    const [from, to] = [this.random.pick(this.hosts), this.random.pick(this.hosts)];
    const busy = this.#talks.some((talk) =>
      [talk.from, talk.to].some((h) => h === from || h === to),
    );
    if (from === to || busy) return;
    const now = this.clock.now();
    const until = now + 20_000 + this.random.below(280_000);
    this.#talks.push({ from, to, until, since: now, lastReply: now });
    this.#held++;
  }

  /** A request each second; what answers it is in #heard. */
  #say({ from, to }: Talk): void {
    this.#seconds++;
    from.sendData(to, Uint8Array.of(4, 1, from.number, to.number));
  }

  #heard(host: Host, bytes: Uint8Array): void {
    const other = this.hosts[bytes[2] as number];
    // A stranger at the same private address cannot open what is not for him.
    if (other === undefined || bytes[3] !== host.number) return;
    host.heardFrom(other);
    if (bytes[1] === 1) host.sendData(other, Uint8Array.of(4, 2, host.number, other.number));
    else
      for (const talk of this.#talks)
        if (talk.from === host && talk.to === other) this.#answered(talk);
  }

  #answered(talk: Talk): void {
    this.#measure(talk);
    talk.lastReply = this.clock.now();
  }

  /** How long it has been silent, though a way existed and nothing happened to either end, nor to its NAT. */
  #measure({ from, to, lastReply }: Talk): void {
    const now = this.clock.now();
    const seconds = (now - Math.max(lastReply, ...this.#eventsOf(from, to))) / 1000;
    if (seconds > this.#worst.seconds)
      this.#worst = { seconds, who: `${nameOf(from)} to ${nameOf(to)} at ${now / 1000} s` };
  }

  #goesOn(talk: Talk): boolean {
    const now = this.clock.now();
    const { from, to } = talk;
    const wayExists =
      from.online && to.online && !this.#down.has(from.home) && !this.#down.has(to.home);
    if (!wayExists) talk.lastReply = now;
    this.#measure(talk);
    if (now < talk.until) return true;
    this.#judgeDirect(talk, now);
    return false;
  }

  #judgeDirect({ from, to, since }: Talk, now: number): void {
    const quietFor = now - Math.max(since, ...this.#eventsOf(from, to));
    const cut = this.internet.cut.has(pairText(from.site.number, to.site.number));
    if (quietFor < 20_000 || cut || !from.online || !to.online) return;
    if (!canBeDirect(from.site, to.site)) return;
    if (from.isDirectTo(to)) this.#direct++;
    else this.#notDirect.push(`${nameOf(from)} to ${nameOf(to)} at ${now / 1000} s`);
  }

  #eventsOf(...hosts: readonly Host[]): readonly number[] {
    return hosts.flatMap((host) => [
      this.#touched.get(host) ?? 0,
      this.#mapped.get(host.site) ?? 0,
    ]);
  }

  #happen(): void {
    this.events++;
    const host = this.random.pick(this.hosts);
    const pause = 5000 + this.random.below(55_000);
    switch (this.random.below(6)) {
      case 0:
        host.detach();
        this.#touch(host);
        this.#after(pause, () => this.#attach(host));
        return;
      case 1:
        if (host.online) this.#attach(host, true);
        return;
      case 2:
        // A NAT that starts anew says nothing to anybody.
        host.site.mappings = [];
        this.#mapped.set(host.site, this.clock.now());
        return;
      case 3: {
        const other = this.random.pick(this.hosts);
        const pair = pairText(host.site.number, other.site.number);
        this.internet.cut.add(pair);
        this.#after(pause, () => {
          this.internet.cut.delete(pair);
          for (const one of this.hosts)
            if (one.site === host.site || one.site === other.site) this.#touch(one);
        });
        return;
      }
      case 4:
        host.restart(this.#peersOf(host));
        this.pings.restarted(host);
        this.#touch(host);
        this.#dialsHome(host);
        this.changed(host);
        return;
      default:
        this.#relayOutage(this.random.pick([900, 901]), pause);
    }
  }

  #relayOutage(region: number, pause: number): void {
    if (this.#down.size > 0) return;
    const { address, delay } = must(STUN[region]);
    this.#down.add(region);
    this.internet.removeStun(`${address}:3478`);
    for (const host of this.hosts) this.#dialsHome(host);
    this.#after(pause, () => {
      this.#down.delete(region);
      this.internet.addStun(`${address}:3478`, delay);
    });
  }

  #attach(host: Host, elsewhere = false): void {
    host.attach(elsewhere ? this.random.pick(this.internet.sites) : host.site);
    this.#touch(host);
    this.#dialsHome(host);
  }

  /** Its relay client needs 3 s to say that the home relay does not answer. */
  #dialsHome(host: Host): void {
    this.#after(3000, () => {
      if (host.online && this.#down.has(host.home)) host.lostRelay(host.home);
    });
  }

  #touch(host: Host): void {
    this.#touched.set(host, this.clock.now());
  }

  #after(pause: number, action: () => void): void {
    this.clock.setTimer(this.clock.now() + pause, action);
  }
}

const nameOf = (host: Host): string => `${host.number} (${host.site.kind} ${host.site.number})`;
