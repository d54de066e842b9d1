/**
 * A router between a tunnel and a LAN, for the tests of it. The tunnel is a cable whose ends have one hardware
 * address and ask nobody for another: as in a TUN device, whatever is routed there comes out at the other end.
 *
 *     far  100.64.0.2, fd7a:..::2  ==tunnel==  box  192.168.8.10 ---- switch ---- cam  192.168.8.20
 *          198.51.100.9 (its LAN)        eth0       eth1                    |
 *                                                                           +---- home 192.168.8.1 (gateway)
 *
 * `far` sends everything by the tunnel; `cam` and `home` know nothing of it.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Child } from './child.ts';
import { until } from './child.ts';
import type { Host, Lab } from './lab.ts';
import type { SettingText } from './router-process.ts';

const HERE = join(import.meta.dirname, '../..');
const PROGRAM = [join(HERE, 'node_modules/.bin/node'), join(HERE, 'test/netns/router-process.ts')];

export interface World {
  readonly box: Host;
  readonly far: Host;
  readonly cam: Host;
  readonly home: Host;
  readonly folder: string;
  start(setting: SettingText): Promise<Child>;
  /** The running one gets another setting. */
  change(child: Child, setting: SettingText): Promise<void>;
  pings(from: Host, address: string, ...more: string[]): Promise<boolean>;
  show(...argv: string[]): Promise<string>;
}

export const MEMBER: SettingText = {
  addresses: ['100.64.0.1/32', 'fd7a:115c:a1e0::1/128'],
  routes: ['100.64.0.2/32', '100.64.0.3/32', 'fd7a:115c:a1e0::2/128'],
};

export async function makeWorld(lab: Lab): Promise<World> {
  const [far, box] = [await lab.host('far'), await lab.host('box')];
  const [cam, home] = [await lab.host('cam'), await lab.host('home')];
  await lab.link(far, box);
  for (const host of [far, box])
    await host.ip(
      'link set eth0 down',
      'link set eth0 address 02:00:00:00:00:01 mtu 1280 arp off up',
    );
  await far.ip(
    'addr add 100.64.0.2/32 dev eth0',
    'addr add 198.51.100.9/32 dev eth0',
    'addr add fd7a:115c:a1e0::2/128 dev eth0 nodad',
    'route add default dev eth0',
    'route add ::/0 dev eth0',
  );
  await lab.bridge('switch', [
    [box, '192.168.8.10/24', 'fd00:8::10/64'],
    [cam, '192.168.8.20/24', 'fd00:8::20/64'],
    [home, '192.168.8.1/24', 'fd00:8::1/64'],
  ]);
  await box.ip('route add default via 192.168.8.1');
  await home.ip('addr add 203.0.113.1/32 dev lo');
  // The kernel's own address of the link, which comes when both ends are up.
  for (const host of [far, box])
    await until('the tunnel is up', async () =>
      /fe80::/.test((await host.run(['ip', '-6', 'address', 'show', 'dev', 'eth0'])).stdout),
    );
  const folder = mkdtempSync(join(tmpdir(), 'postern-router-'));
  lab.onClose(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'setting');
  const write = (setting: SettingText): void => writeFileSync(file, JSON.stringify(setting));
  let asked = 0;
  return {
    ...{ box, far, cam, home, folder },
    start: async (setting) => {
      write(setting);
      asked = 1;
      const child = box.start([...PROGRAM, 'eth0', join(folder, 'run'), file], { name: 'router' });
      await child.says(/^applied 1 .*\n/m, 15_000);
      return child;
    },
    change: async (child, setting) => {
      write(setting);
      child.signal('SIGHUP');
      await child.says(new RegExp(`^applied ${++asked} `, 'm'), 15_000);
    },
    pings: async (from, address, ...more) =>
      (await from.run(['ping', '-n', '-c', '1', '-W', '1', ...more, address], { check: false }))
        .code === 0,
    show: async (...argv) => (await box.run(argv, { check: false })).stdout,
  };
}

/** All that a router could have changed: rules, routes, filter, switches. */
export async function stateOf({ box }: World): Promise<string> {
  const parts = [];
  for (const argv of [
    ['ip', 'rule'],
    ['ip', '-6', 'rule'],
    ['ip', 'route', 'show', 'table', 'all'],
    ['ip', '-6', 'route', 'show', 'table', 'all'],
    ['ip', 'address'],
    ['nft', 'list', 'ruleset'],
    [
      'sysctl',
      '-a',
      '-r',
      '^net.ipv[46].(ip_forward|conf..*(rp_filter|forwarding|accept_ra|redirects))$',
    ],
  ])
    parts.push(
      (await box.run(argv, { check: false })).stdout.replace(/(metric|expires) \d+\S*/g, ''),
    );
  return parts.join('\n');
}

/** A TCP connection from `client` to `server`, with an answer. */
export async function talk(server: Host, client: Host, address: string): Promise<void> {
  const [node = ''] = PROGRAM;
  const listen = `require('net').createServer((s) => s.end('hello')).listen(9000, '::', () => console.log('ready'))`;
  await server.start([node, '-e', listen], { name: 'server' }).says(/ready/);
  const ask = `require('net').connect(9000, '${address}').setTimeout(4000, () => process.exit(1)).pipe(process.stdout)`;
  const { stdout } = await client.run([node, '-e', ask]);
  if (stdout !== 'hello') throw new Error(`the server's answer is '${stdout}'`);
}
