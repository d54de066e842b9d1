/**
 * Addresses, MTU and routes, set by the program `ip` (iproute2): it knows the kernel's many ways better than we
 * would, and runs at start and on changes only. Changes go through one `ip -batch -`, stopping at the first
 * that fails; questions through `ip -json`. Programs run by argument list, without a shell.
 */

import { spawn } from 'node:child_process';
import { ConfigError, NetError } from '../base/errors.ts';
import type { Prefix } from '../base/prefix.ts';
import { formatPrefix } from '../base/prefix.ts';

/** Words of one command, without the `ip` before them. */
export type IpCommand = readonly string[];

export interface LinkSetting {
  /** The interface's own addresses with their prefix lengths; those there already stay, others too. */
  readonly addresses?: readonly Prefix[];
  readonly mtuBytes?: number;
  readonly up?: boolean;
}

const PROGRAM = 'ip';

/** @throws ConfigError, NetError naming the command that failed, and what `ip` said */
export async function configureLink(name: string, setting: LinkSetting): Promise<void> {
  await runBatch(linkCommands(name, setting));
}

/** MTU before up, since a raised interface gets its IPv6 addresses only from 1,280 bytes on. */
export function linkCommands(name: string, setting: LinkSetting): IpCommand[] {
  const { addresses = [], mtuBytes, up } = setting;
  return [
    ...(mtuBytes === undefined ? [] : [['link', 'set', 'dev', name, 'mtu', String(mtuBytes)]]),
    ...addresses.map((address) => ['address', 'replace', formatPrefix(address), 'dev', name]),
    ...(up === undefined ? [] : [['link', 'set', 'dev', name, up ? 'up' : 'down']]),
  ];
}

/**
 * The longest TCP super-packet that the kernel hands to this interface. With a whole number of segments below
 * 64 KiB each becomes one call to send. False where this `ip` or kernel cannot: nothing breaks then.
 */
export async function setGsoMaxBytes(name: string, bytes: number): Promise<boolean> {
  const command = ['link', 'set', 'dev', name, 'gso_max_size', String(bytes)];
  return (await run(command, '')).code === 0;
}

export interface Route {
  readonly prefix: Prefix;
  /** Undefined: the main table. */
  readonly table?: number;
  readonly metric?: number;
}

/** Adds and removes routes through the interface. One that is there already, or gone already, is no error. */
export async function changeRoutes(
  name: string,
  add: readonly Route[],
  remove: readonly Route[],
): Promise<void> {
  // `replace` would also take over a route of the same prefix by another interface; so would `del` without dev.
  const there = new Set((await routesOf(name)).map((words) => words.join(' ')));
  const known = (route: Route): boolean => there.has(routeWords(route).join(' '));
  const change = (verb: string, route: Route): IpCommand => [
    family(route.prefix),
    'route',
    verb,
    ...routeWords(route),
    'dev',
    name,
  ];
  await runBatch([
    ...remove.filter(known).map((route) => change('del', route)),
    ...add.filter((route) => !known(route)).map((route) => change('add', route)),
  ]);
}
