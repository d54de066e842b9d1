/**
 * Debian packages for the tests and the demo, as listed in scripts/debian-packages.
 *
 *     installPackages   missing? -> apt-get install            nothing missing: one dpkg-query, no network
 *     unpackPackages    stamp old? -> apt-get --download-only -> dpkg -x -> rename -> stamp
 *
 *     .cache/debian/root/   the packages and what they need that this machine has not, unpacked: never
 *                           configured, no maintainer script run
 *     .cache/debian/stamp   the list, the release and the architecture that root was made for
 *     .cache/arm64/         the same of what `arm64` marks: only made for the tests of the build
 *
 * The stamp is written last and the tree appears by a rename, so a kill at any moment leaves either a whole
 * tree or one that the next run makes anew. One run at a time works here; a second one waits.
 *
 * As a program it does everything that the tests need: `node scripts/debian.ts`.
 */

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { BugError, ConfigError } from '../src/base/errors.ts';
import { lock, main, RunError, run } from './run.ts';

/** Everything that scripts fetch or build for this machine; may be deleted at any time. */
export const CACHE: string = join(import.meta.dirname, '../.cache');
/** Where scripts/test-peers puts other people's programs. */
export const PEERS_BIN: string = join(CACHE, 'peers/bin');

const LOCK = join(CACHE, 'debian.lock');
const HOMES = { unpack: join(CACHE, 'debian'), arm64: join(CACHE, 'arm64') } as const;

const MODES = ['install', 'unpack', 'arm64', 'on-demand'] as const;
type Mode = (typeof MODES)[number];

/** Another apt on the machine is waited for, this long. */
const APT_LOCK_SECONDS = 300;

const APT = [
  'apt-get',
  '--yes',
  '--quiet=2',
  '--no-install-recommends',
  '-o',
  `DPkg::Lock::Timeout=${APT_LOCK_SECONDS}`,
];
const QUIET = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };

/**
 * Everything that the tests and the demo need of the machine: Debian's packages and the stock peers. A run
 * that finds nothing to do is over in a fraction of a second.
 *
 * @param peers to build (scripts/test-peers); those of every test run where none is named
 */
export async function setUp(peers: readonly string[] = []): Promise<void> {
  await installPackages();
  await unpackPackages();
  // A program of its own, since it comes back here for a package when the machine has no Go.
  const { status } = spawnSync(join(import.meta.dirname, 'test-peers'), peers, {
    stdio: 'inherit',
  });
  if (status !== 0) throw new RunError(`scripts/test-peers: ended with ${status}`);
}

/**
 * Installs what the list marks with `install`, or the packages named, which must be in the list.
 *
 * @throws ConfigError where something is missing and we are not root
 */
export async function installPackages(names?: readonly string[]): Promise<void> {
  const wanted = names ?? packages('install');
  const known = [...packages('install'), ...packages('on-demand')];
  for (const name of wanted)
    if (!known.includes(name)) throw new BugError(`${name} is not in scripts/debian-packages`);
  if ((await missing(wanted)).length === 0) return;
  using _ = lock(LOCK, waiting);
  const absent = await missing(wanted);
  if (absent.length === 0) return;
  if (process.getuid?.() !== 0)
    throw new ConfigError(`not installed: ${absent.join(' ')}. Install them, or run this as root.`);
  say(`installing ${absent.join(' ')}`);
  await withFreshLists(() => run([...APT, 'install', '--', ...absent], { env: QUIET }));
}

export interface Unpacked {
  /** A tree with usr/, etc/ and so on. */
  readonly root: string;
  /** With it the tree's programs find the tree's libraries. */
  readonly env: Record<string, string>;
}

/** Unpacks what the list marks with `mode`, and all it depends on that this machine has not. */
export async function unpackPackages(mode: 'unpack' | 'arm64' = 'unpack'): Promise<Unpacked> {
  const wanted = packages(mode);
  const home = HOMES[mode];
  const root = join(home, 'root');
  const stamp = `${wanted.join(' ')}\n${await run(['dpkg', '--print-architecture'])}${release()}\n`;
  if (!isStamped(home, stamp)) {
    using _ = lock(LOCK, waiting);
    if (!isStamped(home, stamp)) {
      say(`unpacking ${wanted.join(' ')} into ${relative(process.cwd(), root)}`);
      await unpack(wanted, home);
      writeFileSync(join(home, 'stamp'), stamp);
    }
  }
  const libraries = ['lib', 'usr/lib']
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder))
        .filter((name) => name.endsWith('-linux-gnu'))
        .map((name) => join(root, folder, name)),
    );
  return { root, env: { LD_LIBRARY_PATH: libraries.join(':') } };
}

async function unpack(wanted: readonly string[], home: string): Promise<void> {
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  // A new name, since an apt whose parent was killed may still be writing to the last one.
  const fresh = mkdtempSync(join(home, 'new-'));
  const archives = join(fresh, 'archives');
  mkdirSync(join(archives, 'partial'), { recursive: true });
  // apt itself works out what the machine lacks. Nothing is installed, so it may go without the locks of
  // dpkg, and write as ourselves to a folder that its download user cannot reach.
  const download = [
    ...APT,
    ...['-o', `Dir::Cache::archives=${archives}`],
    ...['-o', 'APT::Sandbox::User=root', '-o', 'Debug::NoLocking=1'],
    ...['--download-only', '--reinstall', 'install', '--', ...wanted],
  ];
  await withFreshLists(() => run(download, { env: QUIET }));
  const tree = join(fresh, 'root');
  for (const name of readdirSync(archives).filter((name) => name.endsWith('.deb')))
    await run(['dpkg', '--extract', join(archives, name), tree]);
  renameSync(tree, join(home, 'root'));
  rmSync(fresh, { recursive: true });
}

/** The package lists may be absent (a fresh machine) or name files that are gone by now. */
async function withFreshLists(action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    say('fetching the package lists');
    await run(['apt-get', '--quiet=2', 'update'], { env: QUIET });
    await action();
  }
}

async function missing(wanted: readonly string[]): Promise<string[]> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholders
  const format = '--showformat=${Package} ${db:Status-Status}\\n';
  const states = await run(['dpkg-query', '--show', format]);
  const installed = new Set(states.split('\n'));
  return wanted.filter((name) => !installed.has(`${name} installed`));
}

function packages(mode: Mode): string[] {
  const file = join(import.meta.dirname, 'debian-packages');
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => {
      const [found, name, ...rest] = line.split(/\s+/);
      if (!MODES.includes(found as Mode) || name === undefined || rest.length > 0)
        throw new ConfigError(`${file}: expected MODE PACKAGE, found "${line}"`);
      return { mode: found as Mode, name };
    })
    .filter((row) => row.mode === mode)
    .map((row) => row.name);
}

function isStamped(home: string, stamp: string): boolean {
  const file = join(home, 'stamp');
  return existsSync(file) && readFileSync(file, 'utf8') === stamp;
}

/** The Debian release: an unpacked tree fits the one that it was made for. */
function release(): string {
  return /^VERSION_ID=.*$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[0] ?? 'testing';
}

function say(line: string): void {
  console.log(`debian: ${line}`);
}

function waiting(): void {
  say('waiting for another run');
}

if (import.meta.main) await main(() => setUp());
