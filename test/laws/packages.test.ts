import t from 'tap';
import { addressLaw, hostsIn, registryHosts } from './addresses.ts';
import { exactLaw, lockLaw, reasonLaw, settingsLaw, useLaw } from './packages.ts';
import type { Law } from './tree.ts';
import { planted, realTree, told } from './tree.ts';

const LAWS: Readonly<Record<string, Law>> = {
  '.npmrc keeps its settings': settingsLaw,
  'the lock file is exact and names no address': lockLaw,
  'package.json names exact versions': exactLaw,
  'each package has its line in ARCHITECTURE.md': reasonLaw,
  'each package is used': useLaw,
};

const tree = realTree();

t.test('packages: the tree keeps the laws', async (t) => {
  for (const [what, law] of Object.entries(LAWS)) t.equal(told(law(tree)).join('\n'), '', what);
});

t.test('addresses: no file names a registry or mirror of this machine', async (t) => {
  t.equal(told(addressLaw(registryHosts())(tree)).join('\n'), '');
});

const KEPT: Readonly<Record<string, string>> = {
  '.npmrc': 'omit-lockfile-registry-resolved=true\nignore-scripts=true\nsave-exact = true\n',
  'package.json': '{"dependencies":{"koffi":"3.3.4"},"devDependencies":{"typescript":"7.0.2"}}',
  'package-lock.json': JSON.stringify({
    packages: {
      '': {},
      'node_modules/koffi': { version: '3.3.4', integrity: 'sha512-a' },
      'node_modules/a/node_modules/b': { version: '1.0.0-rc.1', integrity: 'sha512-b' },
    },
  }),
  'ARCHITECTURE.md': '| `koffi` | why |\n| `typescript` | why |\n',
  'src/linux/ffi.ts': `import koffi from 'koffi/indirect';`,
  'scripts/start': 'tsc',
};

t.test('packages: a tree that keeps the laws passes', async (t) => {
  for (const [what, law] of Object.entries(LAWS)) t.same(told(law(planted(KEPT))), [], what);
});

t.test('packages: a planted violation is found', async (t) => {
  const lock = (entry: object): string =>
    JSON.stringify({ packages: { 'node_modules/koffi': entry } });
  const whole = { version: '3.3.4', integrity: 'sha512-a' };
  for (const [law, file, text, found] of [
    [settingsLaw, '.npmrc', 'ignore-scripts=false\n', /no line ignore-scripts=true/],
    [settingsLaw, '.npmrc', `${KEPT['.npmrc']}registry=https://a.example/\n`, /:4: names a reg/],
    [lockLaw, 'package-lock.json', lock({ ...whole, resolved: 'https://a.example' }), /address/],
    [lockLaw, 'package-lock.json', lock({ version: '3.3.4' }), /no checksum/],
    [lockLaw, 'package-lock.json', lock({ ...whole, version: '3.3.5' }), /says 3.3.4/],
    [exactLaw, 'package.json', '{"dependencies":{"koffi":"^3.3.4"}}', /koffi \^3.3.4/],
    [exactLaw, 'package.json', '{"optionalDependencies":{"koffi":"latest"}}', /koffi latest/],
    [reasonLaw, 'ARCHITECTURE.md', '`koffi` is named in passing\n', /koffi has no line/],
    [useLaw, 'src/linux/ffi.ts', `// import koffi from 'koffi';`, /koffi is used nowhere/],
    [useLaw, 'scripts/start', '', /typescript is used nowhere/],
  ] as const)
    t.match(told(law(planted({ ...KEPT, [file]: text }))).join('\n'), found, `${file}: ${text}`);
});

t.test('addresses: hosts are read from settings, and found in files', async (t) => {
  const hosts = hostsIn(`registry = https://user:pass@npm.mirror.example:8080/path
    deb [signed-by=x] http://deb.mirror.example/debian stable main
    GOPROXY=https://go.example,direct http://localhost:3000 http://127.0.0.1:4873/`);
  t.same(hosts, ['npm.mirror.example', 'deb.mirror.example', 'go.example']);
  const law = addressLaw(hosts);
  t.match(told(law(planted({ 'a.md': 'a\nsee NPM.mirror.example/x' }))).join(), /a.md:2: NPM/);
  t.same(told(law(planted({ 'a.md': 'cargo.example, go.example-site, xgo.example' }))), []);
  t.same(told(addressLaw([])(planted({ 'a.md': 'anything' }))), []);
});
