/**
 * systemd-resolved, by its bus: our addresses as the DNS servers of our interface, our domains as those that
 * are asked there. It forgets both with the interface, so that a crash leaves nothing behind.
 *
 *     SetLinkDNS       ia(iay)   interface, (family, address) ...
 *     SetLinkDomains   ia(sb)    interface, (domain, routing only) ...   `.` routes everything
 *     SetLinkDefaultRoute ib     whether names that fit no link's domain may come here
 *     SetLinkDNSSEC, SetLinkDNSOverTLS, SetLinkLLMNR, SetLinkMulticastDNS  is    `no`: ours is unsigned, and local
 *     RevertLink       i
 *
 * A restart of the service forgets as well, and rewrites its list of uplinks; that is watched, and then the
 * link's property is compared.
 *
 * Source: org.freedesktop.resolve1(5), busctl(1).
 */

import { equalBytes } from '../../base/bytes.ts';
import { NetError } from '../../base/errors.ts';
import { IPV4_BYTES } from '../../base/ip.ts';
import type { ResolverAddress } from '../../protocol/dns/resolver-address.ts';
import type { Closable } from './ports.ts';
import { parseResolvConf } from './resolv-conf.ts';
import type { SystemContext, SystemResolver, SystemSetting } from './system-resolver.ts';

export const RESOLVED_STUB = '127.0.0.53';

const SERVICE = 'org.freedesktop.resolve1';
const ROOT = '/org/freedesktop/resolve1';
const AF_INET = 2;
const AF_INET6 = 10;

export class Resolved implements SystemResolver {
  readonly kind = 'systemd-resolved' as const;
  readonly #context: SystemContext;
  #applied: { readonly setting: SystemSetting; readonly index: number } | undefined;

  constructor(context: SystemContext) {
    this.#context = context;
  }

  async present(): Promise<boolean> {
    const argv = ['call', SERVICE, ROOT, 'org.freedesktop.DBus.Peer', 'Ping'];
    return (await this.#busctl(argv)).code === 0;
  }

  async upstreams(): Promise<readonly ResolverAddress[]> {
    const { system, paths, addresses } = this.#context;
    const text = (await system.read(paths.resolvedUplinks)) ?? '';
    return parseResolvConf(text).nameservers.filter(
      ({ address }) => !addresses.some((one) => equalBytes(one, address)),
    );
  }

  async apply(setting: SystemSetting): Promise<boolean> {
    const index = this.#context.interfaceIndex();
    const same =
      this.#applied?.index === index &&
      JSON.stringify(wordsOf(this.#applied.setting)) === JSON.stringify(wordsOf(setting));
    if (same && (await this.#stands(setting, index))) return false;
    const link = String(index);
    const { dns, domains } = wordsOf(setting);
    await this.#call('SetLinkDNS', 'ia(iay)', link, ...dns);
    await this.#call('SetLinkDomains', 'ia(sb)', link, ...domains);
    await this.#call('SetLinkDefaultRoute', 'ib', link, setting.everything ? 'true' : 'false');
    for (const method of ['DNSSEC', 'DNSOverTLS', 'LLMNR', 'MulticastDNS'])
      await this.#call(`SetLink${method}`, 'is', link, 'no');
    await this.#call('FlushCaches', '');
    this.#applied = { setting, index };
    return true;
  }

  async restore(): Promise<void> {
    const index = this.#applied?.index;
    this.#applied = undefined;
    // Where the interface is gone already there is nothing left to revert.
    if (index !== undefined)
      await this.#busctl(['call', ...MANAGER, 'RevertLink', 'i', `${index}`]);
  }

  watch(changed: () => void): Closable {
    const { system, paths } = this.#context;
    return system.watch(paths.resolvedUplinks, changed);
  }

  /** Whether the link still has what we gave it. */
  async #stands(setting: SystemSetting, index: number): Promise<boolean> {
    const [first = '', ...rest] = String(index);
    // An object path writes a leading digit as its character code (sd_bus_path_encode(3)).
    const path = `${ROOT}/link/_3${first}${rest.join('')}`;
    const argv = ['get-property', SERVICE, path, `${SERVICE}.Link`, 'DNS'];
    const { code, stdout } = await this.#busctl(argv);
    return code === 0 && stdout.trim() === `a(iay) ${wordsOf(setting).dns.join(' ')}`;
  }

  async #call(method: string, signature: string, ...values: readonly string[]): Promise<void> {
    const form = signature === '' ? [] : [signature];
    const { code, stderr } = await this.#busctl(['call', ...MANAGER, method, ...form, ...values]);
    if (code !== 0)
      throw new NetError(`names: systemd-resolved refuses ${method}: ${stderr.trim() || code}`);
  }

  #busctl(argv: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    return this.#context.system.run(['busctl', '--system', '--timeout=5', '--', ...argv]);
  }
}

const MANAGER = [SERVICE, ROOT, `${SERVICE}.Manager`] as const;

function wordsOf({ addresses, search, domains, everything }: SystemSetting): {
  readonly dns: readonly string[];
  readonly domains: readonly string[];
} {
  const dns = addresses.flatMap((address) => [
    String(address.length === IPV4_BYTES ? AF_INET : AF_INET6),
    String(address.length),
    ...[...address].map(String),
  ]);
  const routed = [...(everything ? ['.'] : []), ...domains.filter((one) => !search.includes(one))];
  const pairs = [
    ...search.flatMap((domain) => [domain, 'false']),
    ...routed.flatMap((domain) => [domain, 'true']),
  ];
  return {
    dns: [String(addresses.length), ...dns],
    domains: [String(pairs.length / 2), ...pairs],
  };
}
