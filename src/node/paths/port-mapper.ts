/**
 * A port of the gateway kept open for us, by PCP or NAT-PMP, where the gateway does that.
 *
 *     none --link up, or each full check--> asking --answer--> mapped --half of its lifetime--> asking
 *       ^                                     | 5 tries, 250 ms doubling
 *       +-------------------------------------+--- refused, silent, lying
 *
 * A gateway is believed only as far as others confirm it: the answer must come from the gateway's own
 * address and port, name our port (PCP: our nonce too), and give the external address that STUN sees. So
 * one that lies, or maps to some other host, has us advertise nothing; behind two NATs in a row the inner
 * mapping would be of no use and is not advertised either.
 */

import { equalBytes } from '../../base/bytes.ts';
import type { Endpoint } from '../../base/endpoint.ts';
import type { Env } from '../../base/env.ts';
import { IPV4_BYTES } from '../../base/ip.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis, seconds } from '../../base/time.ts';
import type { PortMapAnswer } from '../../protocol/disco/port-map.ts';
import {
  decodePortMap,
  encodePcpMap,
  encodePmpAddress,
  encodePmpMap,
  PCP_NONCE_BYTES,
  PORT_MAP_PORT,
} from '../../protocol/disco/port-map.ts';
import type { PathsPorts } from './ports.ts';

const LIFETIME_SECONDS = 7200;
const TRIES = 5;
const FIRST_PAUSE_MILLIS = 250;
/** A gateway that gives less would have us ask all the time. */
const MIN_LIFETIME_SECONDS = 120;

type Ports = Pick<PathsPorts, 'gateway' | 'localEndpoints' | 'sendGateway'>;

interface Mapping {
  readonly by: 'pmp' | 'pcp';
  readonly external: Endpoint;
  readonly until: Millis;
}

export class PortMapper {
  readonly #env: Env;
  readonly #ports: Ports;
  readonly #changed: () => void;
  readonly #nonce: Uint8Array;
  readonly #speaks = { pmp: false, pcp: false };
  #gateway: Uint8Array | undefined;
  #own: Endpoint | undefined;
  #pmpAddress: Uint8Array | undefined;
  #mapping: Mapping | undefined;
  #asking = false;
  #cancel: () => void = () => {};

  /** @param changed what `external` gives may be another now */
  constructor(env: Env, ports: Ports, changed: () => void) {
    this.#env = env;
    this.#ports = ports;
    this.#changed = changed;
    this.#nonce = env.random(PCP_NONCE_BYTES);
  }

  /** Which protocols the gateway has answered in. */
  get speaks(): { readonly pmp: boolean; readonly pcp: boolean } {
    return this.#speaks;
  }

  /** The mapped endpoint, if STUN sees the same address. */
  external(stun: Endpoint | undefined): Endpoint | undefined {
    const mapping = this.#mapping;
    if (mapping === undefined || stun === undefined || this.#env.now() >= mapping.until)
      return undefined;
    return equalBytes(mapping.external.address, stun.address) ? mapping.external : undefined;
  }

  /** Another network, maybe: what its gateway gave is gone. */
  linkChanged(): void {
    this.#forget();
    this.refresh();
  }

  /** Asks, unless a mapping holds or an answer is being waited for. */
  refresh(): void {
    if (this.#asking || (this.#mapping !== undefined && this.#env.now() < this.#mapping.until))
      return;
    this.#gateway = this.#ports.gateway();
    this.#own = nearestTo(this.#gateway, this.#ports.localEndpoints());
    if (this.#gateway !== undefined && this.#own !== undefined) this.#ask(0);
  }

  /** @returns why an answer does not count */
  receive(datagram: Uint8Array, from: Endpoint): string | undefined {
    const gateway = this.#gateway;
    if (gateway === undefined || from.port !== PORT_MAP_PORT || !equalBytes(from.address, gateway))
      return 'port-map: from a stranger';
    const answer = decodePortMap(datagram);
    return typeof answer === 'string' ? answer : this.#take(answer);
  }

  /** Gives the port back, as far as one datagram can. */
  close(): void {
    if (this.#mapping !== undefined) this.#send(0, this.#mapping.by);
    this.#forget();
  }

  #forget(): void {
    this.#cancel();
    this.#asking = false;
    this.#mapping = undefined;
    this.#pmpAddress = undefined;
    this.#speaks.pmp = false;
    this.#speaks.pcp = false;
  }

  #ask(tries: number): void {
    this.#asking = tries < TRIES;
    this.#cancel();
    if (!this.#asking) return;
    this.#send(LIFETIME_SECONDS, 'pcp');
    this.#send(LIFETIME_SECONDS, 'pmp');
    const pause = millis(FIRST_PAUSE_MILLIS << tries);
    this.#cancel = this.#env.setTimer(after(this.#env.now(), pause), () => this.#ask(tries + 1));
  }

  #send(lifetimeSeconds: number, by: 'pmp' | 'pcp'): void {
    const own = this.#own;
    if (this.#gateway === undefined || own === undefined) return;
    const to = { address: this.#gateway, port: PORT_MAP_PORT, scope: 0 };
    const externalPort = this.#mapping?.external.port ?? own.port;
    const request = { internalPort: own.port, externalPort, lifetimeSeconds };
    if (by === 'pcp') {
      this.#ports.sendGateway(to, encodePcpMap(request, own.address, this.#nonce));
      return;
    }
    if (lifetimeSeconds > 0) this.#ports.sendGateway(to, encodePmpAddress());
    this.#ports.sendGateway(to, encodePmpMap(request));
  }

  #take(answer: PortMapAnswer): string | undefined {
    switch (answer.kind) {
      case 'refused':
        this.#speaks[answer.protocol] = answer.protocol === 'pcp' || this.#speaks.pmp;
        return 'port-map: refused';
      case 'pmp-address':
        this.#speaks.pmp = true;
        this.#pmpAddress = answer.address;
        return undefined;
      case 'pmp-map':
        this.#speaks.pmp = true;
        // The port without its address is no endpoint: the next try asks for both again.
        if (this.#pmpAddress === undefined) return 'port-map: no address yet';
        return this.#mapped('pmp', this.#pmpAddress, answer);
      case 'pcp-map':
        if (!equalBytes(answer.nonce, this.#nonce)) return 'port-map: other nonce';
        this.#speaks.pcp = true;
        return this.#mapped('pcp', answer.address, answer);
    }
  }

  #mapped(
    by: 'pmp' | 'pcp',
    address: Uint8Array,
    given: { internalPort: number; externalPort: number; lifetimeSeconds: number },
  ): string | undefined {
    if (given.internalPort !== this.#own?.port) return 'port-map: other port';
    if (given.lifetimeSeconds < MIN_LIFETIME_SECONDS || given.externalPort === 0)
      return 'port-map: absurd mapping';
    // The same answer may come by both protocols; the first one stays until it has to be renewed.
    if (!this.#asking) return undefined;
    const now = this.#env.now();
    const lifetime = seconds(Math.min(given.lifetimeSeconds, LIFETIME_SECONDS));
    const external = { address, port: given.externalPort, scope: 0 };
    this.#mapping = { by, external, until: after(now, lifetime) };
    this.#asking = false;
    this.#cancel();
    this.#cancel = this.#env.setTimer(after(now, millis(lifetime / 2)), () => this.#ask(0));
    this.#changed();
    return undefined;
  }
}

/** Our address on the gateway's network: the one with the most leading bits in common. */
function nearestTo(
  gateway: Uint8Array | undefined,
  local: readonly Endpoint[],
): Endpoint | undefined {
  if (gateway === undefined) return undefined;
  const ipv4 = local.filter(({ address }) => address.length === IPV4_BYTES);
  const distance = ({ address }: Endpoint): number =>
    address.reduce((sum, byte, i) => sum * 256 + (byte ^ (gateway[i] as number)), 0);
  return ipv4.sort((a, b) => distance(a) - distance(b))[0];
}
