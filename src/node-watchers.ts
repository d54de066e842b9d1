/** `--metrics`: /health and /metrics of a node, for programs of this machine. */

import { isIP } from 'node:net';
import { ConfigError, NetError } from './base/errors.ts';
import type { Health } from './base/health.ts';
import type { Exposition } from './control/metrics/metrics.ts';
import { serveWatchers } from './control/metrics/server.ts';
import type { MeshNode } from './node.ts';

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

/** A taken port is said and is no reason not to run. */
export async function serveNodeWatchers(
  listen: ReturnType<typeof watchersAt>,
  node: MeshNode,
  metrics: Exposition,
  health: Health,
): Promise<() => Promise<void>> {
  if (listen === undefined) return async () => {};
  try {
    const server = await serveWatchers({ listen, items: () => node.health(), metrics });
    return () => server.close();
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    health.raise({
      code: 'metrics',
      severity: 'notice',
      text: error.message,
      remedy: 'choose another address with --metrics, or --metrics off',
    });
    return async () => {};
  }
}
