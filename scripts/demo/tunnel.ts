/**
 * The tunnel between laptop and box, set up with stock `wg` and `ip`. Which implementation carries it is
 * the choice of POSTERN_UNDER_TEST; without it, ours.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Tunnel } from '../../test/netns/implementations.ts';
import { start, UNDER_TEST } from '../../test/netns/implementations.ts';
import { run } from '../run.ts';
import type { Network } from './network.ts';
import {
  BOX_TUNNEL,
  HOME_LAN,
  HOME_PUBLIC,
  LAPTOP_TUNNEL,
  shareLan,
  TUNNEL_MTU_BYTES,
  TUNNEL_PORT,
} from './network.ts';
import { fact } from './screen.ts';

/** @returns the laptop's end */
export async function putUpTunnel(network: Network, folder: string): Promise<Tunnel> {
  const { laptop, box } = network;
  const tunnels = { laptop: await start(UNDER_TEST, laptop), box: await start(UNDER_TEST, box) };
  const laptopKey = await tunnelKey(folder, 'laptop');
  const boxKey = await tunnelKey(folder, 'box');

  await tunnels.box.set('private-key', boxKey.file, 'listen-port', String(TUNNEL_PORT));
  await tunnels.box.set('peer', laptopKey.public, 'allowed-ips', `${LAPTOP_TUNNEL}/32`);
  await addressed(tunnels.box, BOX_TUNNEL, `${LAPTOP_TUNNEL}/32`);
  await shareLan(box, tunnels.box.interface);
  const implementation = UNDER_TEST === 'ours' ? 'Postern' : `wireguard-go (${UNDER_TEST})`;
  fact(
    'box',
    `${implementation}, shares ${HOME_LAN}; its router forwards udp ${TUNNEL_PORT} to it`,
  );

  const reach = `${BOX_TUNNEL}/32,${HOME_LAN}`;
  await tunnels.laptop.set('private-key', laptopKey.file);
  const endpoint = `${HOME_PUBLIC}:${TUNNEL_PORT}`;
  await tunnels.laptop.set('peer', boxKey.public, 'endpoint', endpoint, 'allowed-ips', reach);
  await addressed(tunnels.laptop, LAPTOP_TUNNEL, ...reach.split(','));
  fact('laptop', `${implementation}, knows box as ${endpoint}; cam is behind it`);
  return tunnels.laptop;
}

async function addressed(tunnel: Tunnel, address: string, ...routes: string[]): Promise<void> {
  const { host, interface: iface } = tunnel;
  await host.ip(
    `addr add ${address}/32 dev ${iface}`,
    `link set ${iface} mtu ${TUNNEL_MTU_BYTES} up`,
    ...routes.map((route) => `route add ${route} dev ${iface}`),
  );
}

async function tunnelKey(folder: string, name: string): Promise<{ file: string; public: string }> {
  const file = join(folder, `${name}.key`);
  const secret = await run(['wg', 'genkey']);
  writeFileSync(file, secret, { mode: 0o600 });
  return { file, public: (await run(['wg', 'pubkey'], { input: secret })).trim() };
}
