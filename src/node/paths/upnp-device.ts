/**
 * What one gateway is asked by HTTP: its description, its address outside, and to map a port or to take that back.
 *
 * Each question has a few seconds, and its answer a size. Nothing is thrown: what does not come, or is of no use,
 * is a reason. Only the gateway is asked, and it sends us nowhere else.
 */

import type { Env } from '../../base/env.ts';
import type { Millis } from '../../base/time.ts';
import { after, seconds } from '../../base/time.ts';
import { addressKind } from '../../protocol/disco/address-kinds.ts';
import type { GatewayService } from '../../protocol/disco/upnp/description.ts';
import { decodeDescription } from '../../protocol/disco/upnp/description.ts';
import type { GatewayUrl } from '../../protocol/disco/upnp/gateway-url.ts';
import type { SoapFault, SoapRequest, UpnpMapping } from '../../protocol/disco/upnp/soap.ts';
import {
  decodeDone,
  decodeExternalAddress,
  encodeAddMapping,
  encodeDeleteMapping,
  encodeExternalAddress,
} from '../../protocol/disco/upnp/soap.ts';
import { XML_MAX_BYTES } from '../../protocol/disco/upnp/xml.ts';
import type { GatewayAnswer, GatewayRequest, PathsPorts } from './ports.ts';

const PATIENCE = seconds(3);
const OK = 200;
/** With this one a fault comes. */
const SERVER_ERROR = 500;

/** Why something was not had, for a counter. */
export type Reason = `upnp: ${string}`;

export class UpnpDevice {
  readonly #env: Env;
  readonly #ports: Pick<PathsPorts, 'askGateway'>;
  readonly #gateway: Uint8Array;

  /** @param gateway 4 bytes */
  constructor(env: Env, ports: Pick<PathsPorts, 'askGateway'>, gateway: Uint8Array) {
    this.#env = env;
    this.#ports = ports;
    this.#gateway = gateway;
  }

  /** The services that map ports; at least one. */
  async describe(
    location: GatewayUrl,
    signal: AbortSignal,
  ): Promise<readonly GatewayService[] | Reason> {
    const request = { method: 'GET', path: location.path, headers: {}, body: '' } as const;
    const answer = await this.#ask(location, request, signal);
    if (typeof answer === 'string') return answer;
    if (answer.status !== OK) return 'upnp: no description';
    return decodeDescription(answer.body, location, this.#gateway);
  }

  /** Its address outside, where it has one that a datagram may be sent to. */
  async externalAddress(
    { type, control }: GatewayService,
    signal: AbortSignal,
  ): Promise<Uint8Array | Reason> {
    const body = await this.#act(control, encodeExternalAddress(type), signal);
    if (typeof body === 'string') return body;
    const address = decodeExternalAddress(body);
    if (typeof address === 'string') return address;
    if ('fault' in address) return 'upnp: refused';
    const kind = addressKind(address);
    return kind === 'global' || kind === 'private' ? address : 'upnp: absurd address';
  }

  async add(
    { type, control }: GatewayService,
    mapping: UpnpMapping,
    signal: AbortSignal,
  ): Promise<'done' | SoapFault | Reason> {
    const body = await this.#act(control, encodeAddMapping(type, mapping), signal);
    return typeof body === 'string' ? body : decodeDone(body, 'AddPortMapping');
  }

  /** As far as one try can. */
  async remove(
    { type, control }: GatewayService,
    externalPort: number,
    patience: Millis,
  ): Promise<void> {
    const request = encodeDeleteMapping(type, externalPort);
    await this.#act(control, request, new AbortController().signal, patience);
  }

  async #act(
    { port, path }: GatewayUrl,
    { action, body }: SoapRequest,
    signal: AbortSignal,
    patience: Millis = PATIENCE,
  ): Promise<Uint8Array | Reason> {
    const headers = { SOAPAction: action, 'Content-Type': 'text/xml; charset="utf-8"' };
    const request = { method: 'POST', path, headers, body } as const;
    const answer = await this.#ask({ port, path }, request, signal, patience);
    if (typeof answer === 'string') return answer;
    const told = answer.status === OK || answer.status === SERVER_ERROR;
    return told ? answer.body : 'upnp: refused';
  }

  async #ask(
    { port }: GatewayUrl,
    request: Omit<GatewayRequest, 'maxBytes'>,
    signal: AbortSignal,
    patience: Millis = PATIENCE,
  ): Promise<(GatewayAnswer & { readonly body: Uint8Array }) | Reason> {
    const late = new AbortController();
    const cancel = this.#env.setTimer(after(this.#env.now(), patience), () => late.abort());
    try {
      const { status, body } = await this.#ports.askGateway(
        { address: this.#gateway, port, scope: 0 },
        { ...request, maxBytes: XML_MAX_BYTES },
        AbortSignal.any([signal, late.signal]),
      );
      return body === undefined ? 'upnp: answer too long' : { status, body };
    } catch {
      return 'upnp: no answer';
    } finally {
      cancel();
    }
  }
}
