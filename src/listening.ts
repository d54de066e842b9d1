/**
 * Whether the tunnel listens, as the interface goes up and down.
 *
 *     down --up--> sockets there          health item listen-port: over
 *                  port taken             raised; tried again each 10 s and at each change of configuration
 *     up --down--> no sockets             nothing is wanted, so nothing is missed
 */

import type { Env } from './base/env.ts';
import type { Millis } from './base/time.ts';
import { after, seconds } from './base/time.ts';
import type { TunnelHealth } from './node/tunnel/tunnel-health.ts';

/** Whoever holds our port may let go of it. */
const AGAIN: Millis = seconds(10);

/** Every interface begins down; only one that stays so is worth a word. */
const FIRST_UP: Millis = seconds(5);

/** The tunnel. */
export interface Listener {
  /** Nothing where it listens already. @throws NetError where the port is taken */
  up(): void;
  down(): void;
}

export class Listening {
  readonly #env: Env;
  readonly #listener: Listener;
  readonly #health: TunnelHealth;
  #up = false;
  #begun = false;
  #cancel: () => void = () => {};

  constructor(env: Env, listener: Listener, health: TunnelHealth) {
    this.#env = env;
    this.#listener = listener;
    this.#health = health;
  }

  /** The interface is up. */
  get up(): boolean {
    return this.#up;
  }

  /** The interface is up or down, maybe as before. */
  link(up: boolean): void {
    if (up && !this.#up) this.#env.log.info('tunnel: interface up');
    this.#up = up;
    this.#cancel();
    if (up) {
      this.#begun = true;
      this.#health.link(true);
      this.#attempt();
      return;
    }
    this.#listener.down();
    this.#health.listening(undefined);
    const tell = (): void => this.#health.link(false);
    if (this.#begun) tell();
    else this.#cancel = this.#env.setTimer(after(this.#env.now(), FIRST_UP), tell);
  }

  /** Something may have changed. @throws NetError where the port is taken still */
  again(): void {
    if (!this.#up) return;
    this.#cancel();
    try {
      this.#listener.up();
      this.#health.listening(undefined);
    } catch (error) {
      this.#health.listening((error as Error).message);
      this.#cancel = this.#env.setTimer(after(this.#env.now(), AGAIN), () => this.#attempt());
      throw error;
    }
  }

  close(): void {
    this.#cancel();
  }

  #attempt(): void {
    try {
      this.again();
    } catch {
      // The health item tells it.
    }
  }
}
