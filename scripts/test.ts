/**
 * Runs the tests: `node scripts/test.ts [kind | file ...] [--json FILE]`.
 *
 * Each test file, and each program that makes the machine ready, is a process group (node-group.ts). The
 * kinds run one after another, quickest first; inside a kind, files run side by side where they share
 * nothing. One line a file as it ends, the whole output of one that failed, one line a kind, and last,
 * alone, `N passed, N failed`: assertions, and one failure for each thing that could not run.
 *
 * A file fails by a failed assertion, by an exit status or a signal, by running over its time, or by
 * output that does not add up (tap-output.ts). A skipped test is shown, and fails where CI=true.
 */

import { existsSync, globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { endAll, runNode } from './node-group.ts';
import { countTap, type Skip } from './tap-output.ts';

interface Kind {
  /** Files at the same time. */
  readonly jobs: number;
  /** A file still running after this has hung. */
  readonly fileSeconds: number;
  /** Needs root, the stock peers and the compiled kernels. */
  readonly machine: boolean;
}

const KINDS: Readonly<Record<string, Kind>> = {
  laws: { jobs: 2, fileSeconds: 60, machine: false },
  unit: { jobs: 2, fileSeconds: 120, machine: false },
  vectors: { jobs: 2, fileSeconds: 120, machine: false },
  sim: { jobs: 1, fileSeconds: 300, machine: false },
  netns: { jobs: 1, fileSeconds: 600, machine: true },
  interop: { jobs: 1, fileSeconds: 900, machine: true },
  build: { jobs: 1, fileSeconds: 600, machine: true },
  long: { jobs: 1, fileSeconds: 12 * 3600, machine: true },
  planted: { jobs: 1, fileSeconds: 1800, machine: true },
};

/** In this order; `long` and `planted` only by name. */
const DEFAULT_KINDS: readonly string[] = [
  'laws',
  'unit',
  'vectors',
  'sim',
  'netns',
  'interop',
  'build',
];

/** Skips that may stand even where CI=true: file, and why the judgement is whole without it. */
const ALLOWED_SKIPS: readonly { readonly file: string; readonly why: string }[] = [
  {
    file: 'test/interop/node/policy.test.ts',
    why: 'it needs a headscale; the filter is judged by its twin, packet for packet (test/unit/policy)',
  },
  ...(process.env['POSTERN_VECTORS'] === undefined
    ? [
        'test/build/build.test.ts',
        'test/unit/derp/greeting.test.ts',
        'test/unit/disco/messages.test.ts',
        'test/unit/policy/packet-filter.test.ts',
        'test/unit/session/fold.test.ts',
        'test/unit/serve/register.test.ts',
      ].map((file) => ({
        file,
        why: 'the folder of vectors lies outside the tree; the unit tests hold some of each',
      }))
    : []),
];

/** Packages and stock peers: two compilations of Go programs on a slow machine. */
const SET_UP_SECONDS = 3600;

interface FileResult {
  readonly file: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly Skip[];
  readonly seconds: number;
  readonly failures: readonly string[];
}

interface KindResult {
  readonly kind: string;
  readonly files: readonly FileResult[];
  readonly seconds: number;
}

const top = join(import.meta.dirname, '..');
const ci = process.env['CI'] === 'true';
let interrupted = false;
/** Made ready once, for all kinds that need it. */
let machine: Promise<string | undefined> | undefined;

await main();

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'string' } },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => interrupt(signal));
  const results: KindResult[] = [];
  const kinds = chosen(positionals);
  // First of all, so that the kinds that need no ready machine find one too, if they can use it.
  for (const kind of kinds.keys()) await prepare(KINDS[kind] as Kind);
  for (const [kind, files] of kinds) {
    if (interrupted) break;
    const result = await runKind(kind, files);
    results.push(result);
    printKind(result);
  }
  const files = results.flatMap((result) => result.files);
  const passed = sum(files, (file) => file.passed);
  const failed = sum(files, (file) => file.failed) + (interrupted ? 1 : 0);
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ passed, failed, kinds: results }, null, 2)}\n`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

/** Kinds in their order, each with its files; a file named by itself stands for its kind. */
function chosen(words: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const byKind = new Map<string, readonly string[]>();
  for (const word of words.length > 0 ? words : defaultKinds()) {
    const kind = /^test\/(\w+)\/.*\.test\.ts$/.exec(word)?.[1];
    const name = kind ?? word;
    if (KINDS[name] === undefined || (kind !== undefined && !existsSync(join(top, word)))) {
      console.error(
        `test: '${word}' is neither a kind (${Object.keys(KINDS).join(', ')}) nor a test file`,
      );
      process.exit(2);
    }
    const files = kind === undefined ? filesOf(name) : [word];
    byKind.set(name, [...new Set([...(byKind.get(name) ?? []), ...files])]);
  }
  return byKind;
}

/** Without their folder the vectors cannot be asked; the unit tests hold some of each. */
function defaultKinds(): readonly string[] {
  if (process.env['POSTERN_VECTORS'] !== undefined) return DEFAULT_KINDS;
  console.log('# vectors: left out, since POSTERN_VECTORS names no folder');
  return DEFAULT_KINDS.filter((kind) => kind !== 'vectors');
}

function filesOf(kind: string): readonly string[] {
  return globSync(`test/${kind}/**/*.test.ts`, { cwd: top }).sort();
}

async function runKind(name: string, files: readonly string[]): Promise<KindResult> {
  const kind = KINDS[name] as Kind;
  const started = performance.now();
  console.log(`# ${name}`);
  const trouble = files.length === 0 ? 'there is no test file' : await prepare(kind);
  if (trouble !== undefined) {
    console.log(`could not run ${name}: ${trouble}`);
    return { kind: name, files: [unrun(`test/${name}`, trouble)], seconds: since(started) };
  }
  const results: FileResult[] = [];
  const waiting = [...files];
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file && !interrupted; file = waiting.shift())
      results.push(await runFile(file, kind));
  };
  await Promise.all(Array.from({ length: kind.jobs }, work));
  return { kind: name, files: results, seconds: since(started) };
}

/** Why the machine is not ready for a kind, or undefined. */
async function prepare(kind: Kind): Promise<string | undefined> {
  if (!kind.machine) return undefined;
  machine ??= setUpMachine();
  return machine;
}

async function setUpMachine(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'network namespaces and TUN devices need root';
  const show = (text: string): void => void process.stderr.write(text);
  for (const program of ['scripts/debian.ts', 'scripts/kernels.ts']) {
    const { ending } = await runNode(program, SET_UP_SECONDS, {}, show);
    if (ending !== undefined) return `${program}: ${ending}, see above`;
  }
  return undefined;
}

async function runFile(file: string, kind: Kind): Promise<FileResult> {
  const started = performance.now();
  const { stdout, output, ending } = await runNode(file, kind.fileSeconds + 15, {
    // tap ends a test that hangs by itself, and says which; the later limit is for what it cannot end.
    TAP_TIMEOUT: String(kind.fileSeconds),
  });
  const count = countTap(stdout);
  const skips = ci && !ALLOWED_SKIPS.some((allowed) => allowed.file === file) ? count.skipped : [];
  const failures = [
    ...count.failures,
    ...skips.map(({ test, reason }) => `skipped where CI=true: ${test} (${reason || 'no reason'})`),
    ...count.faults,
    // An exit status that only repeats a failure already counted is not one more.
    ...(ending !== undefined && count.failures.length + count.faults.length === 0 ? [ending] : []),
  ];
  const result: FileResult = {
    file,
    passed: count.passed,
    failed: failures.length,
    skipped: count.skipped,
    seconds: since(started),
    failures,
  };
  printFile(result, output, ending);
  return result;
}

function interrupt(signal: string): void {
  if (interrupted) return;
  interrupted = true;
  console.log(`test: ${signal}, ending what runs`);
  endAll();
}

function unrun(file: string, why: string): FileResult {
  return { file, passed: 0, failed: 1, skipped: [], seconds: 0, failures: [why] };
}

function printFile(
  { file, passed, failed, skipped, seconds, failures }: FileResult,
  output: string,
  ending: string | undefined,
): void {
  const counts = [`${passed} passed`];
  if (failed > 0) counts.push(`${failed} failed`);
  if (skipped.length > 0) counts.push(`${skipped.length} skipped`);
  const verdict = failed > 0 ? 'not ok' : 'ok    ';
  console.log(`${verdict} ${seconds.toFixed(1).padStart(6)} s  ${file}  ${counts.join(', ')}`);
  for (const { test, reason } of skipped) console.log(`         skipped: ${test} (${reason})`);
  if (failed === 0) return;
  console.log(output.replace(/^/gm, '    | '));
  for (const failure of failures) console.log(`    failed: ${failure}`);
  if (ending !== undefined) console.log(`    ended: ${ending}`);
}

function printKind({ kind, files, seconds }: KindResult): void {
  const passed = sum(files, (file) => file.passed);
  const failed = sum(files, (file) => file.failed);
  const skipped = sum(files, (file) => file.skipped.length);
  console.log(
    `${kind}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${files.length} files, ${seconds.toFixed(1)} s`,
  );
}

function since(started: number): number {
  return Math.round(performance.now() - started) / 1000;
}

function sum(files: readonly FileResult[], of: (file: FileResult) => number): number {
  return files.reduce((total, file) => total + of(file), 0);
}
