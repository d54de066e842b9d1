/**
 * A resolv.conf with nobody in charge of it: ours is put in its place, and the one before is put back.
 *
 *     file, link or nothing --apply--> ours --restore--> as it was
 *                                      ours --somebody writes--> theirs --apply--> ours, theirs being what
 *                                                                                  is put back now
 *
 * The one before is kept three times: beside it (`.before-postern`, a link as a link), in the run folder with
 * its kind, and as comments in our own text. After a crash any of the three will do. Where the file is a mount
 * of its own (`ip netns exec` makes it one, containers too) or its folder cannot be written, it is written in
 * its place, since it cannot be replaced; the copy in the run folder then bears its inode, because several
 * such files share the name, and there is none beside it.
 *
 * A link leads to a file that somebody keeps up to date (NetworkManager, resolvconf, DHCP clients): it is read
 * anew each time, and watched.
 */

import { dirname, resolve } from 'node:path';
import { equalBytes } from '../../base/bytes.ts';
import { NetError } from '../../base/errors.ts';
import type { ResolverAddress } from '../../protocol/dns/resolver-address.ts';
import type { Closable, SystemPort } from './ports.ts';
import { carriedAlong, isOurs, ourResolvConf, parseResolvConf } from './resolv-conf.ts';
import type { SystemContext, SystemResolver, SystemSetting } from './system-resolver.ts';

/** What stood there before us. */
type Before =
  | { readonly kind: 'file'; readonly text: string }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'absent' };

/** Codes of a file that can be written but not replaced. */
const NOT_REPLACEABLE = new Set(['EBUSY', 'EROFS', 'EPERM', 'EACCES', 'EXDEV']);

interface Found {
  readonly before: Before;
  /** Whether what stands there now is ours, or ours with something added by another. */
  readonly ours: boolean;
}

export class PlainFile implements SystemResolver {
  readonly kind = 'file' as const;
  readonly #system: SystemPort;
  readonly #path: string;
  readonly #runFolder: string;
  readonly #addresses: readonly Uint8Array[];

  constructor({ system, paths, addresses }: SystemContext) {
    this.#system = system;
    this.#path = paths.resolvConf;
    this.#runFolder = paths.runFolder;
    this.#addresses = addresses;
  }

  /** The text that programs would read without us. */
  async before(): Promise<string> {
    return this.#textOf((await this.#found()).before);
  }

  async isApplied(): Promise<boolean> {
    return (await this.#found()).ours;
  }

  async upstreams(): Promise<readonly ResolverAddress[]> {
    return parseResolvConf(await this.before()).nameservers;
  }

  async apply({ addresses, search }: SystemSetting): Promise<boolean> {
    const standing = await this.#system.read(this.#path);
    const { before, ours } = await this.#found();
    const text = ourResolvConf(addresses, search, await this.#textOf(before));
    if (standing === text) return false;
    try {
      if (!ours) await this.#keep(before);
      await this.#put({ kind: 'file', text });
    } catch (error) {
      throw new NetError(`names: cannot write ${this.#path}: ${(error as Error).message}`, {
        cause: error,
      });
    }
    return true;
  }

  /** What is not ours any more belongs to whoever wrote it, and stays. */
  async restore(): Promise<void> {
    const { before, ours } = await this.#found();
    const copy = await this.#runCopy();
    if (ours) await this.#put(before);
    if ((await this.#system.kind(this.#beside)) !== 'absent')
      await this.#system.remove(this.#beside);
    await this.#system.remove(copy);
  }

  watch(changed: () => void): Closable {
    const watches = [this.#system.watch(this.#path, changed)];
    let open = true;
    const watchTarget = async (): Promise<void> => {
      const { before } = await this.#found();
      if (open && before.kind === 'link')
        watches.push(this.#system.watch(this.#targetOf(before.target), changed));
    };
    watchTarget().catch(() => {});
    return {
      close: () => {
        open = false;
        for (const watch of watches) watch.close();
      },
    };
  }

  get #beside(): string {
    return `${this.#path}.before-postern`;
  }

  /**
   * What is there, or stood there before us. A text that names our address without being ours, as after an
   * edit by hand, must not become what is put back: it would point to nobody. Unless nothing was kept: then
   * somebody meant it.
   */
  async #found(): Promise<Found> {
    const text = await this.#system.read(this.#path);
    const marked = text !== undefined && isOurs(text);
    if (!marked && !this.#namesUs(text ?? ''))
      return { before: await this.#standing(text), ours: false };
    const kept = await this.#kept(text ?? '');
    if (kept !== undefined) return { before: kept, ours: true };
    return marked
      ? { before: { kind: 'absent' }, ours: true }
      : { before: await this.#standing(text), ours: false };
  }

  #namesUs(text: string): boolean {
    return parseResolvConf(text).nameservers.some(({ address }) =>
      this.#addresses.some((one) => equalBytes(one, address)),
    );
  }

  async #kept(text: string): Promise<Before | undefined> {
    const copy = readBefore((await this.#system.read(await this.#runCopy())) ?? '');
    if (copy !== undefined) return copy;
    if (!(await this.#system.isMountPoint(this.#path))) {
      const kind = await this.#system.kind(this.#beside);
      if (kind === 'link') return { kind, target: await this.#system.linkTarget(this.#beside) };
      const beside = kind === 'file' ? await this.#system.read(this.#beside) : undefined;
      if (beside !== undefined && !isOurs(beside)) return { kind: 'file', text: beside };
    }
    const carried = carriedAlong(text);
    return carried === undefined ? undefined : { kind: 'file', text: carried };
  }

  async #standing(text: string | undefined): Promise<Before> {
    if ((await this.#system.kind(this.#path)) === 'link')
      return { kind: 'link', target: await this.#system.linkTarget(this.#path) };
    return text === undefined ? { kind: 'absent' } : { kind: 'file', text };
  }

  async #keep(before: Before): Promise<void> {
    await this.#system.create(await this.#runCopy(), `${JSON.stringify(before)}\n`);
    if (await this.#system.isMountPoint(this.#path)) return;
    try {
      await this.#system.remove(this.#beside);
      if (before.kind === 'link') await this.#system.createLink(this.#beside, before.target);
      if (before.kind === 'file') await this.#system.create(this.#beside, before.text);
    } catch (error) {
      ignoreReadOnly(error);
    }
  }

  /** Makes it stand at our path: by a rename where that can be, so that no reader finds half of it. */
  async #put(what: Before): Promise<void> {
    if (await this.#system.isMountPoint(this.#path)) return this.#putInPlace(what);
    const next = `${this.#path}.postern-new`;
    try {
      if (what.kind === 'absent') return await this.#system.remove(this.#path);
      await this.#system.remove(next);
      if (what.kind === 'link') await this.#system.createLink(next, what.target);
      else await this.#system.create(next, what.text);
      await this.#system.rename(next, this.#path);
    } catch (error) {
      if (!NOT_REPLACEABLE.has(codeOf(error))) throw error;
      await this.#system.remove(next).catch(ignoreReadOnly);
      await this.#putInPlace(what);
    }
  }

  async #putInPlace(what: Before): Promise<void> {
    await this.#system.overwrite(this.#path, await this.#textOf(what));
  }

  async #textOf(before: Before): Promise<string> {
    switch (before.kind) {
      case 'file':
        return before.text;
      case 'absent':
        return '';
      case 'link': {
        const text = (await this.#system.read(this.#targetOf(before.target))) ?? '';
        // A folder that cannot be written: ours went through the link, into what it leads to.
        return isOurs(text) ? (carriedAlong(text) ?? '') : text;
      }
    }
  }

  #targetOf(target: string): string {
    return resolve(dirname(this.#path), target);
  }

  async #runCopy(): Promise<string> {
    const mounted = await this.#system.isMountPoint(this.#path);
    const which = mounted ? `-${await this.#system.identity(this.#path)}` : '';
    return `${this.#runFolder}/resolv.conf.before${which}`;
  }
}

function readBefore(text: string): Before | undefined {
  try {
    const { kind, text: body, target } = JSON.parse(text) as Partial<Record<string, unknown>>;
    if (kind === 'file' && typeof body === 'string') return { kind, text: body };
    if (kind === 'link' && typeof target === 'string') return { kind, target };
    return kind === 'absent' ? { kind } : undefined;
  } catch {
    return undefined;
  }
}

const codeOf = (error: unknown): string => (error as { code?: string }).code ?? '';

function ignoreReadOnly(error: unknown): void {
  if (!NOT_REPLACEABLE.has(codeOf(error))) throw error;
}
