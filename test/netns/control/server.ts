/**
 * `postern control` as a process on loopback, that a test may kill, starve and start again with the state it
 * had; and the verbs, asked on its socket.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../../scripts/bench/control/free-port.ts';
import { Child, type Result, run, until } from '../child.ts';
import { OURS } from '../implementations.ts';

const READY_MS = 30_000;

export interface ServerOptions {
  /** Programs in front of ours, for instance one that makes a mount namespace. */
  around?(stateFolder: string): readonly string[];
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class Server {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'postern-control-'));
  readonly state: string = join(this.folder, 'state');
  readonly socket: string = join(this.folder, 'socket');
  readonly #options: ServerOptions;
  readonly url: URL;
  readonly #stunPort: number;
  #child: Child | undefined;

  private constructor(options: ServerOptions, port: number, stunPort: number) {
    this.#options = options;
    this.url = new URL(`http://127.0.0.1:${port}`);
    this.#stunPort = stunPort;
  }

  static async start(options: ServerOptions = {}): Promise<Server> {
    const server = new Server(options, await freePort(), await freePort());
    await server.again();
    return server;
  }

  get child(): Child {
    if (this.#child === undefined) throw new Error('the server was never started');
    return this.#child;
  }

  /** Starts it with what it has in its folder. */
  async again(): Promise<void> {
    const { around, flags = [], env = {} } = this.#options;
    this.#child = new Child(
      [
        ...(around?.(this.state) ?? []),
        ...[...OURS, 'control', '--state', this.state, '--socket', this.socket],
        ...['--listen', `127.0.0.1:${this.url.port}`, '--stun', `127.0.0.1:${this.#stunPort}`],
        ...['--url', this.url.origin, '--metrics', 'off', ...flags],
      ],
      { name: 'postern control', env },
    );
    await this.#child.says(/control: ready/, READY_MS);
  }

  async verb(...words: readonly string[]): Promise<string> {
    return (await this.tried(...words)).stdout.trim();
  }

  /** Also one that fails. */
  async tried(...words: readonly string[]): Promise<Result> {
    return await run([...OURS, ...words, '--socket', this.socket], {
      timeoutMs: 60_000,
      check: false,
    });
  }

  /** A reusable key of a new user. */
  async key(user: string): Promise<string> {
    await this.verb('users', 'create', user);
    return await this.verb('keys', 'create', '--user', user, '--reusable');
  }

  async nodes(): Promise<readonly Listed[]> {
    return (JSON.parse(await this.verb('nodes', 'list', '--json')) as { nodes: Listed[] }).nodes;
  }

  /** Codes of the health items that it shows now. */
  async health(): Promise<readonly string[]> {
    const { stdout } = await this.tried('health', '--json');
    const { server } = JSON.parse(stdout) as { server: { health: { code: string }[] } };
    return server.health.map(({ code }) => code);
  }

  async kill(): Promise<void> {
    this.child.signal('SIGKILL');
    await this.child.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.child.stop();
    await until('its processes are gone', () => this.child.ending !== undefined);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface Listed {
  readonly name: string;
  readonly online: boolean;
  readonly keyExpires: string | null;
  readonly addresses: readonly string[];
}
