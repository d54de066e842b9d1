/** Many stock clients at the same time. */

import { must } from '../../must.ts';
import { until } from '../../netns/child.ts';
import { Client } from './client.ts';
import { meshTest } from './suite.ts';

const CLIENTS = 50;
const STATIONS = 5;
/** Two cores, shared by the server and fifty daemons that all measure their relay. */
const ALL_SEE_ALL_MS = 60_000;

meshTest('crowd: 50 join at once, and all see all', { timeoutMs: 150_000 }, async (t, mesh) => {
  const { network, server } = mesh;
  await server.createUser('alice');
  await server.createUser('bob');
  const key = await server.createKey({ user: 'alice', reusable: true });
  const stations = await Promise.all(
    Array.from({ length: STATIONS }, (_, i) => network.station(`station-${i}`)),
  );
  const crowd = Array.from(
    { length: CLIENTS },
    (_, i) =>
      new Client(network, server, must(stations[i % STATIONS]), `c${i}`, { userspace: true }),
  );
  await Promise.all(crowd.map((client) => client.start()));
  const asked = performance.now();
  const joined = await Promise.allSettled(crowd.map((client) => client.up(key)));
  t.equal(joined.filter(({ status }) => status === 'fulfilled').length, CLIENTS, 'all are Running');
  t.comment(`after ${Math.round(performance.now() - asked)} ms`);

  const nodes = await server.nodes();
  t.equal(nodes.length, CLIENTS);
  t.equal(new Set(nodes.map(({ name }) => name)).size, CLIENTS, 'each has a name of its own');
  const addresses = nodes.flatMap((node) => node.addresses);
  t.equal(new Set(addresses).size, 2 * CLIENTS, 'and two addresses');
  await Promise.all(
    crowd.map((client) =>
      until(
        `${client.name} sees all others online`,
        async () => {
          const { Peer, Self } = await client.status();
          const online = Object.values(Peer ?? {}).filter(({ Online }) => Online);
          return new Set([Self, ...online].map(({ DNSName }) => DNSName)).size === CLIENTS;
        },
        ALL_SEE_ALL_MS,
      ),
    ),
  );
  t.comment(`all see all after ${Math.round(performance.now() - asked)} ms`);

  const stranger = await mesh.client('stranger');
  await stranger.up(await server.createKey({ user: 'bob' }));
  t.same((await stranger.status()).Peer ?? {}, {}, 'and nobody of another user');
});
