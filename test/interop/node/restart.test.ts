/** What a restart of each party leaves as it was, and how little the others notice. */

import { setTimeout as pause } from 'node:timers/promises';
import { must } from '../../must.ts';
import { until } from '../../netns/child.ts';
import { UNDER_TEST } from './ours.ts';
import { nodeTest, PAIRS } from './suite.ts';
import { answers, pingOn } from './traffic.ts';

const BACK_MS = 15_000;
const AWAY_MS = 4000;
const LEARNED_MS = 10_000;

for (const how of ['asked', 'killed'] as const)
  nodeTest(
    `restart: a member that is ${how} to end comes back as itself, and is reached again`,
    PAIRS,
    {},
    async (t, { a, b, mesh }) => {
      t.equal(await a.ping('b'), 'direct');
      await mesh.serve(b.host);
      const before = (await b.status()).Self;
      await b.stop(how);
      await b.start();
      const came = performance.now();
      const after = (await b.running()).Self;
      t.same([after.ID, after.TailscaleIPs], [before.ID, before.TailscaleIPs]);
      t.equal(after.PublicKey, before.PublicKey);
      const to = must(before.TailscaleIPs[0]);
      await until('a reaches it', async () => (await a.ping(to)) === 'direct', BACK_MS);
      t.comment(`direct after ${Math.round(performance.now() - came)} ms`);
      t.equal(await mesh.talk(a.host, to), 'whole');
      t.equal((await mesh.server.nodes()).length, 2);
    },
  );

nodeTest('restart: without the server for 4 s no ping is lost', PAIRS, {}, async (t, scene) => {
  const { a, b, mesh } = scene;
  t.equal(await a.ping('b'), 'direct');
  const ping = pingOn(a.host, await b.ip4());
  await until('it answers', () => answers(ping).length > 5);
  await mesh.server.child.stop('SIGKILL');
  await pause(AWAY_MS);
  await mesh.server.again();
  await until(
    'both are online again',
    async () => (await mesh.server.nodes()).every(({ online }) => online),
    30_000,
  );
  await ping.stop('SIGINT');
  const got = answers(ping).map(({ sequence }) => sequence);
  const last = must(got.at(-1));
  t.equal(got.length, last, `${got.length} of ${last}`);
});

for (const how of ['asked', 'killed'] as const)
  nodeTest(
    `restart: with server and Internet gone, members that were ${how} to end talk on afterwards`,
    PAIRS.filter(([a, b]) => a === b),
    { skip: UNDER_TEST !== 'ours' && 'a stock client does not come up from the map that it keeps' },
    async (t, { a, b, mesh }) => {
      t.equal(await a.ping('b'), 'direct');
      await mesh.serve(b.host);
      const to = await b.ip4();
      // A power cut is allowed to cost a board what it has just been told.
      await pause(LEARNED_MS);
      await mesh.server.child.stop('SIGKILL');
      await Promise.all([a, b].map(({ station }) => mesh.network.dropHub(station)));
      await Promise.all([a.stop(how), b.stop(how)]);
      await Promise.all([a.start(), b.start()]);
      await until('they talk', async () => (await mesh.talk(a.host, to)) === 'whole', 30_000);
      t.equal(await a.ping(to), 'direct');
      t.equal(await a.ip4(), (await a.cli(['ip', '-4'])).stdout.trim(), 'its address is known');
    },
  );
