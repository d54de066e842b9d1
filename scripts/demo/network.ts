/**
 * The demo's network: somebody in a café, and a camera at home.
 *
 *     laptop ---- cafe ------- internet ------- home ----+---- box   192.168.8.10
 *     .43.20      198.51.100.2    |    203.0.113.2       |
 *                                 |                      +---- cam   192.168.8.20
 *                            capture here
 *
 * `cafe` and `home` are routers that hide what is behind them (NAT). `home` lets nobody in but for one
 * forwarded port, UDP 41641, to `box`. `cam` has a stock sshd and a default route to `home`; it knows nothing
 * of tunnels. `box` forwards from the tunnel to the home LAN under its own address there, so that `cam`
 * needs no route back.
 */

import type { Host, Lab, Plug } from '../../test/netns/lab.ts';

export const TUNNEL_PORT = 41_641;
export const TUNNEL_MTU_BYTES = 1420;
export const HOME_PUBLIC = '203.0.113.2';
export const HOME_LAN = '192.168.8.0/24';
export const BOX_LAN = '192.168.8.10';
export const CAM_LAN = '192.168.8.20';
export const LAPTOP_TUNNEL = '100.64.0.2';
export const BOX_TUNNEL = '100.64.0.1';

export interface Network {
  readonly laptop: Host;
  readonly internet: Host;
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
  const home = await lab.host('home');
  const box = await lab.host('box');
  const cam = await lab.host('cam');

  await lab.link(laptop, cafe, { a: ['192.168.43.20/24'], b: ['192.168.43.1/24'] });
  const west = await lab.link(cafe, internet, { a: ['198.51.100.2/24'], b: ['198.51.100.1/24'] });
  const east = await lab.link(home, internet, { a: [`${HOME_PUBLIC}/24`], b: ['203.0.113.1/24'] });
  await lab.bridge('lan', [
    [home, '192.168.8.1/24'],
    [box, `${BOX_LAN}/24`],
    [cam, `${CAM_LAN}/24`],
  ]);

  await laptop.ip('route add default via 192.168.43.1');
  await cafe.ip('route add default via 198.51.100.1');
  await home.ip('route add default via 203.0.113.1');
  for (const host of [box, cam]) await host.ip('route add default via 192.168.8.1');

  await internet.forward();
  await cafe.nat(west.a, 'easy');
  await home.nat(east.a, 'easy');
  await home.nft(`
    table inet demo {
      chain forwarded {
        type nat hook prerouting priority dstnat
        iifname "${east.a.interface}" udp dport ${TUNNEL_PORT} dnat ip to ${BOX_LAN}
      }
    }`);
  await closeHome(home, east.a.interface);
  return { laptop, internet, home, box, cam, onlooker: west.b };
}

/** `box` passes on what comes out of the tunnel, under its own address in the home LAN. */
export async function shareLan(box: Host, tunnel: string): Promise<void> {
  await box.forward();
  await box.nft(`
    table inet demo {
      chain lan {
        type nat hook postrouting priority srcnat
        iifname "${tunnel}" oifname "eth0" masquerade
      }
    }`);
}

/**
 * Opens the home network to the Internet for the time of `action`, as nobody should: only so can something
 * be sent to `cam` without a tunnel, for comparison.
 */
export async function withHomeOpen(network: Network, action: () => Promise<void>): Promise<void> {
  const { internet, home } = network;
  await home.nft('delete table inet closed');
  await internet.ip(`route add ${HOME_LAN} via ${HOME_PUBLIC}`);
  await action();
  await internet.ip(`route del ${HOME_LAN}`);
  await closeHome(home, 'eth0');
}

async function closeHome(home: Host, outside: string): Promise<void> {
  await home.nft(`
    table inet closed {
      chain forward {
        type filter hook forward priority filter
        iifname "${outside}" ct state new ct status & dnat == 0 drop
      }
    }`);
}
