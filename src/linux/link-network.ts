/**
 * What an interface is in its network: addresses, MTU, routes. It can be set again; then what was set before and
 * is no longer wanted goes. Whatever others have set stays. All of it ends with the device.
 */

import type { Prefix } from '../base/prefix.ts';
import { equalPrefix } from '../base/prefix.ts';
import type { Route } from './ip.ts';
import { changeRoutes, configureLink, removeAddresses, sameRoute } from './ip.ts';

export interface NetworkSetting {
  readonly mtuBytes: number;
  /** The interface's own, host bits kept. */
  readonly addresses: readonly Prefix[];
  readonly routes: readonly Route[];
}

export class LinkNetwork {
  readonly #name: string;
  #routes: readonly Route[] = [];
  #addresses: readonly Prefix[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  /**
   * Old addresses go first: the kernel takes others of their network with them, and with the last one every
   * IPv4 route. Routes come last, since they need an interface that is up and has addresses.
   *
   * @throws ConfigError, NetError (ip.ts)
   */
  async set({ mtuBytes, addresses, routes }: NetworkSetting): Promise<void> {
    const oldRoutes = without(this.#routes, routes, sameRoute);
    const oldAddresses = without(this.#addresses, addresses, equalPrefix);
    this.#routes = routes;
    this.#addresses = addresses;
    await removeAddresses(this.#name, oldAddresses);
    await configureLink(this.#name, { mtuBytes, addresses, up: true });
    await changeRoutes(this.#name, routes, oldRoutes);
  }
}

/** What of `before` is not in `after`. */
function without<T>(before: readonly T[], after: readonly T[], same: (a: T, b: T) => boolean): T[] {
  return before.filter((one) => !after.some((other) => same(one, other)));
}
