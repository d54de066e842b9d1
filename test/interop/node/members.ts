/** Members of one network, each of them our node or a stock client, all of them alice's. */

import type { Client, ClientOptions } from '../control/client.ts';
import type { Mesh } from '../control/mesh.ts';
import type { Network, Station } from '../control/network.ts';
import type { Kind } from './ours.ts';
import { makeClient } from './ours.ts';

export type Pair = readonly [a: Kind, b: Kind];

export class Members {
  readonly mesh: Mesh;
  #key: string | undefined;

  constructor(mesh: Mesh) {
    this.mesh = mesh;
  }

  get network(): Network {
    return this.mesh.network;
  }

  /** A key of alice's, whom the first call makes. */
  async key(): Promise<string> {
    if (this.#key === undefined) {
      await this.mesh.server.createUser('alice');
      this.#key = await this.mesh.server.createKey({ user: 'alice', reusable: true });
    }
    return this.#key;
  }

  /** With its daemon, not logged in. @param station default a new one at the hub */
  async member(
    kind: Kind,
    name: string,
    station?: Station,
    options: ClientOptions = {},
  ): Promise<Client> {
    const place = station ?? (await this.network.station(name));
    return makeClient(kind, this.network, this.mesh.server, place, name, options).start();
  }

  /** Running, as alice's. */
  async joined(
    kind: Kind,
    name: string,
    station?: Station,
    options: ClientOptions = {},
    ...more: readonly string[]
  ): Promise<Client> {
    const client = await this.member(kind, name, station, options);
    await client.up(await this.key(), ...more);
    return client;
  }
}
