import t from 'tap';
import { erasableLaw, headLaw, lengthLaw, openEndLaw, sizeLaw } from './files.ts';
import type { Law } from './tree.ts';
import { MAX_FILE_BYTES, planted, realTree, told } from './tree.ts';

const LAWS: Readonly<Record<string, Law>> = {
  'each source file opens with its docblock': headLaw,
  'no file is longer than can be read at once': lengthLaw,
  'no file is over 1 MB': sizeLaw,
  'nothing is left open by a mark': openEndLaw,
  'TypeScript is erasable': erasableLaw,
};

const tree = realTree();

t.test('files: the tree keeps the laws', async (t) => {
  for (const [what, law] of Object.entries(LAWS)) t.equal(told(law(tree)).join('\n'), '', what);
});

const HEAD = '/** What this is. */\n';

t.test('files: a planted violation is found, with its line', async (t) => {
  const mark = `TO${'DO'}`;
  for (const [law, path, text, found] of [
    [headLaw, 'src/base/a.ts', 'export const a = 1;\n', /^src\/base\/a.ts:1: no docblock/],
    [headLaw, 'src/base/a.d.ts', '/* What. */\n', /no docblock/],
    [headLaw, 'src/node/dataplane/a.as.ts', '/** */\n', /no docblock/],
    [headLaw, 'test/a.ts', '// What.\n', /no docblock/],
    [headLaw, 'scripts/a', '#!/bin/sh\nset -eu\n', /^scripts\/a:2: no comment/],
    [lengthLaw, 'test/unit/a.test.ts', 'a\n'.repeat(301), /:301: 301 lines/],
    [openEndLaw, 'src/base/a.ts', `${HEAD}\n// ${mark}: later\n`, new RegExp(`:3: ${mark}`)],
    [erasableLaw, 'src/base/a.ts', `${HEAD}export enum A { B }`, /:2: enum A/],
    [erasableLaw, 'src/base/a.ts', `${HEAD}const enum A { B }`, /:2: const enum A/],
    [erasableLaw, 'src/base/a.ts', `${HEAD}declare namespace A {}`, /:2: namespace A/],
  ] as const)
    t.match(
      told(law(planted({ [path]: text }))).join('\n'),
      found,
      `${path}: ${text.slice(0, 60)}`,
    );
  const big = { path: 'a.bin', bytes: MAX_FILE_BYTES + 1, text: '' };
  t.match(told(sizeLaw([big])).join(), /a.bin:1: 1048577 bytes/);
});

t.test('files: what keeps the laws passes', async (t) => {
  const kept = planted({
    'src/base/a.ts': `${HEAD}// no enum A { here\nexport const a = 'namespace A {';\n`,
    'src/base/b.d.ts': `${HEAD}declare namespace WebAssembly {}\n`,
    'src/node/dataplane/a.as.ts': `${HEAD}namespace A {}\n`,
    'scripts/a': '#!/bin/sh\n# What this is.\nset -eu\n',
    'scripts/b.ts': `#!/usr/bin/env node\n${HEAD}`,
    'test/unit/a.test.ts': 'a\n'.repeat(300),
    'README.md': 'a\n'.repeat(1000),
  });
  for (const [what, law] of Object.entries(LAWS)) t.same(told(law(kept)), [], what);
});
