/**
 * Endpoints given by host name: asked for until they resolve, since at boot the resolver may come up after
 * us, then set on a peer that is still there.
 *
 *     ask --address--> configure (update only), done
 *         --failure--> wait 1 s, 2 s, 4 s ... 60 s, ask again
 */

import type { Env } from '../../base/env.ts';
import { after, seconds } from '../../base/time.ts';
import type { ConfigurableInterface } from '../tunnel/configuration.ts';
import type { UnresolvedEndpoint } from './wg-conf.ts';

const MAX_WAIT_SECONDS = 60;

export interface ResolvePorts {
  readonly env: Env;
  readonly target: ConfigurableInterface;
  /** 4 or 16 bytes. @throws where the name does not resolve */
  lookup(host: string): Promise<Uint8Array>;
}

/** Starts asking for each; the result stops it. */
export function resolveEndpoints(
  unresolved: readonly UnresolvedEndpoint[],
  { env, target, lookup }: ResolvePorts,
): () => void {
  let stopped = false;
  const cancels = new Map<UnresolvedEndpoint, () => void>();
  const ask = async (wanted: UnresolvedEndpoint, waitSeconds: number): Promise<void> => {
    const { publicKey, host, port } = wanted;
    try {
      const address = await lookup(host);
      if (stopped) return;
      const endpoint = { address, port, scope: 0 };
      target.configure({ peers: [{ publicKey, updateOnly: true, endpoint, allowedIps: [] }] });
    } catch (error) {
      if (stopped) return;
      env.log.warn('uapi: endpoint not resolved', {
        host,
        error: (error as Error).message,
        retrySeconds: waitSeconds,
      });
      const next = Math.min(2 * waitSeconds, MAX_WAIT_SECONDS);
      cancels.set(
        wanted,
        env.setTimer(after(env.now(), seconds(waitSeconds)), () => void ask(wanted, next)),
      );
    }
  };
  for (const wanted of unresolved) void ask(wanted, 1);
  return () => {
    stopped = true;
    for (const cancel of cancels.values()) cancel();
  };
}
