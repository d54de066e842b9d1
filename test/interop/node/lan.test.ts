/**
 * A device of the LAN behind our node, added and shared by hand: stock clients reach it at an address and by a
 * name of its own.
 */

import { must } from '../../must.ts';
import { until } from '../../netns/child.ts';
import type { Client } from '../control/client.ts';
import { UNDER_TEST as CONTROL } from '../control/server.ts';
import { Members } from './members.ts';
import { UNDER_TEST } from './ours.ts';
import { Ssh } from './ssh.ts';
import { nodeTest } from './suite.ts';

const DEVICE = '192.168.67.10';
const TOLD_MS = 5000;
const skip =
  (UNDER_TEST !== 'ours' && 'only ours has LAN devices') ||
  (CONTROL === 'headscale' && 'headscale knows of no LAN devices');
const VIEWERS = [
  ['stock', 'ours'],
  ['ours', 'ours'],
] as const;

nodeTest(
  'lan: a shared device is reached at its own address, by name, and by ssh',
  VIEWERS,
  { skip },
  async (t, { a, b, mesh }) => {
    const device = await mesh.network.device('device', b.station);
    await mesh.serve(device);
    await b.cli(['lan', 'add', 'nas', DEVICE]);
    t.match(await deviceOf(b), { name: 'nas', address: DEVICE, mode: 'route', shared: false });
    await b.cli(['lan', 'share', 'nas']);
    const { meshAddress } = await until('it has an address', async () => {
      const found = await deviceOf(b);
      return found.shared && found.meshAddress !== null && found;
    });
    const address = must(meshAddress);
    await until('a is told', () => routesTo(a, b, address), TOLD_MS);
    await until('it answers', async () => (await mesh.talk(a.host, address)) === 'whole');
    t.equal(await mesh.talk(a.host, 'nas.mesh.internal'), 'whole', 'by its name');
    t.equal(await mesh.talk(a.host, 'nas'), 'whole', 'and by the short one');
    t.notOk(await a.peer('nas'), 'it is no peer of its own');
    const ssh = await Ssh.serve(mesh.network, device);
    t.equal(await ssh.say(a.host, address, 'hostname'), 'cam', 'ssh to the device itself');
    t.match(await b.whois(address), { node: 'b.mesh.internal.' });

    await b.restart();
    await until(
      'after a restart',
      async () => (await mesh.talk(a.host, address)) === 'whole',
      15_000,
    );
    await b.cli(['lan', 'unshare', 'nas']);
    await until('a has lost it', async () => !(await routesTo(a, b, address)), TOLD_MS);
    t.not(await mesh.talk(a.host, address), 'whole');
    await b.cli(['lan', 'share', 'nas']);
    await until('shared again', async () => (await deviceOf(b)).meshAddress === address, TOLD_MS);
    await until('it answers', async () => (await mesh.talk(a.host, address)) === 'whole', 10_000);
  },
);

nodeTest(
  'lan: who may reach a device reaches nothing else of the node that it is behind',
  [['ours', 'ours']],
  { skip, lanOwners: { 'lan:nas': ['bob@'] } },
  async (t, { a, b, mesh }) => {
    await mesh.server.createUser('bob');
    const stranger = await new Members(mesh).member('stock', 'stranger');
    await stranger.up(await mesh.server.createKey({ user: 'bob' }));
    const device = await mesh.network.device('device', b.station);
    await Promise.all([mesh.serve(device), mesh.serve(b.host)]);
    await b.cli(['lan', 'add', 'nas', DEVICE]);
    await b.cli(['lan', 'share', 'nas']);
    const to = await until(
      'it has an address',
      async () => (await deviceOf(b)).meshAddress ?? false,
    );
    await until('bob is told', () => routesTo(stranger, b, to), TOLD_MS);
    await until('he reaches it', async () => (await mesh.talk(stranger.host, to)) === 'whole');
    t.not(await mesh.talk(stranger.host, await b.ip4()), 'whole', 'but not the node itself');
    t.not(await mesh.talk(a.host, to), 'whole', 'and alice not the device');
    t.equal(await mesh.talk(a.host, await b.ip4()), 'whole', 'but the node');
  },
);

interface Device {
  readonly name: string;
  readonly address: string;
  readonly meshAddress: string | null;
  readonly mode: string;
  readonly shared: boolean;
}

/** The only one that there is. */
async function deviceOf(client: Client): Promise<Device> {
  const printed = JSON.parse((await client.cli(['lan', 'list', '--json'])).stdout);
  const devices = (Array.isArray(printed) ? printed : printed.devices) as readonly Device[];
  return must(devices[0], 'a device');
}

async function routesTo(viewer: Client, gateway: Client, address: string): Promise<boolean> {
  return (await viewer.peer(gateway.name))?.AllowedIPs?.includes(`${address}/32`) ?? false;
}
