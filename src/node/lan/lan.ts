/**
 * LAN devices that this node shares by hand: each gets an address and a name of the mesh, and packets to it are
 * sent on to the device.
 *
 *     added --share--> shared --server--> given an address --map has it too--> mapped
 *       ^                 |                                                      |
 *       +---- unshare ----+------------------------------------------------------+   at once, then the server hears
 *
 * Two must agree before a device is mapped: the server's answer, which says whose address it is, and the map,
 * whose AllowedIPs of our own node is the authority. Both are kept on disk (the map by the session), so that a
 * node that starts with no server maps as it did.
 *
 * The server is told the whole list: after each change, when it is reached again (`online`), and until it has
 * answered, at growing intervals. One report is under way at a time.
 */

import type { Env } from '../../base/env.ts';
import { ConfigError, NetError } from '../../base/errors.ts';
import type { Health } from '../../base/health.ts';
import { formatIp, parseIp } from '../../base/ip.ts';
import type { Prefix } from '../../base/prefix.ts';
import { contains } from '../../base/prefix.ts';
import type { AllottedDevice, ReportedDevice } from '../../protocol/tailcfg/lan.ts';
import { MAX_REPORTED } from '../../protocol/tailcfg/lan.ts';
import type { SafeFile } from '../../store/safe-file.ts';
import type { Device, Devices } from './devices.ts';
import { deviceAddress, deviceName, isOwn, NO_DEVICES } from './devices.ts';
import type { LanPorts, LanSurroundings } from './ports.ts';
import { Reporter } from './reporter.ts';

/** As `lan list --json` has it. */
export interface LanDeviceState {
  readonly name: string;
  /** Full name in the network; null: not given yet. */
  readonly fqdn: string | null;
  readonly address: string;
  /** Of the mesh, in the family of `address`; null: not given yet. */
  readonly meshAddress: string | null;
  readonly mode: 'route';
  readonly sshPort: number;
  readonly shared: boolean;
  /** Packets to its mesh address are sent on. */
  readonly mapped: boolean;
}

/** Both of one family. */
export interface LanMapping {
  readonly mesh: Uint8Array;
  readonly lan: Uint8Array;
}

const ID_BYTES = 8;
const SSH_PORT = 22;

export class Lan {
  readonly #env: Env;
  readonly #ports: LanPorts;
  readonly #file: SafeFile<Devices>;
  readonly #reporter: Reporter;
  #surroundings: LanSurroundings = { networks: [], own: [] };
  /** The map's prefixes for our own node. */
  #allowed: readonly Prefix[] = [];
  #devices: readonly Device[];
  #owed: boolean;
  #changes: Promise<unknown> = Promise.resolve();
  #said = '';
  #online = false;

  constructor(env: Env, ports: LanPorts, file: SafeFile<Devices>, health: Health) {
    this.#env = env;
    this.#ports = ports;
    this.#file = file;
    const { devices, owed } = file.value ?? NO_DEVICES;
    this.#devices = devices;
    this.#owed = owed;
    this.#reporter = new Reporter(env, {
      health,
      report: () => this.#report(),
    });
  }

  list(): readonly LanDeviceState[] {
    return this.#devices.map((device) => this.#stateOf(device));
  }

  /** What the router is to send on. */
  mapping(): readonly LanMapping[] {
    return this.#devices.flatMap((device) => this.#mappingOf(device) ?? []);
  }

  /**
   * A new device, not shared yet; or another address, or SSH port, of a known one.
   *
   * @throws ConfigError where the name or address is none, NetError where the disk refuses
   */
  add(name: string, address: string, sshPort?: number): Promise<LanDeviceState> {
    return this.#change(deviceName(name), (known, label) => {
      if (known === undefined && this.#devices.length >= MAX_REPORTED)
        throw new ConfigError(`${MAX_REPORTED} devices are the most: remove one first`);
      if (sshPort !== undefined && !(Number.isInteger(sshPort) && sshPort > 0 && sshPort < 65_536))
        throw new ConfigError(`${sshPort} is no port`);
      return {
        ...(known ?? { id: this.#newId(), name: label, shared: false }),
        address: deviceAddress(address, this.#surroundings),
        sshPort: sshPort ?? known?.sshPort ?? SSH_PORT,
      };
    });
  }

  /** @throws ConfigError where nothing has this name, NetError where the disk refuses */
  share(name: string): Promise<LanDeviceState> {
    return this.#change(name, (known, label) => ({ ...found(known, label), shared: true }));
  }

  /** Ends the mapping at once, whether the server is there or not. Its address stays its own. */
  unshare(name: string): Promise<LanDeviceState> {
    return this.#change(name, (known, label) => ({ ...found(known, label), shared: false }));
  }

  /** The device as it was. */
  remove(name: string): Promise<LanDeviceState> {
    return this.#change(name, (known, label) => {
      found(known, label);
      return undefined;
    });
  }

  /** The server is reached, or reached again: it may know nothing. Once more without `offline` does nothing. */
  online(): void {
    if (this.#online) return;
    this.#online = true;
    // A node that shares nothing has nothing to say, and a server of another kind is not asked.
    if (this.#owed || this.#devices.some(({ shared }) => shared)) this.#reporter.want();
  }

  offline(): void {
    this.#online = false;
    this.#reporter.pause();
  }

  /** @param allowed AllowedIPs of our own node in the map */
  setMap(allowed: readonly Prefix[]): void {
    this.#allowed = allowed;
    this.#tell();
  }

  setSurroundings(surroundings: LanSurroundings): void {
    this.#surroundings = surroundings;
    this.#tell();
  }

  close(): void {
    this.#reporter.close();
  }

  /** One after another, each seeing the last one's result; what is told is on the disk. */
  #change(
    name: string,
    make: (known: Device | undefined, name: string) => Device | undefined,
  ): Promise<LanDeviceState> {
    const label = name.toLowerCase();
    const changing = this.#changes.then(async () => {
      const known = this.#devices.find((device) => device.name === label);
      const device = make(known, label);
      const others = this.#devices.filter((one) => one !== known);
      const news = device?.shared || known?.shared || false;
      const devices = device === undefined ? others : inOrder([...others, device]);
      await this.#write(devices, this.#owed || news);
      if (news) this.#reporter.want();
      return this.#stateOf(device ?? (known as Device));
    });
    this.#changes = changing.catch(() => {});
    return changing;
  }

  async #write(devices: readonly Device[], owed: boolean): Promise<void> {
    await this.#file.write({ owed, devices });
    this.#set(devices, owed);
  }

  #set(devices: readonly Device[], owed: boolean): void {
    this.#devices = devices;
    this.#owed = owed;
    this.#tell();
  }

  /** Tells the server, and keeps what it gave. */
  async #report(): Promise<void> {
    await this.#changes;
    const told = this.#devices;
    const given = await this.#ports.report(told.filter(({ shared }) => shared).map(reported));
    const keeping = this.#changes.then(async () => {
      const devices = this.#devices.map((device) => withGiven(device, given));
      // What has changed meanwhile is still owed.
      const owed = this.#owed && this.#devices !== told;
      const same = owed === this.#owed && devices.every((device, i) => device === this.#devices[i]);
      if (same) return;
      await this.#write(devices, owed).catch((error: unknown) => {
        // A disk that refuses costs the address at the next start alone; the server is asked again then.
        if (!(error instanceof NetError)) throw error;
        this.#env.log.warn('lan: addresses not kept', { reason: error.message });
        this.#set(devices, owed);
      });
    });
    this.#changes = keeping.catch(() => {});
    await keeping;
  }

  #stateOf(device: Device): LanDeviceState {
    const { name, address, sshPort, shared, given } = device;
    return {
      name,
      fqdn: given?.name ?? null,
      address,
      meshAddress: given === undefined ? null : meshAddressOf(address, given),
      mode: 'route',
      sshPort,
      shared,
      mapped: this.#mappingOf(device) !== undefined,
    };
  }

  #mappingOf({ address, shared, given }: Device): LanMapping | undefined {
    if (!shared || given === undefined) return undefined;
    const lan = parseIp(address);
    const mesh = parseIp(meshAddressOf(address, given));
    if (lan === undefined || mesh === undefined || lan.length !== mesh.length) return undefined;
    // A lease may have made it ours since.
    if (isOwn(lan, this.#surroundings.own) || !isNamed(mesh, this.#allowed)) return undefined;
    return { mesh, lan };
  }

  /** Only what is different is news. */
  #tell(): void {
    const now = JSON.stringify(this.list());
    if (now === this.#said) return;
    this.#said = now;
    queueMicrotask(() => this.#ports.changed());
  }

  #newId(): string {
    return this.#env.random(ID_BYTES).toHex();
  }
}

const reported = ({ id, name, sshPort, address }: Device): ReportedDevice => ({
  id,
  kind: 'lan',
  name,
  sshPort,
  mode: 'route',
  family: address.includes(':') ? 6 : 4,
});

function found(device: Device | undefined, name: string): Device {
  if (device !== undefined) return device;
  throw new ConfigError(`no device is called '${name.slice(0, 63)}': see postern lan list`);
}

const inOrder = (devices: readonly Device[]): readonly Device[] =>
  devices.toSorted((a, b) => (a.name < b.name ? -1 : 1));

/** The device itself where nothing is different. */
function withGiven(device: Device, all: readonly AllottedDevice[]): Device {
  const mine = all.find(({ id }) => id === device.id);
  if (mine === undefined) return device;
  const given = { name: mine.name, ip4: mine.ip4, ip6: mine.ip6 };
  return JSON.stringify(given) === JSON.stringify(device.given) ? device : { ...device, given };
}

const meshAddressOf = (address: string, { ip4, ip6 }: { ip4: string; ip6: string }): string => {
  const mesh = address.includes(':') ? ip6 : ip4;
  const parsed = parseIp(mesh);
  return parsed === undefined ? mesh : formatIp(parsed);
};

/** By itself: a route that holds the address says nothing of a device. */
const isNamed = (address: Uint8Array, allowed: readonly Prefix[]): boolean =>
  allowed.some((prefix) => prefix.bits === 8 * address.length && contains(prefix, address));
