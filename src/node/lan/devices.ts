/**
 * The document of LAN devices: what a person has named, and what the server gave it last.
 *
 *     version 1    { owed, devices: [ { id, name, address, sshPort, shared, given?: { name, ip4, ip6 } } ] }
 *
 *     owed         the server has not answered since the last change of what is shared; a device removed while it
 *                  was away would stay shared there for ever
 *
 * A name stands for one device: a new address under a known name moves the device (it got another lease) and
 * leaves id and mesh address as they are. A removed device's id never comes again; whoever gets its name later
 * is another device, and clients shall notice.
 */

import { ConfigError } from '../../base/errors.ts';
import { formatIp, parseIp } from '../../base/ip.ts';
import type { Prefix } from '../../base/prefix.ts';
import { contains, parsePrefix } from '../../base/prefix.ts';
import { MAX_REPORTED } from '../../protocol/tailcfg/lan.ts';
import type { Shape } from '../../protocol/tailcfg/shape.ts';
import { bool, list, maybe, object, text, whole } from '../../protocol/tailcfg/shape.ts';
import type { ReadDocument } from '../../store/safe-file.ts';
import type { LanSurroundings } from './ports.ts';

export const DEVICES_VERSION = 1;

export interface Given {
  /** In full: `cam.mesh.internal`. */
  readonly name: string;
  readonly ip4: string;
  readonly ip6: string;
}

export interface Device {
  /** By which the server knows it. */
  readonly id: string;
  /** A DNS label. */
  readonly name: string;
  readonly address: string;
  readonly sshPort: number;
  readonly shared: boolean;
  /** None: the server has not answered yet. */
  readonly given?: Given;
}

export interface Devices {
  readonly owed: boolean;
  readonly devices: readonly Device[];
}

export const NO_DEVICES: Devices = { owed: false, devices: [] };

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

const MESH: readonly Prefix[] = prefixes('100.64.0.0/10', 'fd7a:115c:a1e0::/48');
const PRIVATE: readonly Prefix[] = prefixes(
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  'fc00::/7',
);
/** No address of one other host, or one that only means something beside its interface. */
const NO_HOST: readonly Prefix[] = prefixes(
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/128',
  '::1/128',
  '::ffff:0:0/96',
  'fe80::/10',
  'ff00::/8',
);

const DOCUMENT: Shape<Devices> = object<Devices>({
  owed: bool,
  devices: list(
    object<Device>({
      id: text(64),
      name: text(63, 'a DNS label', (one) => LABEL.test(one)),
      address: text(45, 'an address', (one) => parseIp(one) !== undefined),
      sshPort: whole(1, 65_535),
      shared: bool,
      given: maybe(object<Given>({ name: text(254), ip4: text(15), ip6: text(45) })),
    }),
    MAX_REPORTED,
  ),
});

/** For SafeFile. */
export const readDevices: ReadDocument<Devices> = (body, version) => {
  if (version !== DEVICES_VERSION) throw new Error(`version ${version} is not known`);
  const fault = DOCUMENT.fault(body, false);
  if (fault !== undefined) throw new Error(`devices${fault}`);
  return DOCUMENT.copy(body as Devices);
};

/** @throws ConfigError where it is no label of DNS names */
export function deviceName(said: string): string {
  const name = said.toLowerCase();
  if (LABEL.test(name)) return name;
  throw new ConfigError(
    `'${said.slice(0, 80)}' is no name: use 1 to 63 letters, digits and hyphens, as in front-cam`,
  );
}

/** The address in its one form. @throws ConfigError for one that no LAN device can have */
export function deviceAddress(said: string, { networks, own }: LanSurroundings): string {
  const address = parseIp(said);
  if (address === undefined)
    throw new ConfigError(`'${said.slice(0, 80)}' is no address: give one like 192.168.1.20`);
  const within = (list: readonly Prefix[]): boolean => list.some((one) => contains(one, address));
  const name = formatIp(address);
  if (within(NO_HOST)) throw new ConfigError(`${name} is not the address of another device`);
  if (within(MESH))
    throw new ConfigError(`${name} is an address of the mesh: give the one that it has in the LAN`);
  if (isOwn(address, own))
    throw new ConfigError(`${name} is this machine itself, which is in the mesh already`);
  if (networks.some((network) => isEdge(network, address)))
    throw new ConfigError(`${name} means its whole network, not one device`);
  if (!within(PRIVATE) && !within(networks))
    throw new ConfigError(
      `${name} is neither a private address nor in a network of this machine: only devices of a LAN are shared`,
    );
  return name;
}

export const isOwn = (address: Uint8Array, own: readonly Uint8Array[]): boolean =>
  own.some((one) => contains({ address: one, bits: 8 * one.length }, address));

/** The network's own address or its broadcast: IPv4 alone has such hosts that are none (RFC 3021: not of /31). */
function isEdge(network: Prefix, address: Uint8Array): boolean {
  if (network.address.length !== 4 || network.bits > 30 || !contains(network, address))
    return false;
  const hostBits = (at: number): number => 0xff >> Math.min(8, Math.max(0, network.bits - 8 * at));
  const hosts = [...address].map((byte, at) => byte & hostBits(at));
  return hosts.every((byte) => byte === 0) || hosts.every((byte, at) => byte === hostBits(at));
}

function prefixes(...texts: readonly string[]): readonly Prefix[] {
  return texts.flatMap((one) => parsePrefix(one) ?? []);
}
