import { execFile } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import type { TapCount } from '../../scripts/tap-output.ts';
import { countTap } from '../../scripts/tap-output.ts';
import { Copy } from './copy.ts';
import type { Plant } from './plant.ts';
import { ESSENTIALS, PLANTS } from './plants.ts';

/** A judge whose plant makes it hang has seen it, but does not say so by name: that is no verdict. */
const JUDGE_SECONDS = 90;
const OUTPUT_MOST_BYTES: number = 64 * 1024 * 1024;

interface Verdict extends TapCount {
  readonly output: string;
}

/** Runs a test file of the copy. @param only the one test to run; all where undefined */
function judge(copy: Copy, file: string, only: string | undefined): Promise<Verdict> {
  const env: NodeJS.ProcessEnv = { ...process.env, TAP_TIMEOUT: String(JUDGE_SECONDS) };
  // Each judge is to see the copy's program, and to speak to us alone.
  for (const name of ['POSTERN_BIN', 'POSTERN_UNDER_TEST', 'TAP', 'TAP_CHILD_ID', 'CI'])
    delete env[name];
  if (only !== undefined) env['TAP_GREP'] = literally(only);
  const options = {
    cwd: copy.path,
    env,
    maxBuffer: OUTPUT_MOST_BYTES,
    timeout: (JUDGE_SECONDS + 10) * 1000,
  };
  return new Promise((resolve) => {
    execFile(process.execPath, [join(copy.path, file)], options, (_, stdout, stderr) =>
      resolve({ ...countTap(stdout), output: stdout + stderr }),
    );
  });
}

const literally = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');

/** Network namespaces take seconds a case, so there one case is judge, elsewhere the whole file. */
const onlyOf = ({ judge, sees }: Plant): string | undefined =>
  judge === ESSENTIALS ? sees : undefined;

t.test('planted: without a plant every judge is content', { timeout: 0 }, async (t) => {
  using copy = await Copy.create();
  const judges = new Map(PLANTS.map((plant) => [`${plant.judge} ${onlyOf(plant)}`, plant]));
  for (const plant of judges.values()) {
    const { passed, failures, faults, output } = await judge(copy, plant.judge, onlyOf(plant));
    t.same([...failures, ...faults], [], plant.judge);
    if (!t.ok(passed > 0, `${plant.judge}: ${passed} assertions`)) t.comment(output);
  }
});

t.test('planted: every plant is seen by the test that is about it', { timeout: 0 }, async (t) => {
  using copy = await Copy.create();
  for (const plant of PLANTS) {
    const place = placeOf(copy, plant);
    if (typeof place === 'string') {
      t.fail(`${plant.name}: ${place}`);
      continue;
    }
    const { passed, failures, output } = await judge(copy, plant.judge, onlyOf(plant));
    place.restore();
    const seen = failures.filter((failure) => failure.startsWith(`${plant.sees} > `));
    const others = failures.filter((failure) => !seen.includes(failure)).join('; ');
    // A judge of which nothing passes has seen that the program is broken, not where.
    if (!t.ok(seen.length > 0 && passed > 0, `${plant.name}: ${plant.sees}`))
      t.comment(others === '' ? output.slice(-3000) : others);
  }
});

/** The plant in its place, or why it has none. */
function placeOf(copy: Copy, plant: Plant): { restore(): void } | string {
  try {
    return copy.plant(plant);
  } catch (error) {
    return (error as Error).message;
  }
}

t.test('planted: a plant that has lost its place is told', async (t) => {
  using copy = await Copy.create();
  for (const text of ['nobody wrote this', 'import '])
    t.throws(
      () => copy.plant({ file: 'src/node/dataplane/plane.ts', text, replacement: '' }),
      /the plant has lost its place: .* has its text (0|\d\d) times/,
      text,
    );
});
