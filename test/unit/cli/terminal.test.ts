import { PassThrough } from 'node:stream';
import t from 'tap';
import { columns, relative } from '../../../src/cli/columns.ts';
import { confirmAt } from '../../../src/cli/confirm.ts';

t.test('confirm: yes is yes, and the end of input is no', async (t) => {
  for (const [typed, expected] of [
    ['y\n', true],
    ['YES\n', true],
    ['\n', false],
    ['yep\n', false],
    ['', false],
  ] as const) {
    const input = new PassThrough();
    const answer = confirmAt(input, new PassThrough(), 'Sure?');
    input.end(typed);
    t.equal(await answer, expected, JSON.stringify(typed));
  }
});

t.test('text: how long ago, and how long until', async (t) => {
  const now = Date.UTC(2027, 0, 15);
  const at = (seconds: number): string => new Date(now + seconds * 1000).toISOString();
  for (const [seconds, text] of [
    [0, 'now'],
    [-59, '59 s ago'],
    [-60, '1 min ago'],
    [3 * 3600, 'in 3 h'],
    [-36 * 3600, '1 d ago'],
    [400 * 86_400, 'in 1 y'],
  ] as const)
    t.equal(relative(at(seconds), now, '-'), text);
  t.equal(relative(null, now, 'never'), 'never');
  t.equal(
    columns([
      ['A', 'B'],
      ['long', ''],
      ['x', 'y'],
    ]),
    'A     B\nlong\nx     y\n',
  );
});
