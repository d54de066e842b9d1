/**
 * What an Internet gateway device says of itself: which of its services map ports, and where each is controlled.
 *
 *     root
 *       URLBase                                   optional; else where the description lies
 *       device        …:InternetGatewayDevice:1
 *         deviceList/device      …:WANDevice:1
 *           deviceList/device    …:WANConnectionDevice:1
 *             serviceList/service
 *               serviceType      urn:schemas-upnp-org:service:WANIPConnection:1
 *               controlURL       /ctl/IPConn      relative to the base
 *
 * Services are taken from wherever they stand: routers do not agree on the devices between. What would have us ask
 * another host than the gateway is refused, be it by URLBase or by the service's own address.
 *
 * Source: UPnP Device Architecture 1.1, 2.3; WANIPConnection:2; WANPPPConnection:1.
 */

import type { GatewayUrl } from './gateway-url.ts';
import { formatGatewayUrl, gatewayUrl } from './gateway-url.ts';
import type { XmlDrop } from './xml.ts';
import { elementsBelow, parseXml, textOf } from './xml.ts';

/** What the three actions of soap.ts are known by. */
export const SERVICE_TYPES = [
  'urn:schemas-upnp-org:service:WANIPConnection:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1',
  'urn:schemas-upnp-org:service:WANPPPConnection:1',
] as const;
export type ServiceType = (typeof SERVICE_TYPES)[number];

/** A router with more ways out than this has some that it is not asked for. */
const MAX_SERVICES = 4;

export interface GatewayService {
  readonly type: ServiceType;
  readonly control: GatewayUrl;
}

export type DescriptionDrop = XmlDrop | 'upnp: maps no ports' | 'upnp: control elsewhere';

/**
 * @param place where the document was had
 * @returns at least one service, in the document's order, or why there is none. Never throws.
 */
export function decodeDescription(
  document: Uint8Array,
  place: GatewayUrl,
  gateway: Uint8Array,
): readonly GatewayService[] | DescriptionDrop {
  const root = parseXml(document);
  if (typeof root === 'string') return root;
  const base = textOf(root, 'URLBase') || formatGatewayUrl(place, gateway);
  const offered = elementsBelow(root, 'service').flatMap((service) => {
    const type = SERVICE_TYPES.find((known) => known === textOf(service, 'serviceType'));
    const url = textOf(service, 'controlURL');
    return type === undefined || url === ''
      ? []
      : [{ type, control: gatewayUrl(url, gateway, base) }];
  });
  if (offered.length === 0) return 'upnp: maps no ports';
  const services = offered.flatMap(({ type, control }) =>
    control === undefined ? [] : [{ type, control }],
  );
  return services.length === 0 ? 'upnp: control elsewhere' : services.slice(0, MAX_SERVICES);
}
