/**
 * An address that a router names, of which the host must be the router itself.
 *
 *     http://192.168.1.1:5000/ctl?a    ->    { port: 5000, path: '/ctl?a' }, of 192.168.1.1 alone
 *
 * The host is compared and then forgotten: whoever asks sends to the gateway that he knows, so that no answer of
 * anybody can have us ask another host, or look a name up.
 */

import { formatIp } from '../../../base/ip.ts';

export interface GatewayUrl {
  readonly port: number;
  /** With the query; begins with a slash. */
  readonly path: string;
}

const HTTP_PORT = 80;
const MAX_CHARACTERS = 1024;

/**
 * @param text absolute, or relative to `base`
 * @param gateway 4 bytes
 * @returns undefined where it is none, is not plain HTTP, or leads anywhere else
 */
export function gatewayUrl(
  text: string,
  gateway: Uint8Array,
  base?: string,
): GatewayUrl | undefined {
  if (text.length > MAX_CHARACTERS) return undefined;
  const url = URL.parse(text, base);
  if (url?.protocol !== 'http:' || url.hostname !== formatIp(gateway)) return undefined;
  if (url.username !== '' || url.password !== '') return undefined;
  const port = url.port === '' ? HTTP_PORT : Number(url.port);
  return port === 0 ? undefined : { port, path: `${url.pathname}${url.search}` };
}

export function formatGatewayUrl({ port, path }: GatewayUrl, gateway: Uint8Array): string {
  return `http://${formatIp(gateway)}:${port}${path}`;
}
