/**
 * What the router has put into the kernel, and how it becomes what is wanted. Each part reads what is there, and
 * changes the difference; `apply` names the parts in which somebody else had changed something.
 */

import type { Health } from '../../base/health.ts';
import type { Prefix } from '../../base/prefix.ts';
import { contains, equalPrefix } from '../../base/prefix.ts';
import { MAIN_TABLE, MESH_RANGES } from './constants.ts';
import { lookAtForeignFilter } from './foreign-filter.ts';
import type { Note, Notes, Switch } from './notes.ts';
import type { Family, Mark, RouterPorts } from './ports.ts';
import { familyOf } from './routes.ts';
import type { Surroundings } from './routing.ts';
import { Routing } from './routing.ts';
import { ruleset } from './ruleset.ts';
import type { RouterSetting } from './setting.ts';
import { NOTHING } from './setting.ts';
import {
  mergeSwitches,
  missingSwitches,
  needOf,
  restoreSwitches,
  setSwitches,
} from './switches.ts';
import { familiesOf, undo } from './undo.ts';

export interface AppliedOptions {
  readonly device: string;
  readonly mark: Mark;
  readonly table: string;
  readonly notes: Notes;
  readonly health: Health;
}

/** What a person sees of a part that fails. */
const PARTS = {
  note: ['router-note', 'changes of the system cannot be noted, and stay after a crash'],
  filter: ['router-filter', 'the packet filter is not as it must be'],
  switches: ['router-forwarding', 'packets may not be forwarded'],
  addresses: ['router-addresses', 'the interface has not all of its addresses'],
  routes: ['router-routes', 'not all routes are set'],
} as const;
type Part = keyof typeof PARTS;

export class Applied {
  readonly #ports: RouterPorts;
  readonly #options: AppliedOptions;
  readonly #routing: Routing;
  #setting = NOTHING;
  #noted: Omit<Note, 'process' | 'network'> | undefined;
  #switches: readonly Switch[] = [];
  #around: Surroundings = { families: [4], machine: [4], main: [], addresses: [] };
  #script: string | undefined;
  /** How the kernel lists what `#script` has made. */
  #listed: string | undefined;
  #failure: Error | undefined;

  constructor(ports: RouterPorts, options: AppliedOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#routing = new Routing(ports.ip, options);
  }

  /**
   * @returns parts that were not as the last call had left them
   * @throws the first error, after all parts have been tried
   */
  async apply(wanted: RouterSetting): Promise<string[]> {
    const changed: string[] = [];
    this.#failure = undefined;
    await this.#part('routes', () => this.#lookAround());
    const setting = ofFamilies(wanted, this.#around.families);
    const missing = await this.#prepare(setting);
    await this.#part('filter', async () => {
      await this.#filter(setting, changed);
      await lookAtForeignFilter(setting, this.#ports.nft, this.#options);
    });
    await this.#part('switches', () => this.#setSwitches(setting, missing));
    await this.#part('addresses', () => this.#addresses(setting, changed));
    if (this.#noted?.routing)
      await this.#part('routes', () => this.#routing.apply(setting, this.#around, changed));
    this.#setting = setting;
    if (this.#failure !== undefined) throw this.#failure;
    return changed;
  }

  async close(): Promise<void> {
    const { device, notes } = this.#options;
    const { env, ip } = this.#ports;
    if (this.#noted === undefined) return;
    const failures = await undo(this.#noted, await notes.others(device), this.#ports);
    // With its interface they are gone already.
    await ip.removeAddresses(device, this.#setting.addresses).catch(() => {});
    if (failures.length === 0) await notes.remove(device);
    else env.log.warn('router: not all could be put back', { reason: failures.join('; ') });
  }

  async #part(part: Part, action: () => Promise<void>): Promise<void> {
    const { health } = this.#options;
    const [code, text] = PARTS[part];
    try {
      await action();
      health.lower(code);
    } catch (error) {
      const { message } = error as Error;
      const severity = part === 'note' ? 'warning' : 'error';
      health.raise({ code, severity, text: `${text}: ${message}`, remedy: REMEDY });
      if (part !== 'note') this.#failure ??= error as Error;
    }
  }

  async #lookAround(): Promise<void> {
    const { ip, sysctl } = this.#ports;
    const { device } = this.#options;
    const off = await sysctl.readSysctl(`net/ipv6/conf/${device}/disable_ipv6`);
    const machine = await familiesOf(sysctl);
    const families = off === '0' ? machine : ([4] as const);
    const main = await ip.tableRoutes(MAIN_TABLE, machine);
    this.#around = { families, machine, main, addresses: await ip.interfaceAddresses() };
  }

  /** Notes what is going to change. @returns switches to set */
  async #prepare(setting: RouterSetting): Promise<Switch[]> {
    const { device, notes, table, mark } = this.#options;
    let missing: Switch[] = [];
    await this.#part('switches', async () => {
      missing = await missingSwitches(needOf(setting), device, this.#ports.sysctl);
    });
    const needs = Object.values(needOf(setting)).some(Boolean);
    await this.#part('note', async () => {
      // Theirs from before they came, ours from before we did.
      const theirs = needs ? (await notes.others(device)).flatMap(({ switches }) => switches) : [];
      this.#switches = mergeSwitches(mergeSwitches(this.#switches, theirs), missing);
      const routing = setting.addresses.length + setting.routes.length > 0 || setting.exit;
      const before = this.#noted;
      const note = {
        interface: device,
        table,
        mark,
        routing: routing || (before?.routing ?? false),
        switches: this.#switches,
      };
      // Kept in memory even where the disk refuses, so that `close` knows.
      this.#noted = note;
      if (JSON.stringify(before) !== JSON.stringify(note)) await notes.write(note);
    });
    return missing;
  }

  async #setSwitches(setting: RouterSetting, missing: readonly Switch[]): Promise<void> {
    const { sysctl } = this.#ports;
    if (Object.values(needOf(setting)).some(Boolean)) {
      await setSwitches(missing, sysctl);
      return;
    }
    if (this.#switches.length === 0) return;
    const { device, notes } = this.#options;
    const used = (await notes.others(device)).flatMap(({ switches }) => switches);
    const free = this.#switches.filter(({ key }) => !used.some((other) => other.key === key));
    await restoreSwitches(free, sysctl);
    this.#switches = [];
    if (this.#noted !== undefined) {
      this.#noted = { ...this.#noted, switches: [] };
      await notes.write(this.#noted);
    }
  }

  async #filter(setting: RouterSetting, changed: string[]): Promise<void> {
    const { nft } = this.#ports;
    const { device, table } = this.#options;
    const { main, addresses } = this.#around;
    const wasOff = (key: string): boolean => this.#switches.some((one) => one.key === key);
    const script = ruleset(setting, {
      table,
      device,
      meshInterfaces: distinct(
        addresses
          .filter((one) => one.interface !== device && MESH_RANGES.some(holds(one.address)))
          .map((one) => one.interface),
      ),
      uplinks: distinct(
        main.flatMap((route) =>
          route.prefix.bits === 0 && route.device !== undefined ? [route.device] : [],
        ),
      ),
      guarded: [
        ...(wasOff('net/ipv4/ip_forward') ? ([4] as const) : []),
        ...(wasOff('net/ipv6/conf/all/forwarding') ? ([6] as const) : []),
      ],
    });
    if (script === this.#script) {
      const there = script === undefined ? undefined : await nft.listTable(table);
      if (there === this.#listed) return;
      changed.push('packet filter');
    }
    if (script === undefined) await nft.deleteTable(table);
    else await nft.loadRules(script);
    this.#listed = script === undefined ? undefined : await nft.listTable(table);
    this.#script = script;
  }

  async #addresses(setting: RouterSetting, changed: string[]): Promise<void> {
    const { ip } = this.#ports;
    const { device } = this.#options;
    const { addresses, mtuBytes } = setting;
    const before = this.#setting;
    const old = before.addresses.filter((one) => !addresses.some((now) => equalPrefix(one, now)));
    await ip.removeAddresses(device, old);
    if (addresses.length === 0) return;
    const there = this.#around.addresses.filter((one) => one.interface === device);
    const lost = addresses.filter(
      ({ address }) => !there.some((one) => same(one.address, address)),
    );
    if (lost.some((one) => before.addresses.some((known) => equalPrefix(known, one))))
      changed.push('addresses');
    if (lost.length > 0 || before.mtuBytes !== mtuBytes || before === NOTHING)
      await ip.configureLink(device, { addresses, mtuBytes, up: true });
  }
}

const REMEDY = 'run it as root or by its unit, with iproute2 and nftables installed';

function ofFamilies(setting: RouterSetting, families: readonly Family[]): RouterSetting {
  const fits = (address: Uint8Array): boolean => families.includes(familyOf({ address, bits: 0 }));
  return {
    ...setting,
    addresses: setting.addresses.filter(({ address }) => fits(address)),
    routes: setting.routes.filter(({ address }) => fits(address)),
    advertised: setting.advertised.filter(({ prefix }) => fits(prefix.address)),
    lan: setting.lan.filter(({ mesh, lan }) => fits(mesh) && mesh.length === lan.length),
  };
}

const holds =
  (address: Uint8Array): ((prefix: Prefix) => boolean) =>
  (prefix) =>
    contains(prefix, address);

const same = (a: Uint8Array, b: Uint8Array): boolean => a.toHex() === b.toHex();

const distinct = (names: readonly string[]): string[] => [...new Set(names)].sort();
