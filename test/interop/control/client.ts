/**
 * A stock Tailscale client on a station: an unmodified `tailscaled`, and `tailscale` to speak with it.
 *
 *     start ──> NeedsLogin ──up (key, or URL and approval)──> Running <──restart, keeps its state──
 *
 * It has a real TUN device, `tailscale0`, unless it is told to do without. Everything is awaited with a deadline;
 * what went wrong quotes the client's own words, and the daemon's log is in the report of the lab.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PEERS_BIN } from '../../../scripts/debian.ts';
import type { Child, Result } from '../../netns/child.ts';
import { until } from '../../netns/child.ts';
import type { Host } from '../../netns/lab.ts';
import type { Network, Station } from './network.ts';
import type { Server } from './server.ts';

export type ClientVersion = '1.102' | '1.80';

export interface ClientOptions {
  readonly version?: ClientVersion;
  /** No TUN device, no routes, no resolver; its state is in memory. */
  readonly userspace?: boolean;
  /** Default true: it trusts a certificate that the server has of its own. */
  readonly trusting?: boolean;
  /** Default the server's own URL: where it is reached from a place that has no way to that one. */
  readonly loginServer?: string;
  /** What the daemon's environment has besides. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface PeerStatus {
  readonly ID: string;
  readonly HostName: string;
  /** With a dot at its end. */
  readonly DNSName: string;
  readonly TailscaleIPs: readonly string[];
  readonly AllowedIPs?: readonly string[];
  readonly PrimaryRoutes?: readonly string[];
  readonly Tags?: readonly string[];
  readonly PublicKey: string;
  readonly Online: boolean;
  readonly KeyExpiry?: string;
  readonly Expired?: boolean;
  readonly ExitNodeOption: boolean;
  readonly CurAddr: string;
  readonly Relay: string;
}

export interface ClientStatus {
  readonly BackendState: string;
  readonly Self: PeerStatus;
  readonly Peer: Readonly<Record<string, PeerStatus>> | null;
  readonly Health: readonly string[] | null;
}

/** A login by URL that waits for its approval. */
export interface Login {
  readonly url: string;
  /** Fulfilled with its exit code when `tailscale up` has ended. */
  readonly ended: Promise<number | null>;
}

export type Path = 'direct' | 'relay';

export interface Daemon {
  readonly name: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The UDP port of a client that has one of its own. */
export const PORT = 41_641;

const UP_SECONDS = 20;
const UP_MS = (UP_SECONDS + 5) * 1000;
const START_MS = 10_000;
const PROGRAMS = {
  '1.102': { daemon: join(PEERS_BIN, 'tailscaled'), cli: join(PEERS_BIN, 'tailscale') },
  '1.80': { daemon: join(PEERS_BIN, 'tailscaled-1.80'), cli: join(PEERS_BIN, 'tailscale-1.80') },
} as const satisfies Record<ClientVersion, { daemon: string; cli: string }>;

export class Client {
  readonly name: string;
  readonly station: Station;
  readonly server: Server;
  /** For its state. */
  protected readonly folder: string;
  protected readonly socket: string;
  readonly #options: ClientOptions;
  #child: Child | undefined;

  /** @param name of its state and socket, and how it calls itself */
  constructor(
    network: Network,
    server: Server,
    station: Station,
    name: string,
    options: ClientOptions = {},
  ) {
    this.name = name;
    this.station = station;
    this.server = server;
    this.#options = options;
    this.folder = join(network.folder, name);
    this.socket = join(this.folder, 'socket');
    mkdirSync(this.folder, { mode: 0o700 });
  }

  get host(): Host {
    return this.station.host;
  }

  /** Its state file, which holds its machine key. */
  get stateFile(): string {
    return join(this.folder, 'tailscaled.state');
  }

  /** The daemon. @throws Error where none was started */
  get child(): Child {
    if (this.#child === undefined) throw new Error(`${this.name}: its daemon was not started`);
    return this.#child;
  }

  /** Starts the daemon on the state that it has, if any. */
  async start(): Promise<this> {
    const { trusting = true, env } = this.#options;
    const daemon = this.daemon();
    const child = this.host.start(
      // It is the exec of this shell, so signals reach the daemon itself.
      ['sh', '-c', 'mount --bind "$0" /etc && exec "$@"', this.station.etc, ...daemon.argv],
      {
        name: `${this.name} ${daemon.name}`,
        env: { ...daemon.env, ...(trusting ? this.server.clientEnv : {}), ...env },
      },
    );
    this.#child = child;
    await until(
      `${this.name}: its daemon answers`,
      async () => child.ending !== undefined || (await this.status()),
      START_MS,
    );
    if (child.ending) throw new Error(`${child.name} ended\n${child.output}`);
    return this;
  }

  /** @throws Error with the client's words, where it is not Running after it */
  async up(key: string, ...more: readonly string[]): Promise<ClientStatus> {
    await this.cli(this.upWords([`--auth-key=${key}`, ...more]), UP_MS);
    return this.running();
  }

  /** What `tailscale up` says where it must not be let in: its exit code is not 0. */
  async refusedUp(key: string, ...more: readonly string[]): Promise<string> {
    const words = this.upWords([`--auth-key=${key}`, ...more], 5);
    const { code, stdout, stderr } = await this.tried(words, UP_MS);
    if (code === 0) throw new Error(`${this.name}: let in by a key that should not`);
    return stdout + stderr;
  }

  /** Asks for a login by URL; it goes on until somebody approves it. */
  async login(...more: readonly string[]): Promise<Login> {
    const child = this.host.start(this.command(this.upWords(more, 60)), {
      name: `${this.name} tailscale up`,
    });
    const [url] = await child.says(/https?:\/\/\S+/, UP_MS);
    return { url, ended: child.exited.then(({ code }) => code) };
  }

  async running(timeoutMs = 15_000): Promise<ClientStatus> {
    return this.state('Running', timeoutMs);
  }

  async state(wanted: string, timeoutMs = 15_000): Promise<ClientStatus> {
    let last: ClientStatus | undefined;
    return await until(
      `${this.name} is ${wanted}`,
      async () => {
        last = await this.status();
        return last.BackendState === wanted && last;
      },
      timeoutMs,
    ).catch((error) => {
      throw new Error(`${error.message}; it is ${last?.BackendState}, ${last?.Health?.join('; ')}`);
    });
  }

  async status(): Promise<ClientStatus> {
    return JSON.parse((await this.cli(['status', '--json'])).stdout) as ClientStatus;
  }

  /** Another device as this one knows it, by the first label of its name; undefined: not at all. */
  async peer(name: string): Promise<PeerStatus | undefined> {
    const { Peer } = await this.status();
    return Object.values(Peer ?? {}).find(({ DNSName }) => DNSName.split('.')[0] === name);
  }

  async ip4(): Promise<string> {
    return (await this.status()).Self.TailscaleIPs.find((ip) => !ip.includes(':')) ?? '';
  }

  /** The last path by which another one answered, of up to `count` tries; undefined: no answer. */
  async ping(address: string, count = 5): Promise<Path | undefined> {
    const { stdout } = await this.tried(this.pingWords(address, count), 30_000);
    const last = stdout.match(/^pong from .* via .*$/gm)?.at(-1);
    if (last === undefined) return undefined;
    return / via DERP\(/.test(last) ? 'relay' : 'direct';
  }

  async whois(address: string): Promise<{ readonly node: string; readonly user: string }> {
    const { stdout } = await this.cli(['whois', '--json', address]);
    const { Node, UserProfile } = JSON.parse(stdout);
    return { node: Node.Name, user: UserProfile.LoginName };
  }

  /** Ends the daemon: asked, or by SIGKILL, as a power cut would. */
  async stop(how: 'asked' | 'killed' = 'asked'): Promise<void> {
    await this.#child?.stop(how === 'asked' ? 'SIGTERM' : 'SIGKILL');
    this.#child = undefined;
  }

  /** The daemon stands still, and its connections stay open: SIGSTOP. */
  freeze(): void {
    this.#child?.signal('SIGSTOP');
  }

  /** It goes on; without this it cannot be asked to end. */
  thaw(): void {
    this.#child?.signal('SIGCONT');
  }

  async restart(): Promise<ClientStatus> {
    await this.stop();
    await this.start();
    return this.running();
  }

  /** `tailscale WORDS`; @throws Error where it fails */
  cli(words: readonly string[], timeoutMs = 15_000): Promise<Result> {
    return this.host.run(this.command(words), { timeoutMs });
  }

  /** The same where it may fail. */
  tried(words: readonly string[], timeoutMs = 15_000): Promise<Result> {
    return this.host.run(this.command(words), { timeoutMs, check: false });
  }

  /** Its command line, what its environment has more, and how the report calls it. */
  protected daemon(): Daemon {
    const { version = '1.102', userspace = false } = this.#options;
    return {
      name: 'tailscaled',
      argv: [
        PROGRAMS[version].daemon,
        `--statedir=${this.folder}`,
        `--socket=${this.socket}`,
        `--tun=${userspace ? 'userspace-networking' : 'tailscale0'}`,
        ...(userspace ? ['--state=mem:', '--port=0'] : [`--port=${PORT}`]),
      ],
      env: {
        TS_NO_LOGS_NO_SUPPORT: 'true',
        // A guard: it ends where it would speak with the vendor's server.
        TS_PANIC_IF_HIT_MAIN_CONTROL: '1',
      },
    };
  }

  protected command(words: readonly string[]): string[] {
    return [PROGRAMS[this.#options.version ?? '1.102'].cli, `--socket=${this.socket}`, ...words];
  }

  protected get loginServer(): string {
    return this.#options.loginServer ?? this.server.url;
  }

  protected upWords(more: readonly string[], seconds: number = UP_SECONDS): readonly string[] {
    return [
      'up',
      `--login-server=${this.loginServer}`,
      `--hostname=${this.name}`,
      `--timeout=${seconds}s`,
      ...more,
    ];
  }

  protected pingWords(address: string, count: number): readonly string[] {
    return ['ping', '--timeout=2s', `--c=${count}`, '--until-direct=true', address];
  }
}
