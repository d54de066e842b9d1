/** A stand behind a router of UPnP: asked by all protocols, then searched for, then found. */

import type { Endpoint } from '../../../src/base/endpoint.ts';
import { formatEndpoint } from '../../../src/base/endpoint.ts';
import { decodeRequest, encodeAnswer } from '../../../src/protocol/disco/stun.ts';
import { must } from '../../must.ts';
import { searchAnswer } from '../disco/upnp-documents.ts';
import { at, relayMap, Stand } from './stand.ts';
import { LOCATION, UpnpRouter } from './upnp-router.ts';

export const GATEWAY: Endpoint = at('192.168.1.1:1900');
/** After the tries by PCP and NAT-PMP. */
const SEARCHED_MS = 8000;

export const searches = ({ gatewayed }: Stand): number =>
  gatewayed.filter(({ to }) => to.endsWith(':1900')).length;

export const mapped = ({ paths }: Stand): string[] =>
  paths
    .endpoints()
    .filter(({ type }) => type === 'port-mapped')
    .map(({ endpoint }) => formatEndpoint(endpoint));

export interface Both {
  readonly stand: Stand;
  readonly router: UpnpRouter;
}

export function behindRouter(): Both {
  const stand = new Stand();
  const router = new UpnpRouter();
  stand.page = router.page;
  stand.gateway = GATEWAY.address;
  stand.paths.setRelayMap(relayMap([900, '198.51.100.1']));
  return { stand, router };
}

/** STUN sees 203.0.113.50; the router is being searched for. */
export async function searching(): Promise<Both> {
  const both = behindRouter();
  const { stand } = both;
  const transaction = decodeRequest(must(stand.udp[0]).datagram);
  if (typeof transaction === 'string') throw new Error(transaction);
  stand.paths.receive(encodeAnswer(transaction, at('203.0.113.50:20000')), at('198.51.100.1:3478'));
  await stand.live(SEARCHED_MS);
  return both;
}

/** The router has answered the search, and the questions that follow from it. */
export async function found(prepare: (router: UpnpRouter) => void = () => {}): Promise<Both> {
  const both = await searching();
  prepare(both.router);
  both.stand.paths.onGateway(searchAnswer(LOCATION), GATEWAY);
  await both.stand.live(1);
  return both;
}
