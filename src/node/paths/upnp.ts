/**
 * A port of the gateway by UPnP.
 *
 *     none --ask--> searching --answer--> opening --added--> mapped --half of its lifetime--> renewing --added--> mapped
 *       ^              | 3 s                 |                  ^                                 |
 *       |              |                     |                  |   conflict: taken back, none    | else: searching
 *       +--------------+---------------------+ refused, silent, absurd
 *
 *     search     two datagrams, and a second later once more; the first answer that leads to the gateway itself
 *     open       description -> address outside -> add the port, of each service until one does it
 *     conflict   the port is somebody else's: four more by chance
 *     leases     two hours; for ever where the gateway knows no other, and then asked for again all the same,
 *                since gateways forget
 *
 * What has been asked for, answered or not, is taken back at the end.
 */

import type { Env } from '../../base/env.ts';
import { after, seconds } from '../../base/time.ts';
import type { GatewayService } from '../../protocol/disco/upnp/description.ts';
import type { GatewayUrl } from '../../protocol/disco/upnp/gateway-url.ts';
import { decodeSearchAnswer, encodeSearch, SSDP_PORT } from '../../protocol/disco/upnp/search.ts';
import type { SoapFault } from '../../protocol/disco/upnp/soap.ts';
import { FAULT } from '../../protocol/disco/upnp/soap.ts';
import type { MappingSite, PortMapping } from './port-mapping.ts';
import { LIFETIME_SECONDS } from './port-mapping.ts';
import type { PathsPorts } from './ports.ts';
import type { Reason } from './upnp-device.ts';
import { UpnpDevice } from './upnp-device.ts';

const SEARCH_AGAIN = seconds(1);
const SEARCH_LASTS = seconds(3);
/** The end of the program does not wait longer for a gateway. */
const CLOSING_PATIENCE = seconds(1);
const MORE_PORTS = 4;
/** Below are the ports that gateways keep for themselves. */
const FIRST_PORT = 1024;
const CONFLICT: Reason = 'upnp: conflict';

type Ports = Pick<PathsPorts, 'sendGateway' | 'askGateway'>;

export interface UpnpEars {
  /** `mapping` or `speaks` may be another now. */
  changed(): void;
  count(reason: string): void;
}

/** A service that maps ports. */
interface Door {
  readonly device: UpnpDevice;
  readonly service: GatewayService;
}

export class Upnp {
  readonly #env: Env;
  readonly #ports: Ports;
  readonly #ears: UpnpEars;
  #speaks: boolean | undefined;
  #mapping: PortMapping | undefined;
  /** What the gateway may have opened. */
  #standing: (Door & { readonly externalPort: number }) | undefined;
  #leaseSeconds = LIFETIME_SECONDS;
  /** Of a search, or of what follows from its answer. */
  #run: AbortController | undefined;
  #searched: MappingSite | undefined;
  #cancel: () => void = () => {};

  constructor(env: Env, ports: Ports, ears: UpnpEars) {
    this.#env = env;
    this.#ports = ports;
    this.#ears = ears;
  }

  /** Whether the gateway has answered; undefined: it was not asked. */
  get speaks(): boolean | undefined {
    return this.#speaks;
  }

  get asking(): boolean {
    return this.#run !== undefined;
  }

  /** May have ended. */
  get mapping(): PortMapping | undefined {
    return this.#mapping;
  }

  ask(site: MappingSite): void {
    this.#begin();
    this.#search(site);
  }

  /** @param datagram from the gateway's port @returns why it does not count */
  receive(datagram: Uint8Array): string | undefined {
    const [site, run] = [this.#searched, this.#run];
    // The other datagrams of a search may be answered too.
    if (site === undefined || run === undefined) return undefined;
    const location = decodeSearchAnswer(datagram, site.gateway);
    if (typeof location === 'string') return location;
    this.#searched = undefined;
    this.#cancel();
    this.#speaks = true;
    void this.#open(location, site, run.signal);
    return undefined;
  }

  /** All that this gateway said, for another may be there. */
  forget(): void {
    this.#run?.abort();
    this.#run = undefined;
    this.#searched = undefined;
    this.#cancel();
    this.#speaks = undefined;
    this.#mapping = undefined;
    this.#standing = undefined;
    this.#leaseSeconds = LIFETIME_SECONDS;
  }

  async close(): Promise<void> {
    const standing = this.#standing;
    this.forget();
    await standing?.device.remove(standing.service, standing.externalPort, CLOSING_PATIENCE);
  }

  #begin(): AbortSignal {
    this.#run?.abort();
    this.#cancel();
    this.#run = new AbortController();
    return this.#run.signal;
  }

  #end(): void {
    this.#run = undefined;
    this.#searched = undefined;
    this.#ears.changed();
  }

  #search(site: MappingSite): void {
    this.#searched = site;
    const began = this.#env.now();
    const send = (): void => {
      const to = { address: site.gateway, port: SSDP_PORT, scope: 0 };
      for (const datagram of encodeSearch()) this.#ports.sendGateway(to, datagram);
    };
    send();
    this.#cancel = this.#env.setTimer(after(began, SEARCH_AGAIN), () => {
      send();
      this.#cancel = this.#env.setTimer(after(began, SEARCH_LASTS), () => {
        this.#speaks = false;
        this.#end();
      });
    });
  }

  async #open(location: GatewayUrl, site: MappingSite, signal: AbortSignal): Promise<void> {
    const device = new UpnpDevice(this.#env, this.#ports, site.gateway);
    const services = await device.describe(location, signal);
    if (signal.aborted) return;
    if (typeof services === 'string') this.#ears.count(services);
    for (const service of typeof services === 'string' ? [] : services) {
      const reason = await this.#map({ device, service }, site, MORE_PORTS, signal);
      if (signal.aborted || reason === undefined) return;
      this.#ears.count(reason);
    }
    this.#end();
  }

  async #renew(door: Door, site: MappingSite): Promise<void> {
    const signal = this.#begin();
    const held = this.#standing;
    const reason = await this.#map(door, site, 0, signal);
    if (signal.aborted || reason === undefined) return;
    this.#ears.count(reason);
    // It may have begun anew, with other addresses of its own.
    if (reason !== CONFLICT || held === undefined) return this.#search(site);
    await door.device.remove(door.service, held.externalPort, CLOSING_PATIENCE);
    if (signal.aborted) return;
    this.#mapping = undefined;
    this.#end();
  }

  /** @returns why there is no mapping */
  async #map(
    door: Door,
    site: MappingSite,
    morePorts: number,
    signal: AbortSignal,
  ): Promise<Reason | undefined> {
    const address = await door.device.externalAddress(door.service, signal);
    if (typeof address === 'string') return address;
    const first = this.#mapping?.external.port ?? site.own.port;
    const others = Array.from({ length: morePorts }, () => anyPort(this.#env.random(2)));
    for (const port of [first, ...others]) {
      if (signal.aborted) return 'upnp: given up';
      const began = this.#env.now();
      const answer = await this.#add(door, site, port, signal);
      if (signal.aborted) return 'upnp: given up';
      if (answer === 'done') {
        const until = after(began, seconds(LIFETIME_SECONDS));
        this.#mapped(door, site, { external: { address, port, scope: 0 }, until });
        return undefined;
      }
      if (typeof answer === 'string') return answer;
      this.#standing = undefined;
      if (answer.fault !== FAULT.CONFLICT) return 'upnp: refused';
    }
    return CONFLICT;
  }

  async #add(
    door: Door,
    { own }: MappingSite,
    externalPort: number,
    signal: AbortSignal,
  ): Promise<'done' | SoapFault | Reason> {
    const add = (): Promise<'done' | SoapFault | Reason> => {
      const { address: client, port: internalPort } = own;
      const leaseSeconds = this.#leaseSeconds;
      const mapping = { externalPort, internalPort, client, leaseSeconds };
      this.#standing = { ...door, externalPort };
      return door.device.add(door.service, mapping, signal);
    };
    const answer = await add();
    if (typeof answer === 'string' || answer.fault !== FAULT.PERMANENT_ONLY) return answer;
    if (signal.aborted || this.#leaseSeconds === 0) return answer;
    this.#leaseSeconds = 0;
    this.#ears.count('upnp: permanent lease');
    return add();
  }

  #mapped(door: Door, site: MappingSite, mapping: PortMapping): void {
    this.#mapping = mapping;
    const half = after(mapping.until, seconds(-LIFETIME_SECONDS / 2));
    this.#cancel = this.#env.setTimer(half, () => void this.#renew(door, site));
    this.#end();
  }
}

function anyPort([high = 0, low = 0]: Uint8Array): number {
  return FIRST_PORT + ((high * 256 + low) % (65_536 - FIRST_PORT));
}
