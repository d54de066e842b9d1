/** Stock clients around a server of ours, in namespaces: the lab of test/interop/control, for a measurement. */

import { Client } from '../../../test/interop/control/client.ts';
import { Network } from '../../../test/interop/control/network.ts';
import type { Server } from '../../../test/interop/control/server.ts';
import { startServer } from '../../../test/interop/control/server.ts';
import { Lab } from '../../../test/netns/lab.ts';

export interface Mesh {
  readonly network: Network;
  readonly server: Server;
  /** A key for any number of clients of one user. */
  readonly authKey: string;
  /** With its daemon, not logged in. */
  client(name: string): Promise<Client>;
}

/** @param prepare may start more at the hub; gives the file with a DERP map, if there is one */
export async function withMesh<T>(
  prepare: (network: Network) => Promise<string | undefined>,
  measure: (mesh: Mesh) => Promise<T>,
): Promise<T> {
  await using lab = await Lab.create('bench');
  const network = await Network.create(lab);
  try {
    const derpMap = await prepare(network);
    const server = await startServer(network, derpMap === undefined ? {} : { derpMap });
    await server.createUser('alice');
    const authKey = await server.createKey({ user: 'alice', reusable: true });
    const client = async (name: string): Promise<Client> =>
      new Client(network, server, await network.station(name), name).start();
    return await measure({ network, server, authKey, client });
  } finally {
    await lab.close();
    network.close();
  }
}
