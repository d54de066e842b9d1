/**
 * Packages of npm as the lock file knows them, also those for another architecture, which `npm ci` leaves out.
 *
 *     node_modules/NAME      installed, and checked by npm                      else
 *     .cache/npm/NAME-VERSION     `npm pack`, checked by the lock file's hash, unpacked; appears once whole
 */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../src/base/errors.ts';
import { CACHE } from '../debian.ts';
import { run } from '../run.ts';

export const TOP: string = join(import.meta.dirname, '../..');

interface Locked {
  readonly version: string;
  /** `sha512-` and base64, of the archive. */
  readonly integrity: string;
}

/** The version and hash that package-lock.json has. @throws ConfigError for a package that is not in it */
export function locked(name: string): Locked {
  const { packages } = JSON.parse(readFileSync(join(TOP, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked | undefined>;
  };
  const found = packages[`node_modules/${name}`];
  if (found === undefined) throw new ConfigError(`package-lock.json: no package ${name}`);
  return found;
}

/** Folder of a package, fetched if need be. @throws ConfigError for other bytes than the lock file's */
export async function packageFolder(name: string): Promise<string> {
  const { version, integrity } = locked(name);
  const installed = join(TOP, 'node_modules', name);
  if (existsSync(installed)) return installed;
  const home = join(CACHE, 'npm');
  const kept = join(home, `${name.replace('/', '-')}-${version}`);
  if (existsSync(kept)) return kept;
  console.log(`build: fetching ${name} ${version}`);
  mkdirSync(home, { recursive: true });
  const fresh = mkdtempSync(join(home, 'new-'));
  try {
    const words = ['pack', '--json', '--pack-destination', fresh, `${name}@${version}`];
    const [packed] = JSON.parse(await run([...npm(), ...words], { cwd: TOP })) as [
      { filename: string },
    ];
    const archive = join(fresh, packed.filename);
    const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (found !== integrity)
      throw new ConfigError(`${name} ${version}: wanted ${integrity}, the registry gave ${found}`);
    await run(['tar', '--extract', '--gzip', '--file', archive, '--directory', fresh]);
    renameSync(join(fresh, 'package'), kept);
  } finally {
    rmSync(fresh, { recursive: true });
  }
  return kept;
}

/** The npm that called us with the Node that it came with: the `node` of PATH is ours, too new for an old npm. */
function npm(): readonly string[] {
  const { npm_node_execpath: node, npm_execpath: script } = process.env;
  const theirs = node !== undefined && script !== undefined && !node.startsWith(TOP);
  return theirs ? [node, script] : ['npm'];
}
