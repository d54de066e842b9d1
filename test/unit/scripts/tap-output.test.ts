import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { countTap } from '../../../scripts/tap-output.ts';

/** What tap itself prints for the body of a test file. */
function printed(body: string): string {
  const { stdout } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', `import t from 'tap'; ${body}`],
    {
      cwd: join(import.meta.dirname, '../../..'),
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] },
    },
  );
  return stdout;
}

t.test('tap output: leaves are counted once, in a nest of tests', async (t) => {
  const count = countTap(
    printed(`t.test('outer', async (t) => {
      t.pass('one');
      await t.test('inner', async (t) => { t.equal(1, 2, 'two'); t.pass('three'); });
    });
    t.test('last', async (t) => { t.ok(true); });`),
  );
  t.same(count, {
    passed: 3,
    failed: 1,
    skipped: [],
    failures: ['inner > two'],
    faults: [],
  });
});

t.test('tap output: skips are kept with their reason', async (t) => {
  const count = countTap(
    printed(`t.test('root only', { skip: 'no root' }, async () => {});
    t.test('a', async (t) => { t.pass('x', { skip: true }); t.fail('y', { todo: 'later' }); });`),
  );
  t.equal(count.passed + count.failed, 0);
  t.same(count.skipped, [
    { test: 'root only', reason: 'no root' },
    { test: 'a > x', reason: '' },
    { test: 'a > y', reason: 'later' },
  ]);
  t.same(count.faults, []);
});

t.test('tap output: a result inside a detail block is no result', async (t) => {
  const count = countTap(
    printed(`t.test('diff', async (t) => { t.equal('ok 1 - a\\nok 2 - b', 'ok 3\\n1..7'); });`),
  );
  t.equal(count.passed, 0);
  t.equal(count.failed, 1);
  t.same(count.faults, []);
});

t.test('tap output: what does not add up is a fault', async (t) => {
  for (const [what, output, fault] of [
    ['nothing', '', /no plan/],
    ['a crash in the middle', 'TAP version 14\n# Subtest: a\n    ok 1\n', /began and did not end/],
    ['a plan not kept', 'ok 1\nok 2\n1..3\n', /planned 3 results, gave 2/],
    ['a line printed by the program', 'ok 1\nok 2\n1..1\n', /planned 1 results, gave 2/],
    ['a false number', 'ok 1\nok 3\n1..2\n', /result 3 came as number 2/],
    ['an empty test', '# Subtest: a\n    1..0\nok 1 - a\n1..1\n', /'a': ran no assertion/],
    ['an empty file', '1..0 # no tests found\n', /the file: ran no assertion/],
    [
      'a false closing',
      '# Subtest: a\n    not ok 1\n    1..1\nok 1 - a\n1..1\n',
      /a failure inside/,
    ],
    ['an open block', 'not ok 1\n  ---\n  a: 1\n', /ends inside a detail block/],
  ] as const) {
    t.match(countTap(output).faults.join('; '), fault, what);
  }
});

t.test('tap output: a test that leaves its process early has failed', async (t) => {
  const count = countTap(
    printed(`t.test('early', async (t) => { t.pass('x'); process.exit(0); });`),
  );
  t.equal(count.passed, 1);
  t.ok(count.failed > 0 || count.faults.length > 0);
});
