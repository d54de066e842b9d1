/**
 * A port of the gateway kept open for us, where the gateway does that: by PCP or NAT-PMP, else by UPnP.
 *
 *     none --link up, or each full check--> PCP and NAT-PMP --given up--> UPnP --given up--> none
 *                                                 |                        |
 *                                                 +-------> mapped <-------+   each renews its own
 *
 * A gateway is believed only as far as others confirm it: the answer must come from the gateway's own
 * address and port, name our port, and give the external address that STUN sees. So one that lies, or maps to
 * some other host, has us advertise nothing; behind two NATs in a row the inner mapping would be of no use and is
 * not advertised either.
 */

import { equalBytes } from '../../base/bytes.ts';
import type { Endpoint } from '../../base/endpoint.ts';
import type { Env } from '../../base/env.ts';
import { PORT_MAP_PORT } from '../../protocol/disco/port-map.ts';
import { SSDP_PORT } from '../../protocol/disco/upnp/search.ts';
import { PmpPcp } from './pmp-pcp.ts';
import type { MappingSite, PortMapping } from './port-mapping.ts';
import { mappingSite } from './port-mapping.ts';
import type { PathsPorts } from './ports.ts';
import type { UpnpEars } from './upnp.ts';
import { Upnp } from './upnp.ts';

type Ports = Pick<PathsPorts, 'gateway' | 'localEndpoints' | 'sendGateway' | 'askGateway'>;

/** Which protocols the gateway has answered in. */
export interface MappingProtocols {
  readonly pmp: boolean;
  readonly pcp: boolean;
  /** undefined: it was not asked, since it need not be. */
  readonly upnp: boolean | undefined;
}

export class PortMapper {
  readonly #env: Env;
  readonly #ports: Ports;
  readonly #pmpPcp: PmpPcp;
  readonly #upnp: Upnp;
  #site: MappingSite | undefined;

  /** @param ears `changed`: what `external` or `speaks` gives may be another now */
  constructor(env: Env, ports: Ports, ears: UpnpEars) {
    this.#env = env;
    this.#ports = ports;
    this.#pmpPcp = new PmpPcp(env, ports, {
      mapped: () => ears.changed(),
      gaveUp: () => {
        if (this.#site !== undefined && this.#held() === undefined) this.#upnp.ask(this.#site);
      },
    });
    this.#upnp = new Upnp(env, ports, ears);
  }

  get speaks(): MappingProtocols {
    return { ...this.#pmpPcp.speaks, upnp: this.#upnp.speaks };
  }

  /** The mapped endpoint, if STUN sees the same address. */
  external(stun: Endpoint | undefined): Endpoint | undefined {
    const external = this.#held()?.external;
    if (external === undefined || stun === undefined) return undefined;
    return equalBytes(external.address, stun.address) ? external : undefined;
  }

  /** Another network, maybe: what its gateway gave is gone. */
  linkChanged(): void {
    this.#pmpPcp.forget();
    this.#upnp.forget();
    this.refresh();
  }

  /** Asks, unless a mapping holds or an answer is being waited for. */
  refresh(): void {
    if (this.#pmpPcp.asking || this.#upnp.asking || this.#held() !== undefined) return;
    this.#site = mappingSite(this.#ports.gateway(), this.#ports.localEndpoints());
    if (this.#site !== undefined) this.#pmpPcp.ask(this.#site);
  }

  /** @returns why an answer does not count */
  receive(datagram: Uint8Array, from: Endpoint): string | undefined {
    const gateway = this.#site?.gateway;
    if (gateway === undefined || !equalBytes(from.address, gateway))
      return 'port-map: from a stranger';
    switch (from.port) {
      case PORT_MAP_PORT:
        return this.#pmpPcp.receive(datagram);
      case SSDP_PORT:
        return this.#upnp.receive(datagram);
      default:
        return 'port-map: from a stranger';
    }
  }

  /** Gives the port back, as far as one datagram or one request can. */
  async close(): Promise<void> {
    this.#pmpPcp.close();
    await this.#upnp.close();
  }

  #held(): PortMapping | undefined {
    const now = this.#env.now();
    return [this.#pmpPcp.mapping, this.#upnp.mapping].find(
      (mapping) => mapping !== undefined && now < mapping.until,
    );
  }
}
