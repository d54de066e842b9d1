/** Names of nodes, and of whatever else has an address: who gives them, who sees them. */

import { must } from '../../must.ts';
import { until } from '../../netns/child.ts';
import { UNDER_TEST } from './server.ts';
import { meshTest } from './suite.ts';

/** Until a change is in every map. */
const TOLD_MS = 5000;

meshTest('rename: the new name counts everywhere, the old one nowhere', {}, async (t, mesh) => {
  const [a, b] = await mesh.joined('alice', 'a', 'b');
  await mesh.serve(b.host);
  t.equal(await mesh.talk(a.host, 'b'), 'whole');
  await mesh.server.rename('b', 'nas');
  await until('a knows it by the new name', () => a.peer('nas'), TOLD_MS);
  t.equal((await b.status()).Self.DNSName, 'nas.mesh.internal.');
  t.equal(await mesh.talk(a.host, 'nas'), 'whole');
  t.match(await mesh.talk(a.host, 'b.mesh.internal'), /ENOTFOUND/);
});

meshTest(
  'names: a machine may change its own, and never takes that of another',
  {},
  async (t, mesh) => {
    const [a, b, c] = await mesh.joined('alice', 'a', 'b', 'c');
    await b.cli(['set', '--hostname=NAS of Bob']);
    await until('its name follows', () => a.peer('nas-of-bob'), TOLD_MS);
    await c.cli(['set', '--hostname=NAS of Bob']);
    await until('the next one is told apart', () => a.peer('nas-of-bob-1'), TOLD_MS);
    t.equal(must(await a.peer('nas-of-bob')).ID, (await b.status()).Self.ID);
    t.equal(must(await a.peer('nas-of-bob-1')).ID, (await c.status()).Self.ID);
  },
);

meshTest(
  'names: a record of the administrator is answered by every client',
  { skip: UNDER_TEST !== 'ours' && 'the other has them in its settings' },
  async (t, mesh) => {
    const [a, b] = await mesh.joined('alice', 'a', 'b');
    await mesh.serve(b.host);
    t.match(await mesh.talk(a.host, 'wiki.mesh.internal'), /ENOTFOUND/);
    await mesh.server.addRecord('wiki', await b.ip4());
    await until(
      'it is known',
      async () => (await mesh.talk(a.host, 'wiki.mesh.internal')) === 'whole',
      TOLD_MS,
    );
    t.match((await a.cli(['dns', 'query', 'wiki.mesh.internal'])).stdout, await b.ip4());
  },
);
