/**
 * How programs of this machine come to ask us: one of three ways, told apart by looking.
 *
 *     systemd-resolved   resolv.conf names its stub, 127.0.0.53, and it answers on the bus: names of ours go to
 *                        us, all others stay where they went
 *     resolvconf         resolv.conf is made by it: it is told of us as of an interface
 *     file               anything else: resolv.conf is written, and everything comes to us
 *
 * Each can be asked what the system would use without us, is told what is wanted, can be called again with
 * the same, and restores what was there.
 */

import type { ResolverAddress } from '../../protocol/dns/resolver-address.ts';
import { PlainFile } from './plain-file.ts';
import type { Closable, SystemPaths, SystemPort } from './ports.ts';
import { parseResolvConf } from './resolv-conf.ts';
import { Resolvconf } from './resolvconf.ts';
import { RESOLVED_STUB, Resolved } from './resolved.ts';

export type SystemKind = 'systemd-resolved' | 'resolvconf' | 'file';

export interface SystemSetting {
  /** Where we listen. */
  readonly addresses: readonly Uint8Array[];
  readonly search: readonly string[];
  /** Suffixes that must come to us. */
  readonly domains: readonly string[];
  /** Whether all other names must, too. */
  readonly everything: boolean;
}

export interface SystemResolver {
  readonly kind: SystemKind;
  /** The resolvers that the system has besides us, best first. */
  upstreams(): Promise<readonly ResolverAddress[]>;
  /** Makes it so; nothing where it is so already, and then false. @throws NetError with what was refused */
  apply(setting: SystemSetting): Promise<boolean>;
  /** As it was before us; also what an earlier run left behind. */
  restore(): Promise<void>;
  /** Calls `changed` when somebody may have undone it, or the system has other resolvers. */
  watch(changed: () => void): Closable;
}

export interface SystemContext {
  readonly system: SystemPort;
  readonly paths: SystemPaths;
  readonly interfaceIndex: () => number;
  /** All that we may listen on. */
  readonly addresses: readonly Uint8Array[];
}

export async function detectSystem(context: SystemContext): Promise<SystemResolver> {
  const file = new PlainFile(context);
  // What an earlier run left in the file is no sign of who made it.
  const text = await file.before();
  const names = parseResolvConf(text).nameservers;
  if (names.some((one) => one.address.join('.') === RESOLVED_STUB)) {
    const resolved = new Resolved(context);
    if (await resolved.present()) return resolved;
  }
  const resolvconf = new Resolvconf(context);
  if (!(await file.isApplied()) && (await resolvconf.present(text))) return resolvconf;
  return file;
}
