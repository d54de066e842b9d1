/**
 * Keeps the system asking us, against others who write the same file.
 *
 *     wanted --apply--> kept --somebody changes it--> 300 ms of quiet --> upstreams taken over, applied again
 *                        ^                                                      |
 *                        +---- 5 min ---- resting <---- the 5th time in 60 s ---+
 *
 * Two programs that each put their own back would go on for ever at the cost of a processor; after five
 * times we rest, and say so. Beside the watch there is a look each minute, for what no watch sees. What is
 * wanted is done in order, one after another; a failure is a health item, and tried again with the next look.
 */

import type { Env } from '../../base/env.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis, seconds } from '../../base/time.ts';
import type { ResolverAddress } from '../../protocol/dns/resolver-address.ts';
import { formatResolver } from '../../protocol/dns/resolver-address.ts';
import type { Closable, NamesHealth } from './ports.ts';
import type {
  SystemContext,
  SystemKind,
  SystemResolver,
  SystemSetting,
} from './system-resolver.ts';
import { detectSystem } from './system-resolver.ts';

const QUIET: Millis = millis(300);
const LOOK: Millis = seconds(60);
const FIGHT_WINDOW: Millis = seconds(60);
const FIGHTS = 5;
const REST: Millis = seconds(300);

const FAILED = 'names-system';
const FOUGHT = 'names-overwritten';

export interface SystemKeeperOptions {
  readonly env: Env;
  readonly context: SystemContext;
  readonly health: NamesHealth;
  /** The system's own resolvers are others than before. */
  upstreamsChanged(): void;
}

export class SystemKeeper {
  readonly #options: SystemKeeperOptions;
  #resolver: SystemResolver | undefined;
  #wanted: SystemSetting | undefined;
  #wantedText = '';
  #managed = false;
  #upstreams: readonly ResolverAddress[] = [];
  #watch: Closable | undefined;
  #last: Promise<void> = Promise.resolve();
  #cancelQuiet: (() => void) | undefined;
  #cancelLook: () => void = () => {};
  #closed = false;
  /** When we had to write again because of somebody else. */
  #fights: Millis[] = [];
  #restUntil = 0;

  constructor(options: SystemKeeperOptions) {
    this.#options = options;
  }

  get kind(): SystemKind | undefined {
    return this.#resolver?.kind;
  }

  /** Whether the system asks us, as far as we know. */
  get managed(): boolean {
    return this.#managed;
  }

  get upstreams(): readonly ResolverAddress[] {
    return this.#upstreams;
  }

  /** @param setting undefined: as it was before us. Resolves when it is done, or has failed and is a health item. */
  want(setting: SystemSetting | undefined): Promise<void> {
    const text = JSON.stringify(setting ?? null);
    // A map comes often and seldom says anything new of this; asking the bus each time would cost more.
    if (text === this.#wantedText) return this.#last;
    this.#wantedText = text;
    this.#wanted = setting;
    return this.#inOrder(() => this.#sync(false));
  }

  /** Looks now; after a change of network, say. */
  check(): Promise<void> {
    return this.#inOrder(() => this.#sync(true));
  }

  async close(): Promise<void> {
    if (this.#closed) return this.#last;
    await this.want(undefined);
    this.#closed = true;
    this.#cancelLook();
    this.#cancelQuiet?.();
    this.#watch?.close();
  }

  #inOrder(action: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(async () => {
      if (this.#closed) return;
      try {
        await action();
        this.#options.health.lower(FAILED);
      } catch (error) {
        this.#options.health.raise({
          code: FAILED,
          severity: 'warning',
          text: `the system's name resolution could not be set up: ${(error as Error).message}`,
          remedy: 'Names of the network are answered at 100.100.100.100; see resolv.conf(5).',
        });
      }
      this.#cancelLook();
      const { env } = this.#options;
      this.#cancelLook = env.setTimer(after(env.now(), LOOK), () => void this.check());
    });
    return this.#last;
  }

  async #sync(again: boolean): Promise<void> {
    const resolver = await this.#detect();
    await this.#takeOver(resolver);
    if (this.#wanted === undefined) {
      // Also at the first time: an earlier run may have been killed.
      if (this.#managed || !again) await resolver.restore();
      this.#managed = false;
      this.#watch ??= resolver.watch(() => this.#changed());
      return;
    }
    if (this.#resting()) return;
    const changed = await resolver.apply(this.#wanted);
    if (changed && again && this.#managed) this.#fought(resolver.kind);
    this.#managed = true;
    if (!changed && this.#watch !== undefined) return;
    this.#watch?.close();
    this.#watch = resolver.watch(() => this.#changed());
  }

  /** Who is in charge may change while we run: at boot, resolved may start after us. */
  async #detect(): Promise<SystemResolver> {
    const known = this.#resolver;
    if (known?.kind === 'systemd-resolved' && this.#managed) return known;
    const found = await detectSystem(this.#options.context);
    if (known?.kind === found.kind) return known;
    if (known !== undefined) {
      await known.restore();
      this.#watch?.close();
      this.#watch = undefined;
    }
    this.#resolver = found;
    this.#options.env.log.info('names: system', { kind: found.kind });
    return found;
  }

  async #takeOver(resolver: SystemResolver): Promise<void> {
    const upstreams = await resolver.upstreams();
    const text = (list: readonly ResolverAddress[]): string => list.map(formatResolver).join(' ');
    if (text(upstreams) === text(this.#upstreams)) return;
    this.#upstreams = upstreams;
    this.#options.env.log.info('names: upstreams', { resolvers: text(upstreams) });
    this.#options.upstreamsChanged();
  }

  #changed(): void {
    if (this.#closed) return;
    const { env } = this.#options;
    this.#cancelQuiet?.();
    this.#cancelQuiet = env.setTimer(after(env.now(), QUIET), () => {
      this.#cancelQuiet = undefined;
      void this.check();
    });
  }

  #fought(kind: SystemKind): void {
    const { env, health } = this.#options;
    const now = env.now();
    env.log.info('names: written again', { kind });
    this.#fights = [...this.#fights.filter((at) => now - at < FIGHT_WINDOW), now];
    if (this.#fights.length < FIGHTS) return;
    this.#fights = [];
    this.#restUntil = after(now, REST);
    health.raise({
      code: FOUGHT,
      severity: 'warning',
      text: `another program keeps writing over the system's name resolution (${kind})`,
      remedy:
        'Find the program (a DHCP client, NetworkManager) and have it leave resolv.conf alone, ' +
        'or turn this off with `postern set --accept-dns=false`.',
    });
  }

  #resting(): boolean {
    const resting = this.#options.env.now() < this.#restUntil;
    if (!resting && this.#restUntil > 0) {
      this.#restUntil = 0;
      this.#options.health.lower(FOUGHT);
    }
    return resting;
  }
}
