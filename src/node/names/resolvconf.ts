/**
 * resolvconf, Debian's or openresolv: a list of what each interface knows, made into one resolv.conf. We are an
 * interface of it, called `tun-postern`, which Debian's order puts before those of cables and radio.
 *
 *     Debian        resolvconf -a tun-postern < text        ours first; the others stay behind it, for when we
 *                                                           do not answer at all
 *     openresolv    resolvconf -x -m 0 -a tun-postern       `-x`: ours alone
 *     both          resolvconf -d tun-postern
 *
 * What is left after a crash is taken back, or over, by the next start. systemd's `resolvconf` is resolvectl by
 * another name, and is not meant here.
 *
 * Source: resolvconf(8) of both.
 */

import { equalBytes } from '../../base/bytes.ts';
import { NetError } from '../../base/errors.ts';
import { formatIp } from '../../base/ip.ts';
import type { ResolverAddress } from '../../protocol/dns/resolver-address.ts';
import type { Closable, SystemPaths, SystemPort } from './ports.ts';
import { parseResolvConf } from './resolv-conf.ts';
import type { SystemContext, SystemResolver, SystemSetting } from './system-resolver.ts';

const INTERFACE = 'tun-postern';
/** In the first lines of what either makes. */
const MADE_BY = /^#.*\bresolvconf\b/im;

export class Resolvconf implements SystemResolver {
  readonly kind = 'resolvconf' as const;
  readonly #system: SystemPort;
  readonly #paths: SystemPaths;
  #flavour: 'Debian' | 'openresolv' = 'Debian';
  readonly #ours: readonly Uint8Array[];
  #applied = '';

  constructor({ system, paths, addresses }: SystemContext) {
    this.#system = system;
    this.#paths = paths;
    this.#ours = addresses;
  }

  /** @param text what resolv.conf holds */
  async present(text: string): Promise<boolean> {
    if (!MADE_BY.test(text.split('\n', 5).join('\n'))) return false;
    const { code, stdout, stderr } = await this.#system.run(['resolvconf', '--version']);
    if (code === 127 || /systemd/i.test(stdout + stderr)) return false;
    this.#flavour = /openresolv/i.test(stdout + stderr) ? 'openresolv' : 'Debian';
    return true;
  }

  async upstreams(): Promise<readonly ResolverAddress[]> {
    const seen = new Set<string>([INTERFACE]);
    return parseResolvConf(await this.#records(seen)).nameservers.filter(
      ({ address }) => !this.#ours.some((one) => equalBytes(one, address)),
    );
  }

  async apply({ addresses, search }: SystemSetting): Promise<boolean> {
    const text = [
      ...addresses.map((address) => `nameserver ${formatIp(address)}`),
      ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
      '',
    ].join('\n');
    if (text === this.#applied && (await this.#stands())) return false;
    const first = this.#flavour === 'openresolv' ? ['-x', '-m', '0'] : [];
    const { code, stderr } = await this.#system.run(
      ['resolvconf', ...first, '-a', INTERFACE],
      text,
    );
    if (code !== 0) throw new NetError(`names: resolvconf refuses us: ${stderr.trim() || code}`);
    this.#applied = text;
    return true;
  }

  async restore(): Promise<void> {
    this.#applied = '';
    const force = this.#flavour === 'openresolv' ? ['-f'] : [];
    await this.#system.run(['resolvconf', ...force, '-d', INTERFACE]);
  }

  watch(changed: () => void): Closable {
    return this.#system.watch(this.#paths.resolvConf, changed);
  }

  async #stands(): Promise<boolean> {
    const text = (await this.#system.read(this.#paths.resolvConf)) ?? '';
    const [first] = parseResolvConf(text).nameservers;
    return first !== undefined && this.#ours.some((one) => equalBytes(one, first.address));
  }

  /** What the other interfaces know. */
  async #records(not: ReadonlySet<string>): Promise<string> {
    if (this.#flavour === 'openresolv') {
      // Each record is headed `# resolv.conf from NAME`.
      const { stdout } = await this.#system.run(['resolvconf', '-l']);
      return stdout
        .split(/^(?=# resolv\.conf from )/m)
        .filter((part) => !not.has(/^# resolv\.conf from (\S+)/.exec(part)?.[1] ?? ''))
        .join('\n');
    }
    const folder = this.#paths.resolvconfRecords;
    const names = (await this.#system.list(folder)).filter((name) => !not.has(name));
    const texts = await Promise.all(names.map((name) => this.#system.read(`${folder}/${name}`)));
    return texts.join('\n');
  }
}
