/**
 * The three documents of a state folder: identity, prefs, netmap. A disk that is full or read-only stops nothing:
 * what could not be written is known to a health item, is in memory, and is tried again with the next write.
 *
 *     identity   keys              written when one changes
 *     prefs      settings          written when one changes
 *     netmap     the last map      written by netmap-cache.ts, seldom
 */

import { NetError } from '../../base/errors.ts';
import type { Health } from '../../base/health.ts';
import type { FilePort } from '../../store/safe-file.ts';
import { SafeFile } from '../../store/safe-file.ts';
import type { Identity, IdentityDocument } from './identity.ts';
import { documentOf, IDENTITY_VERSION, identityIn, readIdentity } from './identity.ts';
import type { CacheDocument } from './netmap-cache.ts';
import { CACHE_VERSION, readCache } from './netmap-cache.ts';
import type { Prefs } from './prefs.ts';
import { DEFAULT_PREFS, PREFS_VERSION, readPrefs } from './prefs.ts';

const ITEM = 'state-not-writable';

export class StateFiles {
  readonly #health: Pick<Health, 'raise' | 'lower'>;
  readonly #identity: SafeFile<IdentityDocument>;
  readonly #prefs: SafeFile<Prefs>;
  readonly #cache: SafeFile<CacheDocument>;
  readonly #failing = new Set<string>();
  readonly #writing = new Set<Promise<void>>();

  private constructor(
    health: Pick<Health, 'raise' | 'lower'>,
    identity: SafeFile<IdentityDocument>,
    prefs: SafeFile<Prefs>,
    cache: SafeFile<CacheDocument>,
  ) {
    this.#health = health;
    this.#identity = identity;
    this.#prefs = prefs;
    this.#cache = cache;
    // That the previous copy is used is what a power cut comes to, and no damage.
    const problems = [identity, prefs, cache].flatMap((file) =>
      file.problems.filter((text) => text.includes('cannot')),
    );
    if (problems.length > 0)
      health.raise({
        code: 'state-damaged',
        severity: 'warning',
        text: problems.join('; '),
        remedy: 'look at the disk; what could not be read was put aside, with .damaged at its name',
      });
  }

  static async open(
    folder: string,
    files: FilePort,
    health: Pick<Health, 'raise' | 'lower'>,
  ): Promise<StateFiles> {
    const [identity, prefs, cache] = await Promise.all([
      SafeFile.open({
        path: `${folder}/identity`,
        version: IDENTITY_VERSION,
        read: readIdentity,
        files,
      }),
      SafeFile.open({ path: `${folder}/prefs`, version: PREFS_VERSION, read: readPrefs, files }),
      SafeFile.open({ path: `${folder}/netmap`, version: CACHE_VERSION, read: readCache, files }),
    ]);
    return new StateFiles(health, identity, prefs, cache);
  }

  get identity(): Identity | undefined {
    return this.#identity.value && identityIn(this.#identity.value);
  }

  get prefs(): Prefs {
    return this.#prefs.value ?? DEFAULT_PREFS;
  }

  get cache(): CacheDocument | undefined {
    return this.#cache.value;
  }

  /** Whether it is on the disk. */
  writeIdentity(identity: Identity): Promise<boolean> {
    return this.#write('identity', this.#identity.write(documentOf(identity)));
  }

  writePrefs(prefs: Prefs): Promise<boolean> {
    return this.#write('prefs', this.#prefs.write(prefs));
  }

  writeCache(document: CacheDocument): Promise<boolean> {
    return this.#write('netmap', this.#cache.write(document));
  }

  /** What was to be written is, or cannot be. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#writing);
  }

  async #write(name: string, writing: Promise<void>): Promise<boolean> {
    this.#writing.add(writing);
    try {
      await writing;
    } catch (error) {
      if (!(error instanceof NetError)) throw error;
      this.#failing.add(name);
      this.#health.raise({
        code: ITEM,
        severity: 'warning',
        text: `${error.message}; the node runs on, and forgets at its end what is not written`,
        remedy: 'make room, or mount the state folder for writing',
      });
      return false;
    } finally {
      this.#writing.delete(writing);
    }
    this.#failing.delete(name);
    if (this.#failing.size === 0) this.#health.lower(ITEM);
    return true;
  }
}
