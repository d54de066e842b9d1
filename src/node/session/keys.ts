/**
 * The board's keys while it runs: each change of identity.ts, written before anybody acts on it.
 */

import type { Env } from '../../base/env.ts';
import type { UnixMillis } from '../../base/time.ts';
import { unixMillis } from '../../base/time.ts';
import type { Identity, NodeKey } from './identity.ts';
import { newIdentity, newNodeKey } from './identity.ts';

export interface KeysPort {
  /** Whether it is on the disk. */
  writeIdentity(identity: Identity): Promise<boolean>;
}

export class Keys {
  readonly #env: Env;
  readonly #port: KeysPort;
  #identity: Identity;

  private constructor(env: Env, port: KeysPort, identity: Identity) {
    this.#env = env;
    this.#port = port;
    this.#identity = identity;
  }

  /** @param found what the disk has; a board that has nothing gets keys, and keeps them before it uses them */
  static async open(env: Env, port: KeysPort, found: Identity | undefined): Promise<Keys> {
    const keys = new Keys(env, port, found ?? newIdentity(env));
    if (found === undefined) await keys.#become(keys.identity);
    return keys;
  }

  get identity(): Identity {
    return this.#identity;
  }

  /** The key to offer; undefined: it cannot be kept, and one that is lost in a power cut would part us from the server. */
  async candidate(): Promise<NodeKey | undefined> {
    const known = this.#identity.candidate;
    if (known !== undefined) return known;
    const candidate = newNodeKey(this.#env);
    const before = this.#identity;
    if (await this.#become({ ...before, candidate })) return candidate;
    this.#identity = before;
    return undefined;
  }

  async dropCandidate(): Promise<void> {
    if (this.#identity.candidate === undefined) return;
    await this.#become({ ...this.#identity, candidate: undefined });
  }

  /** @param created 0 where the time is not known yet */
  async accepted(node: NodeKey, controlUrl: string, created: UnixMillis): Promise<void> {
    const before = this.#identity;
    const isNew = node !== before.node;
    await this.#become({
      ...before,
      node,
      member: true,
      candidate: undefined,
      created: isNew || !before.member ? created : before.created,
      previous: isNew ? before.node.text : before.previous,
      controlUrl,
    });
  }

  async noteCreated(created: UnixMillis): Promise<void> {
    await this.#become({ ...this.#identity, created });
  }

  /** The key stays; the server knows it no longer. */
  async expelled(): Promise<void> {
    if (this.#identity.member) await this.#become({ ...this.#identity, member: false });
  }

  /** Logged out: who logs in next gets a key that nobody has seen. */
  async forget(): Promise<void> {
    await this.#become({
      ...this.#identity,
      node: newNodeKey(this.#env),
      member: false,
      candidate: undefined,
      previous: undefined,
      created: unixMillis(0),
    });
  }

  #become(identity: Identity): Promise<boolean> {
    this.#identity = identity;
    return this.#port.writeIdentity(identity);
  }
}
