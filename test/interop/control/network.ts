/**
 * The place where stock clients meet our server: a hub that is switch and server in one, and hosts around it.
 *
 *     hub   10.88.0.1  fd88::1      bridge br0; the server runs here
 *      |-- a 10.88.0.2  fd88::2     default route: the hub
 *      |-- b 10.88.0.3  fd88::3
 *      |     '-- 192.168.67.1 ---- 192.168.67.10  a LAN device, which only b reaches
 *
 * A station has an /etc of its own, since a stock client writes there: /etc/netns leads `ip netns exec` to it.
 * These files bear the name of the process, so they go as namespaces go: with the network, at a signal, and
 * what a killed run left behind with the next network of anybody.
 */

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cable, Host, Lab } from '../../netns/lab.ts';

export const HUB = '10.88.0.1';
export const HUB6 = 'fd88::1';

const BRIDGE = 'br0';
const ETC = '/etc/netns';
const UDP_TABLE = 'inet lab-no-udp';
const RELAY_TABLE = 'inet lab-no-relay';

/** A host at the hub. */
export interface Station {
  readonly host: Host;
  readonly address: string;
  /** Empty: none. */
  readonly address6: string;
  /** `a` is its own end, `b` its port at the hub. */
  readonly cable: Cable;
  /** Its own /etc. */
  readonly etc: string;
}

export class Network {
  readonly lab: Lab;
  readonly hub: Host;
  /** For state files and sockets, each of its own name; gone with the network. */
  readonly folder: string;
  readonly #namespaces: string[] = [];
  /** Of the hub's own address, and then of each station's. */
  #last = 1;

  private constructor(lab: Lab, hub: Host, folder: string) {
    this.lab = lab;
    this.hub = hub;
    this.folder = folder;
  }

  static async create(lab: Lab): Promise<Network> {
    sweep((pid) => !isAlive(pid));
    sweepAtExit();
    const folder = mkdtempSync(join(tmpdir(), `postern-net-${process.pid}-`));
    FOLDERS.add(folder);
    const network = new Network(lab, await lab.host('hub'), folder);
    await network.hub.ip(
      `link add ${BRIDGE} type bridge`,
      `link set ${BRIDGE} up`,
      `addr add ${HUB}/24 dev ${BRIDGE}`,
      `addr add ${HUB6}/64 dev ${BRIDGE} nodad`,
    );
    return network;
  }

  /** A host that has an /etc of its own, and no cable yet. */
  async house(name: string): Promise<Pick<Station, 'host' | 'etc'>> {
    const host = await this.lab.host(name);
    const etc = join(this.folder, `${name}-etc`);
    this.#namespaces.push(host.namespace);
    makeEtc(etc, host.namespace);
    return { host, etc };
  }

  /** A host with an address and a default route through the hub. */
  async station(name: string): Promise<Station> {
    const { host, etc } = await this.house(name);
    const last = ++this.#last;
    const address = `10.88.0.${last}`;
    const address6 = `fd88::${last.toString(16)}`;
    const cable = await this.lab.link(host, this.hub, { a: [`${address}/24`, `${address6}/64`] });
    await this.hub.ip(`link set ${cable.b.interface} master ${BRIDGE}`);
    await host.ip(`route add default via ${HUB}`);
    return { host, address, address6, cable, etc };
  }

  /**
   * A device of the network behind a router: 192.168.`net`.10, which answers to the router alone, so that
   * whoever else reaches it came through the router.
   */
  async device(name: string, router: Station, net = 67): Promise<Host> {
    const device = await this.lab.host(name);
    await this.lab.link(device, router.host, {
      a: [`192.168.${net}.10/24`],
      b: [`192.168.${net}.1/24`],
    });
    await router.host.forward();
    return device;
  }

  /** Both directions of every UDP path between stations end; TCP, and so the relay, goes on. */
  async dropUdp(station: Station): Promise<void> {
    await station.host.nft(`
      table ${UDP_TABLE} {
        chain out {
          type filter hook output priority 0
          oifname "${station.cable.a.interface}" meta l4proto udp drop
        }
        chain in {
          type filter hook input priority 0
          iifname "${station.cable.a.interface}" meta l4proto udp drop
        }
      }`);
  }

  async allowUdp(station: Station): Promise<void> {
    await station.host.run(['nft', 'delete', 'table', ...UDP_TABLE.split(' ')]);
  }

  /** No byte goes between a station and the hub's own services; stations still hear each other. */
  async dropHub(station: Station): Promise<void> {
    await station.host.nft(`
      table ${RELAY_TABLE} {
        chain out {
          type filter hook output priority 0
          ip daddr ${HUB} drop
        }
      }`);
  }

  async allowHub(station: Station): Promise<void> {
    await station.host.run(['nft', 'delete', 'table', ...RELAY_TABLE.split(' ')]);
  }

  /** A cable cut somewhere on the way: the host's own interface stays up and sees nothing of it. */
  async cut({ cable }: Station): Promise<void> {
    await this.hub.ip(`link set ${cable.b.interface} nomaster`);
  }

  async mend({ cable }: Station): Promise<void> {
    await this.hub.ip(`link set ${cable.b.interface} master ${BRIDGE}`);
  }

  /** After the lab's own end, since its processes write here. */
  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
    FOLDERS.delete(this.folder);
    for (const namespace of this.#namespaces)
      rmSync(join(ETC, namespace), { recursive: true, force: true });
  }
}

const FOLDERS: Set<string> = new Set();

/**
 * An /etc of its own, since a stock client also keeps a copy of resolv.conf beside it. Who mounts it over /etc
 * (the client's daemon) and who sees two files of it (all that `ip netns exec` runs) share these two.
 */
function makeEtc(folder: string, namespace: string): void {
  mkdirSync(folder);
  for (const name of ['passwd', 'group', 'nsswitch.conf', 'protocols', 'services', 'os-release'])
    if (existsSync(join('/etc', name))) copyFileSync(join('/etc', name), join(folder, name));
  writeFileSync(join(folder, 'hosts'), '127.0.0.1 localhost\n');
  // Nobody answers there: only what the client itself puts in its place does.
  writeFileSync(
    join(folder, 'resolv.conf'),
    'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n',
  );
  mkdirSync(join(ETC, namespace), { recursive: true });
  for (const name of ['hosts', 'resolv.conf'])
    symlinkSync(join(folder, name), join(ETC, namespace, name));
}

let watching = false;

function sweepAtExit(): void {
  if (watching) return;
  watching = true;
  const mine = (): void => {
    sweep((pid) => pid === process.pid);
    for (const folder of FOLDERS) rmSync(folder, { recursive: true, force: true });
  };
  process.on('exit', mine);
  // Before the lab's own handler, which ends the process.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.prependOnceListener(signal, mine);
}

function sweep(which: (pid: number) => boolean): void {
  const mine = /^postern-(?:net-)?(\d+)-/;
  for (const parent of [ETC, tmpdir()])
    for (const name of folders(parent)) {
      const pid = mine.exec(name)?.[1];
      const ours = parent === ETC || name.startsWith('postern-net-');
      if (pid !== undefined && ours && which(Number(pid)))
        rmSync(join(parent, name), { recursive: true, force: true });
    }
}

function folders(parent: string): readonly string[] {
  try {
    return readdirSync(parent);
  } catch {
    return [];
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
