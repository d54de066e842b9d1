/**
 * Asking the gateway by PCP and NAT-PMP, both at once.
 *
 *     none --ask--> asking --answer--> mapped --half of its lifetime--> asking
 *       ^             | 5 tries, 250 ms doubling
 *       +-------------+--- refused, silent, lying: given up
 *
 * An answer counts where it names our port, and in PCP our nonce too.
 */

import { equalBytes } from '../../base/bytes.ts';
import type { Env } from '../../base/env.ts';
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
import type { MappingSite, PortMapping } from './port-mapping.ts';
import { LIFETIME_SECONDS } from './port-mapping.ts';
import type { PathsPorts } from './ports.ts';

const TRIES = 5;
const FIRST_PAUSE_MILLIS = 250;
/** A gateway that gives less would have us ask all the time. */
const MIN_LIFETIME_SECONDS = 120;

type Protocol = 'pmp' | 'pcp';

export interface PmpPcpEars {
  mapped(): void;
  /** All tries are over. */
  gaveUp(): void;
}

export class PmpPcp {
  readonly #env: Env;
  readonly #ports: Pick<PathsPorts, 'sendGateway'>;
  readonly #ears: PmpPcpEars;
  readonly #nonce: Uint8Array;
  readonly #speaks = { pmp: false, pcp: false };
  #site: MappingSite | undefined;
  #pmpAddress: Uint8Array | undefined;
  #mapping: PortMapping | undefined;
  #asking = false;
  #cancel: () => void = () => {};

  constructor(env: Env, ports: Pick<PathsPorts, 'sendGateway'>, ears: PmpPcpEars) {
    this.#env = env;
    this.#ports = ports;
    this.#ears = ears;
    this.#nonce = env.random(PCP_NONCE_BYTES);
  }

  /** Which protocols the gateway has answered in. */
  get speaks(): { readonly pmp: boolean; readonly pcp: boolean } {
    return this.#speaks;
  }

  get asking(): boolean {
    return this.#asking;
  }

  /** May have ended. */
  get mapping(): PortMapping | undefined {
    return this.#mapping;
  }

  ask(site: MappingSite): void {
    this.#site = site;
    this.#try(0);
  }

  /** @param datagram from the gateway's port @returns why it does not count */
  receive(datagram: Uint8Array): string | undefined {
    const answer = decodePortMap(datagram);
    return typeof answer === 'string' ? answer : this.#take(answer);
  }

  /** All that this gateway said, for another may be there. */
  forget(): void {
    this.#cancel();
    this.#asking = false;
    this.#mapping = undefined;
    this.#pmpAddress = undefined;
    this.#speaks.pmp = false;
    this.#speaks.pcp = false;
  }

  /**
   * Gives the port back, as far as one datagram can: by each protocol that the gateway knows, since whichever
   * was done later owns the port.
   */
  close(): void {
    if (this.#mapping !== undefined)
      for (const by of ['pcp', 'pmp'] as const) if (this.#speaks[by]) this.#send(0, by);
    this.forget();
  }

  #try(tries: number): void {
    this.#asking = tries < TRIES;
    this.#cancel();
    if (!this.#asking) {
      this.#ears.gaveUp();
      return;
    }
    this.#send(LIFETIME_SECONDS, 'pcp');
    this.#send(LIFETIME_SECONDS, 'pmp');
    const pause = millis(FIRST_PAUSE_MILLIS << tries);
    this.#cancel = this.#env.setTimer(after(this.#env.now(), pause), () => this.#try(tries + 1));
  }

  #send(lifetimeSeconds: number, by: Protocol): void {
    if (this.#site === undefined) return;
    const { gateway, own } = this.#site;
    const to = { address: gateway, port: PORT_MAP_PORT, scope: 0 };
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
        return this.#mapped(this.#pmpAddress, answer);
      case 'pcp-map':
        if (!equalBytes(answer.nonce, this.#nonce)) return 'port-map: other nonce';
        this.#speaks.pcp = true;
        return this.#mapped(answer.address, answer);
    }
  }

  #mapped(
    address: Uint8Array,
    given: { internalPort: number; externalPort: number; lifetimeSeconds: number },
  ): string | undefined {
    if (given.internalPort !== this.#site?.own.port) return 'port-map: other port';
    if (given.lifetimeSeconds < MIN_LIFETIME_SECONDS || given.externalPort === 0)
      return 'port-map: absurd mapping';
    // The same answer may come by both protocols; the first one stays until it has to be renewed.
    if (!this.#asking) return undefined;
    const now = this.#env.now();
    const lifetime = seconds(Math.min(given.lifetimeSeconds, LIFETIME_SECONDS));
    const external = { address, port: given.externalPort, scope: 0 };
    this.#mapping = { external, until: after(now, lifetime) };
    this.#asking = false;
    this.#cancel();
    this.#cancel = this.#env.setTimer(after(now, millis(lifetime / 2)), () => this.#try(0));
    this.#ears.mapped();
    return undefined;
  }
}
