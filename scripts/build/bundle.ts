/**
 * The program's code: main, each part (src/parts.ts) and each worker (src/assets.ts), one file each with
 * everything it imports.
 *
 * Not minified: 99 of 100 bytes of the result are Node, and a stack that a user sends should be readable. No
 * path of this machine goes into them, so that the same tree gives the same bytes in any folder.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import type { BuildOptions, Plugin } from 'esbuild';
import { build } from 'esbuild';
import type { BuildInfo } from '../../src/build-info.ts';
import { TOP } from './packages.ts';

export interface Bundle {
  readonly main: string;
  /** Parts and workers by the asset's name, `store.cjs`. */
  readonly assets: Readonly<Record<string, string>>;
  /** Names of the packages whose code is in them, sorted. */
  readonly packages: readonly string[];
}

const PARTS = {
  'part-wireguard': 'src/part-wireguard.ts',
  'part-node': 'src/part-node.ts',
  'part-control': 'src/part-control.ts',
} as const;

const WORKERS = {
  dataplane: 'src/node/dataplane/worker.ts',
  store: 'src/store/sqlite-worker.ts',
  relay: 'src/control/relay/worker.ts',
} as const;

/** @throws Error with esbuild's words where something cannot be resolved; a warning is an error too */
export async function bundle(info: BuildInfo): Promise<Bundle> {
  const bundles = [
    // What main imports by itself it finds among the assets.
    await bundleOf(info, { main: 'src/main.ts' }, { external: ['./part-*.ts'] }),
    await bundleOf(info, PARTS, { plugins: [ofMain] }),
    await bundleOf(info, WORKERS, {}),
  ];
  const { main, ...assets } = Object.fromEntries(bundles.flatMap(({ texts }) => texts));
  const packages = new Set(bundles.flatMap(({ packages }) => packages));
  return {
    main: main ?? '',
    assets: Object.fromEntries(Object.entries(assets).map(([name, text]) => [`${name}.cjs`, text])),
    packages: [...packages].sort(),
  };
}

/** What a part has of main, by the names that src/parts.ts answers to. */
const ofMain: Plugin = {
  name: 'of main',
  setup(build) {
    build.onResolve({ filter: /\/base\/errors\.ts$/ }, () => ({
      path: 'postern:base/errors',
      external: true,
    }));
  },
};

interface Bundled {
  readonly texts: readonly (readonly [name: string, text: string])[];
  readonly packages: readonly string[];
}

async function bundleOf(
  info: BuildInfo,
  entryPoints: Readonly<Record<string, string>>,
  more: Pick<BuildOptions, 'external' | 'plugins'>,
): Promise<Bundled> {
  const result = await build({
    absWorkingDir: TOP,
    entryPoints,
    outdir: 'dist',
    write: false,
    bundle: true,
    platform: 'node',
    target: 'node26',
    format: 'cjs',
    legalComments: 'none',
    metafile: true,
    logLevel: 'silent',
    define: {
      POSTERN_BUILD: JSON.stringify(JSON.stringify(info)),
      // Only what runs from source looks for its own place.
      'import.meta.url': '"file:///"',
    },
    ...more,
  });
  const [warning] = result.warnings;
  if (warning) throw new Error(`esbuild: ${warning.location?.file ?? ''}: ${warning.text}`);
  const packages = Object.keys(result.metafile.inputs)
    .map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1])
    .filter((name) => name !== undefined);
  const texts = result.outputFiles.map(({ path, text }) => [parse(path).name, text] as const);
  return { texts, packages };
}

/** What `postern version` will say of this tree. */
export function infoOf(): BuildInfo {
  const { version, dependencies } = JSON.parse(readFileSync(join(TOP, 'package.json'), 'utf8')) as {
    version: string;
    dependencies: Record<string, string>;
  };
  const commit = commitOf();
  const koffi = dependencies['koffi'] as string;
  return commit === undefined ? { version, koffi } : { version, koffi, commit };
}

/** The commit, `-dirty` where the tree is another; undefined for a tree without git. */
function commitOf(): string | undefined {
  if (!existsSync(join(TOP, '.git'))) return undefined;
  // Asking must not write to the index, which others may be using.
  const git = (...words: string[]): string =>
    execFileSync('git', ['--no-optional-locks', ...words], { cwd: TOP, encoding: 'utf8' }).trim();
  const commit = git('rev-parse', 'HEAD');
  return git('status', '--porcelain') === '' ? commit : `${commit}-dirty`;
}
