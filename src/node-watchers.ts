/** `--metrics`: where /health and /metrics of a node are, for programs of this machine. */

import { isIP } from 'node:net';
import { ConfigError } from './base/errors.ts';

/** @throws ConfigError unless it is `off`, or an address of loopback with a port */
export function watchersAt(
  text: string,
): { readonly host: string; readonly port: number } | undefined {
  if (text === 'off') return undefined;
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  const loopback = host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  if (!loopback || port < 1 || port > 65_535)
    throw new ConfigError(
      `--metrics: wanted off or an address like 127.0.0.1:9581, found '${text}'`,
    );
  return { host, port };
}
