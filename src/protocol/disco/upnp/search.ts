/**
 * Asking one gateway whether it is an Internet gateway device of UPnP, and where it describes itself (SSDP, UDP
 * port 1900).
 *
 *     M-SEARCH * HTTP/1.1                        HTTP/1.1 200 OK
 *     HOST: 239.255.255.250:1900                 ST: urn:…:InternetGatewayDevice:1
 *     MAN: "ssdp:discover"                       LOCATION: http://192.168.1.1:5000/rootDesc.xml
 *     MX: 1                                      …
 *     ST: urn:…:InternetGatewayDevice:1
 *
 * It is sent to the gateway and not to the group whose address it bears, since no other host's answer would count;
 * the group's address stays in HOST, which some routers compare. A gateway of version 2 answers for 1 too, but
 * not every one does.
 *
 * Source: UPnP Device Architecture 1.1, 1.3.2, 1.3.3.
 */

import type { GatewayUrl } from './gateway-url.ts';
import { gatewayUrl } from './gateway-url.ts';

export const SSDP_PORT = 1900;

const TARGET = 'urn:schemas-upnp-org:device:InternetGatewayDevice:';
const VERSIONS = [1, 2] as const;
/** Of the answer; real ones have some 400. */
const MAX_BYTES = 2048;

export type SearchDrop =
  | 'upnp: malformed answer'
  | 'upnp: answer of another device'
  | 'upnp: location elsewhere';

/** The datagrams of one search. */
export function encodeSearch(): readonly Uint8Array[] {
  return VERSIONS.map((version) =>
    new TextEncoder().encode(
      [
        'M-SEARCH * HTTP/1.1',
        `HOST: 239.255.255.250:${SSDP_PORT}`,
        'MAN: "ssdp:discover"',
        'MX: 1',
        `ST: ${TARGET}${version}`,
        '',
        '',
      ].join('\r\n'),
    ),
  );
}

/** Where the gateway describes itself, or why the answer is dropped. Never throws. */
export function decodeSearchAnswer(
  datagram: Uint8Array,
  gateway: Uint8Array,
): GatewayUrl | SearchDrop {
  if (datagram.length > MAX_BYTES) return 'upnp: malformed answer';
  const [status = '', ...lines] = new TextDecoder().decode(datagram).split(/\r?\n/);
  if (!/^HTTP\/1\.[01] 200\b/i.test(status)) return 'upnp: malformed answer';
  const header = (name: string): string | undefined =>
    lines
      .find((line) => line.toLowerCase().startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim();
  const location = header('location');
  if (location === undefined) return 'upnp: malformed answer';
  if (!header('st')?.startsWith(TARGET)) return 'upnp: answer of another device';
  return gatewayUrl(location, gateway) ?? 'upnp: location elsewhere';
}
