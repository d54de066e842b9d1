/**
 * A LAN device with a mesh address of its own, behind a stock client that stands for a node of ours.
 *
 *     a ── mesh ── gateway: advertises 100.64.x.y, dnat ──> 192.168.67.10
 *
 * A stock receiver takes packets for such an address only where the filter names it and where it advertises
 * the address itself; the server adds it to what viewers route there.
 */

import { join } from 'node:path';
import { must } from '../../must.ts';
import { until } from '../../netns/child.ts';
import type { Client } from './client.ts';
import type { Mesh } from './mesh.ts';
import { NODE } from './mesh.ts';
import { UNDER_TEST } from './server.ts';
import { meshTest } from './suite.ts';

const REPORT = join(import.meta.dirname, 'lan-report.ts');
const DEVICE = '192.168.67.10';
const NAS = { id: 'nas-1', kind: 'lan', name: 'nas', sshPort: 22, mode: 'route' };
const skip = UNDER_TEST !== 'ours' && 'only ours has LAN devices';
/** Until a change is in every map. */
const TOLD_MS = 5000;

meshTest(
  'lan: a device is reached at its own address, without a flag',
  { skip },
  async (t, mesh) => {
    const [a, gateway] = await mesh.joined('alice', 'a', 'gateway');
    const [stranger] = await mesh.joined('bob', 'stranger');
    const { ip4 } = await sharedDevice(mesh, gateway);
    await until('a is told', async () => routesTo(a, gateway, ip4), TOLD_MS);
    t.equal(await mesh.talk(a.host, 'nas.mesh.internal'), 'whole', 'by its name');
    t.equal(await mesh.talk(a.host, ip4), 'whole', 'and by its address');
    t.equal(await a.ping(ip4), 'direct', 'its peer is the gateway');
    t.notOk(await a.peer('nas'), 'it is no peer of its own');

    t.same((await stranger.status()).Peer ?? {}, {}, 'another user sees nothing of it');
    t.not(await mesh.talk(stranger.host, ip4), 'whole');

    t.equal((await report(mesh, gateway, [])).status, 200);
    await until('a has lost it', async () => !(await routesTo(a, gateway, ip4)), TOLD_MS);
    t.not(await mesh.talk(a.host, ip4), 'whole', 'withdrawn');
    const again = await report(mesh, gateway, [NAS]);
    t.equal(again.devices[0]?.ip4, ip4, 'shared again it has the address that it had');
    await until('a has it again', async () => routesTo(a, gateway, ip4), TOLD_MS);
    t.equal(await mesh.talk(a.host, ip4), 'whole');
  },
);

meshTest(
  'lan: a client before 1.94 is told of the flag, and then reaches it',
  { skip },
  async (t, mesh) => {
    const [a, gateway] = await mesh.joined('alice', 'a', 'gateway');
    const old = await mesh.client('old', { version: '1.80' });
    await old.up(await mesh.server.createKey({ user: 'alice' }));
    t.notMatch(await health(old), /--accept-routes/, 'nothing to tell yet');
    const { ip4 } = await sharedDevice(mesh, gateway);
    await until(
      'it says which flag',
      async () => /--accept-routes/.test(await health(old)),
      15_000,
    );
    t.notMatch(await health(a), /LAN devices/, 'a newer one is not told');
    t.not(await mesh.talk(old.host, ip4), 'whole', 'as it is told');
    await old.cli(['set', '--accept-routes']);
    await until('it does so', async () => (await mesh.talk(old.host, ip4)) === 'whole', 15_000);
  },
);

meshTest(
  'lan: the policy may give a device to another user, and that one alone',
  { skip, lanOwners: { 'lan:nas': ['bob@'] } },
  async (t, mesh) => {
    const [a, gateway] = await mesh.joined('alice', 'a', 'gateway');
    const [b] = await mesh.joined('bob', 'b');
    const { ip4 } = await sharedDevice(mesh, gateway);
    await mesh.serve(gateway.host);
    await until('bob is told', async () => routesTo(b, gateway, ip4), TOLD_MS);
    t.equal(await mesh.talk(b.host, ip4), 'whole');
    t.not(await mesh.talk(b.host, await gateway.ip4()), 'whole', 'but not the gateway itself');
    t.not(await mesh.talk(a.host, ip4), 'whole', 'nor alice the device');
  },
);

interface Report {
  readonly status: number;
  readonly devices: readonly { readonly ip4: string; readonly name: string }[];
}

/** A device that the gateway shares, and is made to answer for. */
async function sharedDevice(mesh: Mesh, gateway: Client): Promise<{ ip4: string }> {
  const device = await mesh.network.device('device', gateway.station);
  await mesh.serve(device);
  const { status, devices } = await report(mesh, gateway, [NAS]);
  if (status !== 200) throw new Error(`PUT /machine/lan: ${status}`);
  const { ip4 } = must(devices[0]);
  await gateway.cli(['set', `--advertise-routes=${ip4}/32`]);
  await gateway.host.nft(`
    table ip lab-lan {
      chain in {
        type nat hook prerouting priority dstnat
        ip daddr ${ip4} dnat to ${DEVICE}
      }
      chain out {
        type nat hook postrouting priority srcnat
        ip daddr ${DEVICE} masquerade
      }
    }`);
  return { ip4 };
}

/** From the hub, which is where the server listens. */
async function report(mesh: Mesh, node: Client, devices: readonly object[]): Promise<Report> {
  const words = [REPORT, mesh.server.url, node.stateFile, JSON.stringify(devices)];
  const { stdout } = await mesh.network.hub.run([NODE, ...words]);
  const at = stdout.indexOf(' ');
  return { status: Number(stdout.slice(0, at)), devices: [], ...JSON.parse(stdout.slice(at)) };
}

async function routesTo(viewer: Client, gateway: Client, address: string): Promise<boolean> {
  return (await viewer.peer(gateway.name))?.AllowedIPs?.includes(`${address}/32`) ?? false;
}

async function health(client: Client): Promise<string> {
  return ((await client.status()).Health ?? []).join('\n');
}
