/**
 * Our table and the rules to it (routes.ts), as they are in the kernel and as they must be.
 *
 * They stand for both families where the machine has both, so that what is there does not depend on the moment
 * at which an interface got its IPv6.
 */

import type { Health } from '../../base/health.ts';
import type { Prefix } from '../../base/prefix.ts';
import { equalPrefix, formatPrefix } from '../../base/prefix.ts';
import { ROUTE_TABLE } from './constants.ts';
import type { Family, InterfaceAddress, IpPort, Mark, TableRoute } from './ports.ts';
import { firstPriority, isOurs, overriding, wantedRoutes, wantedRules } from './routes.ts';
import type { RouterSetting } from './setting.ts';

/** What of the network around us all depends on. */
export interface Surroundings {
  /** Of the tunnel interface. */
  readonly families: readonly Family[];
  readonly machine: readonly Family[];
  /** The main table. */
  readonly main: readonly TableRoute[];
  readonly addresses: readonly InterfaceAddress[];
}

export interface RoutingOptions {
  readonly device: string;
  readonly mark: Mark;
  readonly health: Health;
}

export class Routing {
  readonly #ip: IpPort;
  readonly #options: RoutingOptions;
  /** As wanted last: another text is a change of ours. */
  #tableText = '';
  #rulesText = '';

  constructor(ip: IpPort, options: RoutingOptions) {
    this.#ip = ip;
    this.#options = options;
  }

  /** Routes before the rules that lead to them, and rules away before theirs. */
  async apply(
    setting: RouterSetting,
    { families, machine, main }: Surroundings,
    changed: string[],
  ): Promise<void> {
    const ip = this.#ip;
    const { device } = this.#options;
    const { table, atHome } = wantedRoutes(setting, device, main, families);
    const there = await ip.tableRoutes(ROUTE_TABLE, machine);
    const put = table.filter((route) => !there.some((other) => sameRoute(route, other)));
    const gone = there.filter(
      ({ prefix }) => !table.some((one) => equalPrefix(one.prefix, prefix)),
    );
    const text = JSON.stringify(table);
    if (text === this.#tableText && put.length + gone.length > 0) changed.push('routes');
    await ip.changeTable(ROUTE_TABLE, put, gone);
    this.#tableText = text;
    this.#sayAtHome(atHome);
    await this.#rules(setting, machine, changed);
  }

  async #rules(
    { exit }: Pick<RouterSetting, 'exit'>,
    machine: readonly Family[],
    changed: string[],
  ): Promise<void> {
    const ip = this.#ip;
    const { mark } = this.#options;
    const rules = await ip.policyRules(machine);
    const other = overriding(rules, mark);
    const wanted = wantedRules(exit, mark, machine, firstPriority(other, exit));
    const ours = rules.filter((rule) => isOurs(rule, mark));
    const textOf = (rule: (typeof wanted)[number]): string =>
      JSON.stringify([rule.family, rule.priority, rule.not, rule.mark, rule.table ?? null]);
    const known = new Set(ours.map(textOf));
    const keep = new Set(wanted.map(textOf));
    const add = wanted.filter((rule) => !known.has(textOf(rule)));
    const remove = ours.filter((rule) => !keep.has(textOf(rule)));
    const text = JSON.stringify(wanted);
    if (text === this.#rulesText && add.length + remove.length > 0) changed.push('rules');
    await ip.changeRules(add, remove);
    this.#rulesText = text;
    this.#sayOverridden(exit && other !== undefined ? other.priority : undefined);
  }

  #sayAtHome(prefixes: readonly Prefix[]): void {
    const { health } = this.#options;
    if (prefixes.length === 0) {
      health.lower('router-at-home');
      return;
    }
    health.raise({
      code: 'router-at-home',
      severity: 'notice',
      text: `this machine has its own way to ${prefixes.map(formatPrefix).join(', ')}, and keeps it`,
      remedy: 'nothing, where that is the same network; else renumber one of the two',
    });
  }

  #sayOverridden(priority: number | undefined): void {
    const { health } = this.#options;
    if (priority === undefined) {
      health.lower('router-overridden');
      return;
    }
    health.raise({
      code: 'router-overridden',
      severity: 'warning',
      text: `another tunnel takes all traffic before the exit node would (policy rule ${priority})`,
      remedy: 'stop the other tunnel, or do without the exit node; `ip rule` shows both',
    });
  }
}

/** The kernel gives a `throw` of IPv6 a device. */
function sameRoute(a: TableRoute, b: TableRoute): boolean {
  return (
    a.kind === b.kind &&
    (a.kind !== 'unicast' || a.device === b.device) &&
    equalPrefix(a.prefix, b.prefix)
  );
}
