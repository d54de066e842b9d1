import t from 'tap';
import { purityLaw } from './purity.ts';
import { importLaw, roomLaw } from './rooms.ts';
import { planted, realTree, told } from './tree.ts';

const tree = realTree();

t.test('rooms: each room imports only what its row allows', async (t) => {
  t.ok(tree.length > 20, 'the tree was read');
  t.equal(told(importLaw(tree)).join('\n'), '');
  t.equal(told(roomLaw(tree)).join('\n'), '');
});

t.test('rooms: a pure room has no clock, chance, process or I/O', async (t) => {
  t.equal(told(purityLaw(tree)).join('\n'), '');
});

t.test('rooms: a planted import against the table is found', async (t) => {
  for (const [path, text, found] of [
    ['src/base/a.ts', `import { x } from '../crypto/x.ts';`, /may import no other room/],
    ['src/base/a.ts', `import type { X } from '../crypto/x.ts';`, /may import no other room/],
    ['src/base/a.ts', `import { readFileSync } from 'node:fs';`, /node:fs .*base is pure/],
    ['src/base/a.ts', `import { readFileSync } from 'fs';`, /fs .*base is pure/],
    ['src/protocol/wireguard/a.ts', `import { x } from 'node:crypto';`, /protocol is pure/],
    ['src/protocol/a.ts', `export { x } from '../node/tunnel/x.ts';`, /imports node\/tunnel/],
    ['src/linux/a.ts', `import { x } from '../crypto/x.ts';`, /crypto \(types\)/],
    ['src/linux/a.ts', `import type { X } from '../node/dataplane/ports.ts';`, /by shape/],
    ['src/linux/tun.ts', `import koffi from 'koffi';`, /only in src\/linux\/ffi.ts/],
    ['src/linux/tun.ts', `const koffi = require('koffi/indirect');`, /only in src\/linux\/ffi.ts/],
    ['src/node/dataplane/a.ts', `import { x } from '../tunnel/x.ts';`, /below the tunnel/],
    ['src/node/dataplane/a.ts', `import { x } from '../../linux/x.ts';`, /imports linux/],
    ['src/node/tunnel/a.ts', `import { x } from '../session/x.ts';`, /imports node\/session/],
    ['src/node/uapi/a.ts', `import { x } from '../dataplane/x.ts';`, /the packet path/],
    ['src/cli/a.ts', `import { x } from '../node/uapi/x.ts';`, /a verb talks to a socket/],
    ['src/run.ts', `const x = await import('./linux/x.ts');`, /imports linux/],
    ['src/main.ts', `import { x } from '../scripts/x.ts';`, /src\/ alone/],
    ['src/main.ts', `const x = await import(name);`, /computed import/],
    [
      'src/node/tunnel/a.ts',
      `import { x } from '@noble/curves/ed25519.js';`,
      /only in src\/crypto/,
    ],
    ['src/main.ts', `import { Command } from 'commander';`, /only in src\/cli/],
    ['src/cli/a.ts', `import t from 'tap';`, /only in test/],
    ['scripts/a.ts', `import x from 'left-pad';`, /has a row/],
    ['src/control/registry/a.ts', `import { x } from '../../store/x.ts';`, /replayed/],
  ] as const)
    t.match(told(importLaw(planted({ [path]: text }))).join('\n'), found, `${path}: ${text}`);
  t.match(told(roomLaw(planted({ 'src/helpers/a.ts': '' }))).join(), /no room/);
});

t.test('rooms: what the table allows passes', async (t) => {
  t.same(
    told(
      importLaw(
        planted({
          'src/base/a.ts': `import { b } from './b.ts'; // import 'node:fs'`,
          'src/crypto/a.ts': `import { createHash } from 'node:crypto'; import '@noble/hashes/blake2.js';`,
          'src/linux/ffi.ts': `import koffi from 'koffi/indirect'; import type { A } from '../crypto/aead.ts';`,
          'src/node/dataplane/worker.ts': `import { x } from '../../linux/tun.ts';`,
          'src/part-node.ts': `import { x } from './linux/tun.ts'; import { y } from './node/tunnel/y.ts';`,
          'src/node/session/a.ts': `import { x } from '../../store/x.ts'; import 'node:fs';`,
          'test/sim/a.ts': `import { x } from '../../src/linux/tun.ts'; import t from 'tap';`,
        }),
      ),
    ),
    [],
  );
});

t.test('purity: planted clocks, chance and processes are found', async (t) => {
  for (const text of [
    'const a = Date.now();',
    'const a = new Date();',
    'const a = Math.random();',
    "const a = Math['random']();",
    'const a = performance.now();',
    'setTimeout(a, 1);',
    'const { env } = process;',
    'const a = b ? process : c;',
    'const a = `$' + '{process.pid}`;',
    'await fetch(a);',
    'const a = crypto.getRandomValues(b); const { getRandomValues } = crypto;',
    'const a = { ...process };',
    'console.log(a);',
    'const a = globalThis;',
    "import { randomBytes } from 'node:crypto';",
  ])
    t.match(told(purityLaw(planted({ 'src/crypto/a.ts': text }))).join(), /crypto is pure/, text);
});

t.test('purity: members, keys, comments and strings of these names pass', async (t) => {
  for (const text of [
    "// Date.now() is the caller's",
    "const a = 'process';",
    'const a = { process: 1, Date: 2 };',
    'interface A { readonly performance: number; fetch?: number }',
    'const a = b.process + b.Date + this.fetch();',
    'const a = updateDate + processed + #process;',
  ])
    t.same(told(purityLaw(planted({ 'src/base/a.ts': text }))), [], text);
  t.same(told(purityLaw(planted({ 'src/linux/a.ts': 'Date.now();' }))), [], 'linux is not pure');
});
