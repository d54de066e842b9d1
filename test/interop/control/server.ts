/**
 * The server of a test, as the people who run it see it: a command line and its verbs.
 *
 *     ours         postern.ts      POSTERN_BIN, else the pinned node on src/main.ts
 *     headscale    headscale.ts    HEADSCALE_BIN, where POSTERN_CONTROL_UNDER_TEST=headscale
 *
 * A test that fails with both of them is wrong itself. What headscale has no word for (LAN devices) is ours
 * alone.
 */

import type { Child } from '../../netns/child.ts';
import { startHeadscale } from './headscale.ts';
import type { Network } from './network.ts';
import { startPostern } from './postern.ts';

export interface KeyOptions {
  readonly user?: string;
  readonly reusable?: boolean;
  readonly ephemeral?: boolean;
  readonly tags?: readonly string[];
  /** A duration: `2s`, `1h`. */
  readonly expiry?: string;
}

export interface NodeRow {
  readonly id: number;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly online: boolean;
}

export interface ServerOptions {
  /** An ephemeral node that is away for longer is deleted. */
  readonly ephemeralAfter?: string;
  /** A file with a DERP map; the server's own relay is then left out. */
  readonly derpMap?: string;
  /** It listens at this address too, by the same ports; ours alone. */
  readonly also?: string;
  /** HTTPS on port 443, with a certificate from files that clients are told to trust. */
  readonly secure?: boolean;
  /** Its access policy; headscale alone has a language for one. */
  readonly policy?: object;
  /** What goes into its settings file; ours alone. */
  readonly lanOwners?: Readonly<Record<string, readonly string[]>>;
}

/** A running server. All of its verbs are answered, or reject with what the program has said. */
export interface Server {
  readonly url: string;
  /** What a client's daemon needs in its environment to trust it. */
  readonly clientEnv: Readonly<Record<string, string>>;
  readonly child: Child;
  /** Starts it again on the same state. */
  again(): Promise<void>;
  createUser(name: string): Promise<void>;
  createKey(options: KeyOptions): Promise<string>;
  nodes(): Promise<readonly NodeRow[]>;
  /** @param url as the client shows it */
  approve(url: string, user: string): Promise<void>;
  /** @param when RFC 3339; now without it */
  expire(node: string, when?: string): Promise<void>;
  rename(node: string, name: string): Promise<void>;
  remove(node: string): Promise<void>;
  tag(node: string, ...tags: readonly string[]): Promise<void>;
  approveRoutes(node: string, ...prefixes: readonly string[]): Promise<void>;
  withdrawRoutes(node: string, ...prefixes: readonly string[]): Promise<void>;
  /** An address by a name of one's own; ours alone takes one while it runs. */
  addRecord(name: string, address: string): Promise<void>;
}

export const UNDER_TEST: string = process.env['POSTERN_CONTROL_UNDER_TEST'] ?? 'ours';

export function startServer(network: Network, options: ServerOptions = {}): Promise<Server> {
  const start = UNDER_TEST === 'headscale' ? startHeadscale : startPostern;
  return start(network, options);
}
