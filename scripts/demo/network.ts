/**
 * The demo's network: somebody in a café, and a camera at home.
 *
 *     laptop ---- cafe ------- internet ------- home ----+---- box   192.168.8.10
 *     .43.20      198.51.100.2    |    203.0.113.2       |
 *                            ^    |                      +---- cam   192.168.8.20
 *                 capture here    +---- server 192.0.2.2
 *
 * `cafe` and `home` are routers that hide what is behind them (NAT) and let nobody in: no port is forwarded.
 * `cam` has a stock sshd and a default route to `home`; it knows nothing of the mesh.
 */

import type { Host, Lab, Plug } from '../../test/netns/lab.ts';

const HOME_PUBLIC = '203.0.113.2';
const HOME_LAN = '192.168.8.0/24';
export const SERVER = '192.0.2.2';
export const BOX_LAN = '192.168.8.10';
export const CAM_LAN = '192.168.8.20';

export interface Network {
  readonly laptop: Host;
  readonly cafe: Host;
  readonly internet: Host;
  readonly server: Host;
  readonly home: Host;
  readonly box: Host;
  readonly cam: Host;
  /** Where an onlooker on the Internet listens. */
  readonly onlooker: Plug;
}

export async function makeNetwork(lab: Lab): Promise<Network> {
  const laptop = await lab.host('laptop');
  const cafe = await lab.host('cafe');
  const internet = await lab.host('internet');
  const server = await lab.host('server');
  const home = await lab.host('home');
  const box = await lab.host('box');
  const cam = await lab.host('cam');

  await lab.link(laptop, cafe, { a: ['192.168.43.20/24'], b: ['192.168.43.1/24'] });
  const west = await lab.link(cafe, internet, { a: ['198.51.100.2/24'], b: ['198.51.100.1/24'] });
  const east = await lab.link(home, internet, { a: [`${HOME_PUBLIC}/24`], b: ['203.0.113.1/24'] });
  await lab.link(server, internet, { a: [`${SERVER}/24`], b: ['192.0.2.1/24'] });
  await lab.bridge('lan', [
    [home, '192.168.8.1/24'],
    [box, `${BOX_LAN}/24`],
    [cam, `${CAM_LAN}/24`],
  ]);

  await laptop.ip('route add default via 192.168.43.1');
  await cafe.ip('route add default via 198.51.100.1');
  await home.ip('route add default via 203.0.113.1');
  await server.ip('route add default via 192.0.2.1');
  for (const host of [box, cam]) await host.ip('route add default via 192.168.8.1');

  await internet.forward();
  for (const outside of [west.a, east.a]) {
    await outside.host.nat(outside, 'easy');
    await dropStrangers(outside);
  }
  await closeHome(home, east.a.interface);
  return { laptop, cafe, internet, server, home, box, cam, onlooker: west.b };
}

/**
 * Opens the home network to the Internet for the time of `action`, as nobody should: only so can something
 * be sent to `cam` without a mesh, for comparison.
 */
export async function withHomeOpen(network: Network, action: () => Promise<void>): Promise<void> {
  const { internet, home } = network;
  await home.nft('delete table inet closed');
  await internet.ip(`route add ${HOME_LAN} via ${HOME_PUBLIC}`);
  await action();
  await internet.ip(`route del ${HOME_LAN}`);
  await closeHome(home, 'eth0');
}

/**
 * A router that took in a stranger's datagram for itself would hold its tuple for half a minute, and send what
 * its own people answer from another port. Home routers drop it at their outer side.
 */
async function dropStrangers({ host, interface: outside }: Plug): Promise<void> {
  await host.nft(`
    table inet strangers {
      chain here {
        type filter hook input priority filter
        iifname "${outside}" meta l4proto udp drop
      }
    }`);
}

async function closeHome(home: Host, outside: string): Promise<void> {
  await home.nft(`
    table inet closed {
      chain forward {
        type filter hook forward priority filter
        iifname "${outside}" ct state new drop
      }
    }`);
}
