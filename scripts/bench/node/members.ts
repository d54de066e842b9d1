/** A network with our server, and members of it of either kind that log no more than they do by themselves. */

import { Client } from '../../../test/interop/control/client.ts';
import { Mesh } from '../../../test/interop/control/mesh.ts';
import { Network } from '../../../test/interop/control/network.ts';
import { startServer } from '../../../test/interop/control/server.ts';
import type { Kind } from '../../../test/interop/node/ours.ts';
import { Ours } from '../../../test/interop/node/ours.ts';
import { until } from '../../../test/netns/child.ts';
import { Lab } from '../../../test/netns/lab.ts';
import type { Line } from '../measure.ts';
import type { Contender } from './rows.ts';

const DIRECT_MS = 30_000;

export interface Bench {
  readonly mesh: Mesh;
  /** Of one user, for any number. */
  readonly authKey: string;
  /** With its daemon, not logged in. */
  started(kind: Kind, name: string): Promise<Client>;
  /** Running. */
  joined(kind: Kind, name: string): Promise<Client>;
}

export const KINDS: Readonly<Record<Contender, readonly [sender: Kind, receiver: Kind]>> = {
  ours: ['ours', 'ours'],
  stock: ['stock', 'stock'],
  'to-stock': ['ours', 'stock'],
  'from-stock': ['stock', 'ours'],
};

/** As anybody starts it: a test has it tell more. */
class Plain extends Ours {
  protected override daemon(): ReturnType<Ours['daemon']> {
    const daemon = super.daemon();
    return { ...daemon, env: { ...daemon.env, POSTERN_LOG: 'info' } };
  }
}

export async function withBench<T>(measure: (bench: Bench) => Promise<T>): Promise<T> {
  await using lab = await Lab.create('bench-node');
  const network = await Network.create(lab);
  try {
    const server = await startServer(network);
    await server.createUser('alice');
    const authKey = await server.createKey({ user: 'alice', reusable: true });
    const started = async (kind: Kind, name: string): Promise<Client> => {
      const Made = kind === 'ours' ? Plain : Client;
      return new Made(network, server, await network.station(name), name).start();
    };
    const joined = async (kind: Kind, name: string): Promise<Client> => {
      const client = await started(kind, name);
      await client.up(authKey);
      return client;
    };
    return await measure({ mesh: new Mesh(network, server), authKey, started, joined });
  } finally {
    await lab.close();
    network.close();
  }
}

/** Two members, `a` the sender, that reach each other directly. */
export async function directPair(
  bench: Bench,
  contender: Contender,
): Promise<{ readonly a: Client; readonly b: Client; readonly line: Line }> {
  const [sender, receiver] = KINDS[contender];
  const [a, b] = await Promise.all([bench.joined(sender, 'a'), bench.joined(receiver, 'b')]);
  const address = await b.ip4();
  const direct = async (): Promise<boolean> => (await a.ping(address, 2)) === 'direct';
  await until('they reach each other directly', direct, DIRECT_MS);
  return { a, b, line: { from: a.host, address, pids: [a.child.pid, b.child.pid] } };
}
