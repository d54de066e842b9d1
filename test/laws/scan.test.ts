import t from 'tap';
import { codeOf, importsOf } from './scan.ts';

const specifiers = (text: string): readonly (string | undefined)[] =>
  importsOf(text).map(({ specifier }) => specifier);

t.test('scan: every form of import is seen, with its line and whether it is erased', async (t) => {
  const text = `#!/usr/bin/env node
import 'side-effect';
import one from "one";
import * as two from 'two';
import three, { type Three, three as drei } from 'three';
import type { Four } from 'four';
import { type Five, type Fünf } from 'five';
import {
  six, // from 'not-this'
  'a string name' as sechs,
} from 'six' with { type: 'json' };
export { seven } from 'seven';
export * from 'eight';
export * as nine from 'nine';
export type { Ten } from 'ten';
const eleven = await import('eleven');
const twelve = require('twelve');
const thirteen: typeof import('thirteen') = import.meta.resolve('fourteen');
import type from 'fifteen';
const sixteen = await import(\`sixteen\`);
await import(computed);
await import(\`./\${computed}\`);
`;
  t.same(
    importsOf(text).map(({ specifier, line, typeOnly }) => [specifier, line, typeOnly]),
    [
      ['side-effect', 2, false],
      ['one', 3, false],
      ['two', 4, false],
      ['three', 5, false],
      ['four', 6, true],
      ['five', 7, true],
      ['six', 8, false],
      ['seven', 12, false],
      ['eight', 13, false],
      ['nine', 14, false],
      ['ten', 15, true],
      ['eleven', 16, false],
      ['twelve', 17, false],
      ['thirteen', 18, false],
      ['fourteen', 18, false],
      ['fifteen', 19, false],
      ['sixteen', 20, false],
      [undefined, 21, false],
      [undefined, 22, false],
    ],
  );
});

t.test('scan: what only looks like an import is none', async (t) => {
  for (const text of [
    `// import 'x'`,
    `/* import { a } from 'x' */`,
    `const a = "import 'x'";`,
    `const a = 'it\\'s'; // import 'x'`,
    `const a = \`import 'x' \${b + \`export * from 'y'\`} require('z')\`;`,
    `const a = /import 'x'/; const b = /['"\`]/g;`,
    `const a = { import: 'x', from: 'y' };`,
    `module.import('x'); thing.require('y');`,
    `import.meta.url + 'x';`,
    `export const from = 'x';`,
    `export { a, b }; const c = 'x';`,
    `export default 'x';`,
  ])
    t.same(specifiers(text), [], text);
});

t.test('scan: an import behind tricky text is still seen', async (t) => {
  for (const text of [
    `const a = /[/'"]/; import 'x';`,
    `const a = b / c; import 'x'; const d = e / f;`,
    `const a = (b) / c; import 'x'; // '`,
    `const a = '\\\\'; import 'x';`,
    `const a = \`\${ { b: \`}\` }.b }'\`; import 'x';`,
    `const a = \`\\\`\`; import 'x';`,
    `const a = \`\${await import('x')}\`;`,
    `/* ' */ import/* " */{ a } from/* ' */'x';`,
    `if (a) /'/.test(b); import 'x';`,
  ])
    t.same(specifiers(text).at(-1), 'x', text);
});

t.test('scan: code keeps its length and lines, whatever the text', async (t) => {
  const text = `a('Date'); // Date\nb = \`Date \${Date} \n Date\`; /* 😀 Date */ c = /Date/;`;
  const code = codeOf(text);
  t.equal(code.length, text.length);
  t.equal(code.split('\n').length, 3);
  t.equal(code.match(/Date/g)?.length, 1);
});
