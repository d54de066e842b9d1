/**
 * `postern wireguard --route-lan CIDR`: what comes out of the tunnel for these prefixes is forwarded, under this
 * machine's own address, with TCP segments that fit the tunnel. A router (node/router) without routes: those of
 * the tunnel are wg.conf's or wg-quick's.
 *
 *     tunnel started -> forwarding, filter table `postern-INTERFACE` -> ready
 *     MTU changed by anyone -> the segments' size again
 *     closed -> everything as it was; after a SIGKILL by the next start of any postern in this network
 *
 * A table of the filter for each interface, so that several of them and a node stand side by side.
 */

import type { Env } from './base/env.ts';
import type { Prefix } from './base/prefix.ts';
import { formatPrefix } from './base/prefix.ts';
import { NFT_TABLE, OWN_MARK } from './node/router/constants.ts';
import type { RouterPorts } from './node/router/ports.ts';
import { Router } from './node/router/router.ts';
import { NOTHING } from './node/router/setting.ts';
import type { RunningTunnel } from './wireguard.ts';

/** On a file system that ends with the machine's run. */
export const NOTES_FOLDER = '/run/postern';

export interface RouteLanSetup {
  readonly name: string;
  readonly mtuBytes: number;
  readonly routeLan: readonly Prefix[];
}

export interface RouteLanPorts extends RouterPorts {
  /** Of the interface now; undefined where it is gone. */
  mtuBytes(): number | undefined;
}

/** The same tunnel, with the LAN behind it; it is closed where that fails. @throws ConfigError, NetError */
export async function withLan<T extends RunningTunnel>(
  tunnel: T,
  { name, mtuBytes, routeLan }: RouteLanSetup,
  ports: RouteLanPorts,
): Promise<T> {
  const { env } = ports;
  const router = new Router(ports, {
    interface: name,
    mark: OWN_MARK,
    stateFolder: NOTES_FOLDER,
    table: tableOf(name),
  });
  const advertised = routeLan.map((prefix) => ({ prefix, snat: true }));
  const set = (bytes: number): Promise<void> =>
    router.set({ ...NOTHING, advertised, mtuBytes: bytes });
  try {
    await set(ports.mtuBytes() ?? mtuBytes);
  } catch (error) {
    await router.close();
    await tunnel.close();
    throw error;
  }
  env.log.info('route-lan: forwarding', {
    interface: name,
    to: routeLan.map(formatPrefix).join(', '),
  });
  const unwatch = followMtu(ports, set);
  return {
    ...tunnel,
    report: async () => {
      const report = await tunnel.report();
      return { ...report, health: [...report.health, ...router.health()] };
    },
    close: async () => {
      unwatch();
      // Before the device goes, so that nothing is forwarded around it.
      await router.close();
      await tunnel.close();
    },
  };
}

function followMtu(ports: RouteLanPorts, set: (bytes: number) => Promise<void>): () => void {
  let known = ports.mtuBytes();
  return ports.watch((kind) => {
    const now = kind === 'link' ? ports.mtuBytes() : known;
    if (now === known || now === undefined) return;
    known = now;
    // Health says what failed.
    set(now).catch(() => {});
  });
}

/** nft takes fewer characters than the kernel does in a name. */
function tableOf(name: string): string {
  const text = name.replace(/[^\w.-]/g, (other) => `_${other.charCodeAt(0).toString(16)}`);
  return `${NFT_TABLE}-${text}`;
}

/** What routers of killed processes have left is put back; what cannot be is logged. */
export async function recoverLan(ports: Omit<RouterPorts, 'watch'> & { env: Env }): Promise<void> {
  await Router.recover(ports, { stateFolder: NOTES_FOLDER });
}
