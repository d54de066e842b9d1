/**
 * The kernel's switches that the router needs, and how they come back.
 *
 *     forwarding, IPv4    net/ipv4/ip_forward = 1
 *     forwarding, IPv6    net/ipv6/conf/all/forwarding = 1
 *     loose reverse path  net/ipv4/conf/INTERFACE/rp_filter = 2, where it is strict
 *
 * The first two are wide: each sets `forwarding` of every interface; the IPv4 one turns `all/accept_redirects`
 * over; with the IPv6 one an interface stops heeding router advertisements, and loses its default route, unless
 * its `accept_ra` is 2. What they overwrite is noted before them and comes back after them: restoring goes
 * backwards, and leaves alone what somebody else has set since.
 *
 * The strict reverse path check (RFC 3704) drops an answer to one of our own packets when the way to its sender,
 * for a packet without our mark, is the tunnel: with `exit`, or an accepted route that holds a peer's endpoint.
 * `src_valid_mark` would need every such answer marked by its connection, and still drop a peer that speaks first.
 *
 * Source: the kernel's Documentation/networking/ip-sysctl.rst; net/ipv4/devinet.c and net/ipv6/addrconf.c.
 */

import { IPV4_BYTES, IPV6_BYTES } from '../../base/ip.ts';
import type { Prefix } from '../../base/prefix.ts';
import { contains } from '../../base/prefix.ts';
import { MESH_RANGES } from './constants.ts';
import type { Switch } from './notes.ts';
import type { SysctlPort } from './ports.ts';
import type { RouterSetting } from './setting.ts';

export interface SwitchNeed {
  readonly forward4: boolean;
  readonly forward6: boolean;
  readonly loose: boolean;
}

const FORWARD4 = 'net/ipv4/ip_forward';
const FORWARD6 = 'net/ipv6/conf/all/forwarding';

/** Forwarding for what we advertise; loose where the way to a peer's endpoint may be the tunnel. */
export function needOf(setting: RouterSetting): SwitchNeed {
  const { advertised, lan, routes, exit } = setting;
  const into = [...advertised.map(({ prefix }) => prefix.address), ...lan.map(({ mesh }) => mesh)];
  const forward = (bytes: number): boolean => into.some(({ length }) => length === bytes);
  const outside = ({ address }: Prefix): boolean =>
    !MESH_RANGES.some((range) => contains(range, address));
  return {
    forward4: forward(IPV4_BYTES),
    forward6: forward(IPV6_BYTES),
    loose: exit || routes.some(outside),
  };
}

/** What is not yet as needed, in the order in which it has to be set. */
export async function missingSwitches(
  need: SwitchNeed,
  device: string,
  port: SysctlPort,
): Promise<Switch[]> {
  return [
    ...(need.forward4 ? await forward4(port) : []),
    ...(need.forward6 ? await forward6(port) : []),
    ...(need.loose ? await loose(device, port) : []),
  ];
}

/** Sets them in order. @throws ConfigError where it is refused */
export async function setSwitches(switches: readonly Switch[], port: SysctlPort): Promise<void> {
  for (const { key, before, set } of switches) if (before !== set) await port.writeSysctl(key, set);
}

/** Puts back, the last one first, what still has the value that we gave it. */
export async function restoreSwitches(
  switches: readonly Switch[],
  port: SysctlPort,
): Promise<void> {
  const ours: Switch[] = [];
  // All are read before any is written: some change others.
  for (const one of switches) if ((await port.readSysctl(one.key)) === one.set) ours.push(one);
  for (const { key, before } of ours.reverse())
    if ((await port.readSysctl(key)) !== before) await port.writeSysctl(key, before);
}

/** The same switch once, with its value before the first and as the last set it. */
export function mergeSwitches(noted: readonly Switch[], added: readonly Switch[]): Switch[] {
  const again = (key: string): Switch | undefined => added.find((one) => one.key === key);
  return [
    ...noted.map((one) => ({ ...one, set: again(one.key)?.set ?? one.set })),
    ...added.filter(({ key }) => !noted.some((one) => one.key === key)),
  ];
}

async function forward4(port: SysctlPort): Promise<Switch[]> {
  if ((await port.readSysctl(FORWARD4)) !== '0') return [];
  const redirects = 'net/ipv4/conf/all/accept_redirects';
  const before = await port.readSysctl(redirects);
  return [
    ...(before === undefined ? [] : [{ key: redirects, before, set: '0' }]),
    ...(await eachForwarding('net/ipv4/conf', port)),
    { key: FORWARD4, before: '0', set: '1' },
  ];
}

async function forward6(port: SysctlPort): Promise<Switch[]> {
  if ((await port.readSysctl(FORWARD6)) !== '0') return [];
  const advertisements: Switch[] = [];
  for (const name of await port.listSysctl('net/ipv6/conf')) {
    const key = `net/ipv6/conf/${name}/accept_ra`;
    if (name !== 'all' && (await port.readSysctl(key)) === '1')
      advertisements.push({ key, before: '1', set: '2' });
  }
  return [
    ...advertisements,
    ...(await eachForwarding('net/ipv6/conf', port)),
    { key: FORWARD6, before: '0', set: '1' },
  ];
}

/** Interfaces that forward though the machine does not: they would be off after it has been on. */
async function eachForwarding(folder: string, port: SysctlPort): Promise<Switch[]> {
  const found: Switch[] = [];
  for (const name of await port.listSysctl(folder)) {
    const key = `${folder}/${name}/forwarding`;
    if (name !== 'all' && (await port.readSysctl(key)) === '1')
      found.push({ key, before: '1', set: '1' });
  }
  return found;
}

async function loose(device: string, port: SysctlPort): Promise<Switch[]> {
  const found: Switch[] = [];
  const key = (name: string): string => `net/ipv4/conf/${name}/rp_filter`;
  const all = Number(await port.readSysctl(key('all')));
  for (const name of await port.listSysctl('net/ipv4/conf')) {
    // A write to `default` would reach interfaces that are there, unless each was set once.
    if (['all', 'default', 'lo', device].includes(name)) continue;
    const own = await port.readSysctl(key(name));
    // The greater of the two counts.
    if (own !== undefined && Math.max(all, Number(own)) === 1)
      found.push({ key: key(name), before: own, set: '2' });
  }
  return found;
}
