/**
 * WireGuard implementations behind one shape, so that each suite can judge any of them against any other.
 *
 *     ours      this repository     POSTERN_BIN, else the pinned node on src/main.ts
 *     debian    wireguard-go        as Debian ships it
 *     current   wireguard-go        of today: WIREGUARD_GO, else what scripts/test-peers has built
 *
 * All are configured in the same way, by Debian's `wg` and `ip`; nothing of ours reads or writes for them.
 * POSTERN_UNDER_TEST=debian or =current puts that one in the place of ours: a suite that fails with both of
 * them is wrong itself.
 *
 * Their UAPI sockets lie in one folder for all namespaces, so interface names are unique on the machine.
 */

import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMALL_YOUNG_GENERATION } from '../../scripts/build/node-flags.ts';
import type { Child, Ending } from './child.ts';
import { until } from './child.ts';
import type { Host } from './lab.ts';

export type ImplementationName = 'ours' | 'debian' | 'current';

export interface ImplementationOptions {
  /** Only for ours: another single executable than POSTERN_BIN. */
  readonly program?: string;
  /** Only ours has these: bulk AEAD, and doing without TUN offloads or UDP GSO. */
  readonly arguments?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Default: one that nothing else on the machine has. */
  readonly interface?: string;
}

export interface Implementation {
  readonly name: ImplementationName;
  /** The command line that runs `iface` in the foreground. */
  argv(iface: string, options: ImplementationOptions): string[];
  readonly env: Readonly<Record<string, string>>;
}

/** State files of ours, for the life of this process. */
const STATE: string = mkdtempSync(join(tmpdir(), 'postern-state-'));
process.once('exit', () => rmSync(STATE, { recursive: true, force: true }));

const HERE = join(import.meta.dirname, '../..');
const READY_MS = 10_000;
const SOCKETS = '/var/run/wireguard';

const DEBIAN = '/usr/bin/wireguard-go';
const CURRENT: string = process.env['WIREGUARD_GO'] ?? join(HERE, '.cache/peers/bin/wireguard');

/** Our own command line, up to the verb; its heap grows no more than the single executable's. */
export const OURS: readonly string[] = process.env['POSTERN_BIN']
  ? [process.env['POSTERN_BIN']]
  : [join(HERE, 'node_modules/.bin/node'), SMALL_YOUNG_GENERATION, join(HERE, 'src/main.ts')];

/** `ours`, or what POSTERN_UNDER_TEST has put in its place. */
export const UNDER_TEST: ImplementationName = implementationName(
  process.env['POSTERN_UNDER_TEST'] ?? 'ours',
);

export const IMPLEMENTATIONS: Readonly<Record<ImplementationName, Implementation>> = {
  ours: {
    name: 'ours',
    env: { POSTERN_STATE: STATE, POSTERN_LOG: 'debug' },
    argv: (iface, options) => [
      ...(options.program === undefined ? OURS : [options.program]),
      'wireguard',
      iface,
      '--foreground',
      ...(options.arguments ?? []),
    ],
  },
  debian: wireguardGo('debian', DEBIAN),
  current: wireguardGo('current', CURRENT),
};

/** One running implementation and its interface. */
export class Tunnel {
  readonly host: Host;
  readonly interface: string;
  readonly child: Child;

  constructor(host: Host, iface: string, child: Child) {
    this.host = host;
    this.interface = iface;
    this.child = child;
  }

  get pid(): number {
    return this.child.pid;
  }

  /** `wg set <interface> ARGUMENTS`. */
  async set(...args: readonly string[]): Promise<void> {
    await this.host.run(['wg', 'set', this.interface, ...args]);
  }

  /** `wg show <interface> FIELD`, trimmed. */
  async show(field: string): Promise<string> {
    const { stdout } = await this.host.run(['wg', 'show', this.interface, field]);
    return stdout.trim();
  }

  /** One tab-separated column of `wg show <interface> FIELD`, by the peer's public key. */
  async showOf(publicKey: string, field: string): Promise<string[]> {
    const lines = (await this.show(field)).split('\n').map((line) => line.split('\t'));
    return lines.find(([key]) => key === publicKey)?.slice(1) ?? [];
  }

  /** Ends it; nothing stays behind, even where the process has been killed. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ending> {
    const ending = await this.child.stop(signal);
    removeSocket(this.interface);
    return ending;
  }
}

/**
 * Starts an implementation and waits until it answers `wg show`.
 *
 * @throws Error with its output, where it does not within 10 s
 */
export async function start(
  name: ImplementationName,
  host: Host,
  options: ImplementationOptions = {},
): Promise<Tunnel> {
  const implementation = IMPLEMENTATIONS[name];
  const iface = options.interface ?? uniqueInterface();
  const child = host.start(implementation.argv(iface, options), {
    name: `${name} ${iface}`,
    env: { ...implementation.env, ...options.env },
  });
  const tunnel = new Tunnel(host, iface, child);
  used.add(iface);
  await until(
    `${name} answers wg show ${iface}`,
    async () => {
      if (child.ending) return true;
      // wg takes a socket that refuses it for a dead one and deletes it; between bind and listen one does.
      await accepts(socketPath(iface));
      await host.run(['wg', 'show', iface]);
      return true;
    },
    READY_MS,
  ).catch((error) => {
    throw new Error(`${error.message}\n${child.output}`);
  });
  if (child.ending)
    throw new Error(`${name}: ended with ${child.ending.code} at the start\n${child.output}`);
  return tunnel;
}

/** @throws Error where nobody listens there */
async function accepts(path: string): Promise<void> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

const used = new Set<string>();
let made = 0;

removeLeavings();
process.once('exit', () => used.forEach(removeSocket));

/** At most 15 characters, as the kernel wants it. */
export function uniqueInterface(): string {
  return `pt${process.pid.toString(36)}x${made++}`;
}

/** What wg-quick calls with one word, the interface. */
export function quickImplementation(name: ImplementationName): string {
  return { ours: oursForQuick(), debian: DEBIAN, current: CURRENT }[name];
}

/** The single executable goes by the name that it is called by. */
function oursForQuick(): string {
  const program = process.env['POSTERN_BIN'];
  if (program === undefined) return join(HERE, 'scripts/postern-wireguard');
  const link = join(STATE, 'postern-wireguard');
  if (!existsSync(link)) symlinkSync(program, link);
  return link;
}

export function socketPath(iface: string): string {
  return `${SOCKETS}/${iface}.sock`;
}

/** Sockets of runs that were killed, by the pid in their names. */
function removeLeavings(): void {
  if (!existsSync(SOCKETS)) return;
  for (const file of readdirSync(SOCKETS)) {
    const pid = /^pt([0-9a-z]+)x\d+\.sock$/.exec(file)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${Number.parseInt(pid, 36)}`))
      rmSync(join(SOCKETS, file), { force: true });
  }
}

function removeSocket(iface: string): void {
  rmSync(socketPath(iface), { force: true });
}

function wireguardGo(name: ImplementationName, program: string): Implementation {
  return {
    name,
    // Debian's build refuses to start under a kernel that has WireGuard of its own, but for this.
    env: { WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD: '1', LOG_LEVEL: 'verbose' },
    argv: (iface) => [program, '-f', iface],
  };
}

function implementationName(text: string): ImplementationName {
  if (text === 'ours' || text === 'debian' || text === 'current') return text;
  throw new Error(`POSTERN_UNDER_TEST: wanted ours, debian or current, found ${text}`);
}

/**
 * Why the suites cannot run on this machine, or false. In CI nothing is skipped: there they run, and fail.
 *
 * @param programs besides `ip`, `nft`, `ping` and `wg`
 */
export function cannotRun(...programs: readonly string[]): string | false {
  if (process.env['CI'] === 'true') return false;
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  if (!existsSync('/dev/net/tun')) return 'there is no /dev/net/tun';
  const folders = (process.env['PATH'] ?? '').split(':');
  const missing = ['ip', 'nft', 'ping', 'wg', ...programs].filter(
    (program) => !folders.some((folder) => existsSync(join(folder, program))),
  );
  return missing.length > 0 && `not installed: ${missing.join(' ')}`;
}

/** The same for implementations. */
export function isMissing(...names: readonly ImplementationName[]): string | false {
  const paths = { ours: OURS.at(-1) ?? '', debian: DEBIAN, current: CURRENT };
  const missing = names.map((name) => paths[name]).filter((path) => !existsSync(path));
  return process.env['CI'] !== 'true' && missing.length > 0 && `not built: ${missing.join(' ')}`;
}
