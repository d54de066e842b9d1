/** MagicDNS as the machine's own resolver hears it: `getent` in a namespace whose resolv.conf is managed. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../netns/child.ts';
import type { Client } from '../control/client.ts';
import { membersTest, nodeTest, ONE_WAY } from './suite.ts';

const TOLD_MS = 5000;

nodeTest('names: members are found by short and whole name', ONE_WAY, {}, async (t, scene) => {
  const { a, b, mesh } = scene;
  const [address, own] = [await b.ip4(), await a.ip4()];
  t.equal(await getent(a, 'b'), address);
  t.equal(await getent(a, 'b.mesh.internal'), address);
  t.equal(await getent(a, 'a'), own, 'itself as well');
  t.equal(await getent(a, 'c.mesh.internal'), '', 'nobody');
  const { stdout } = await a.host.run(['getent', 'hosts', address], { check: false });
  t.match(stdout, /\bb\.mesh\.internal\b/, 'an address has a name');
  await mesh.server.rename('b', 'nas');
  await until('renamed', async () => (await getent(a, 'nas')) === address, TOLD_MS);
  t.equal(await getent(a, 'b.mesh.internal'), '', 'the old name is nobody’s');
  await mesh.server.addRecord('wiki', address);
  await until('a record', async () => (await getent(a, 'wiki')) === address, TOLD_MS);
});

membersTest(
  'names: the resolver is as it was after an end, after down, and after a crash',
  ONE_WAY,
  {},
  async (t, members, [kind]) => {
    const a = await members.member(kind, 'a');
    const file = (): string => readFileSync(join(a.station.etc, 'resolv.conf'), 'utf8');
    const before = file();
    const managed = (): Promise<boolean> =>
      until('it is managed', () => file() !== before && file().includes('100.100.100.100'));
    const restored = (): Promise<boolean> => until('it is as it was', () => file() === before);
    await a.up(await members.key());
    t.ok(await managed());
    await a.cli(['down']);
    t.ok(await restored(), 'down');
    await a.up(await members.key());
    t.ok(await managed());
    await a.stop();
    t.ok(await restored(), 'the end');
    await a.start();
    await a.running();
    t.ok(await managed());
    await a.stop('killed');
    await a.start();
    await a.running();
    t.ok(await managed());
    await a.stop();
    t.ok(await restored(), 'killed, and then ended');
  },
);

/** The first IPv4 address, or nothing; a stock client answers with no other. */
async function getent(client: Client, name: string): Promise<string> {
  const { stdout } = await client.host.run(['getent', 'ahostsv4', name], { check: false });
  return /^\S+/.exec(stdout)?.[0] ?? '';
}
