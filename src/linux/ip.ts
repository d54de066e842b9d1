/**
 * Addresses, MTU and routes, set by the program `ip` (iproute2): it knows the kernel's many ways better than we
 * would, and runs at start and on changes only. Changes go through one `ip -batch -`, stopping at the first
 * that fails; questions through `ip -json`. Programs run by argument list, without a shell.
 */

import { BugError, ConfigError, NetError } from '../base/errors.ts';
import type { Prefix } from '../base/prefix.ts';
import { equalPrefix, formatPrefix, parsePrefix } from '../base/prefix.ts';
import type { Ended } from './program.ts';
import { runProgram } from './program.ts';

/** Words of one command, without the `ip` before them. */
export type IpCommand = readonly string[];

export interface LinkSetting {
  /** The interface's own addresses with their prefix lengths; those there already stay, others too. */
  readonly addresses?: readonly Prefix[];
  readonly mtuBytes?: number;
  /** Packets that wait for the interface's program; a TUN device starts with 500. */
  readonly queuePackets?: number;
  readonly up?: boolean;
}

/** @throws ConfigError, NetError naming the command that failed, and what `ip` said */
export async function configureLink(name: string, setting: LinkSetting): Promise<void> {
  await runBatch(linkCommands(name, setting));
}

/** MTU before up, since a raised interface gets its IPv6 addresses only from 1,280 bytes on. */
export function linkCommands(name: string, setting: LinkSetting): IpCommand[] {
  const { addresses = [], mtuBytes, queuePackets, up } = setting;
  const link = (...words: string[]): string[] => ['link', 'set', 'dev', name, ...words];
  return [
    ...(mtuBytes === undefined ? [] : [link('mtu', String(mtuBytes))]),
    ...(queuePackets === undefined ? [] : [link('txqueuelen', String(queuePackets))]),
    ...addresses.map((address) => ['address', 'replace', formatPrefix(address), 'dev', name]),
    ...(up === undefined ? [] : [link(up ? 'up' : 'down')]),
  ];
}

/** Takes addresses of the interface away; one that is gone already is no error. */
export async function removeAddresses(name: string, addresses: readonly Prefix[]): Promise<void> {
  for (const address of addresses) {
    const { code, stderr } = await run(['address', 'del', formatPrefix(address), 'dev', name], '');
    if (code !== 0 && !/Cannot assign requested address|not found/.test(stderr))
      throw new NetError(`cannot remove ${formatPrefix(address)} from ${name}: ${stderr.trim()}`);
  }
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

/**
 * Adds and removes unicast routes through the interface. One that is there already, or gone already, is no
 * error; routes by other interfaces are never touched.
 */
export async function changeRoutes(
  name: string,
  add: readonly Route[],
  remove: readonly Route[],
): Promise<void> {
  const there = await routesOf(name);
  const known = (route: Route): boolean => there.some((other) => sameRoute(route, other));
  await runBatch([
    ...remove.filter(known).map((route) => ['route', 'del', ...routeWords(name, route)]),
    ...add
      .filter((route) => !known(route))
      .map((route) => ['route', 'add', ...routeWords(name, route)]),
  ]);
}

/** Unicast routes through the interface, of both families and all tables. */
export async function routesOf(name: string): Promise<Route[]> {
  const routes: Route[] = [];
  for (const [family, everything] of [
    ['-4', '0.0.0.0/0'],
    ['-6', '::/0'],
  ] as const) {
    // -N: tables and types by number; what is not unicast has a type.
    const question = ['-N', '-json', family, 'route', 'show', 'dev', name, 'table', 'all'];
    const { code, stdout, stderr } = await run(question, '');
    if (code !== 0) throw new NetError(`cannot list routes of ${name}: ${stderr.trim()}`);
    for (const { type, dst, table, metric } of JSON.parse(stdout || '[]') as ShownRoute[]) {
      const prefix = parsePrefix(dst === 'default' ? everything : dst);
      if (type !== undefined || prefix === undefined) continue;
      routes.push({
        prefix,
        ...(table === undefined ? {} : { table: Number(table) }),
        ...(metric === undefined ? {} : { metric }),
      });
    }
  }
  return routes;
}

interface ShownRoute {
  readonly type?: string;
  readonly dst: string;
  readonly table?: string;
  readonly metric?: number;
}

const MAIN_TABLE = 254;

/** A metric that is not asked for may be any: IPv6 fills in 1,024. */
export function sameRoute(wanted: Route, there: Route): boolean {
  return (
    equalPrefix(wanted.prefix, there.prefix) &&
    (wanted.table ?? MAIN_TABLE) === (there.table ?? MAIN_TABLE) &&
    (wanted.metric === undefined || wanted.metric === there.metric)
  );
}

function routeWords(name: string, { prefix, table, metric }: Route): string[] {
  return [
    formatPrefix(prefix),
    'dev',
    name,
    ...(table === undefined ? [] : ['table', String(table)]),
    ...(metric === undefined ? [] : ['metric', String(metric)]),
  ];
}

/**
 * Runs the commands in order up to the first that fails.
 *
 * @param family for commands that do not show theirs: a rule without an address
 */
export async function runBatch(
  commands: readonly IpCommand[],
  family?: '-4' | '-6',
): Promise<void> {
  if (commands.length === 0) return;
  for (const word of commands.flat())
    if (!/^[!-~]+$/.test(word) || word.includes('#') || word.includes('"'))
      throw new BugError(`ip: '${word}' is no word of a command`);
  const script = commands.map((words) => `${words.join(' ')}\n`).join('');
  const { code, stderr } = await run([...(family ? [family] : []), '-batch', '-'], script);
  if (code === 0) return;
  const failed = /^Command failed -:(\d+)$/m.exec(stderr);
  const command = commands[Number(failed?.[1] ?? 1) - 1] ?? [];
  const said = stderr.replace(/^Command failed .*$/m, '').trim();
  const text = `cannot run 'ip ${command.join(' ')}': ${said.replaceAll('\n', '; ')}`;
  if (/Operation not permitted/.test(said))
    throw new ConfigError(
      `${text}: the program needs CAP_NET_ADMIN (run it as root or by its unit)`,
    );
  throw new NetError(text);
}

/** What `ip -N -json WORDS` answers; the program's own words where it fails. */
export async function ask(...words: IpCommand): Promise<unknown[] | string> {
  const { code, stdout, stderr } = await run(['-N', '-json', ...words], '');
  if (code !== 0) return stderr.trim();
  return JSON.parse(stdout || '[]') as unknown[];
}

const run = (args: readonly string[], input: string): Promise<Ended> =>
  runProgram('ip', 'iproute2', args, input);
