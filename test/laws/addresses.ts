/**
 * No file names the package registry or mirror of the machine it was written on: which one is used is that
 * machine's business, and its name would be the first thing to break for anybody else.
 *
 * The names to look for are read from this machine's settings when the law is judged; none stands here.
 */

import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Law } from './tree.ts';
import { lineOf } from './tree.ts';

const SETTINGS_FILES: readonly string[] = [
  '/etc/apt/sources.list',
  '/etc/apt/sources.list.d/*',
  '/etc/pip.conf',
  '/etc/npmrc',
  join(homedir(), '.npmrc'),
  join(homedir(), '.config/pip/pip.conf'),
  join(homedir(), '.pip/pip.conf'),
  join(homedir(), '.cargo/config.toml'),
  join(homedir(), '.config/go/env'),
];

const SETTINGS_VARIABLES =
  /^(npm_config_.*registry|GOPROXY|GOSUMDB|PIP_.*(URL|LINKS)|UV_.*(URL|INDEX))$/i;

/** Host names in this machine's settings of npm, Go, pip, cargo and apt. */
export function registryHosts(): readonly string[] {
  const texts = [
    // Outside of the tree, whose own .npmrc names none.
    quietly(() =>
      execFileSync('npm', ['config', 'get', 'registry'], {
        cwd: tmpdir(),
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    ),
    ...Object.entries(process.env).map(([name, value]) =>
      SETTINGS_VARIABLES.test(name) ? (value ?? '') : '',
    ),
    ...SETTINGS_FILES.flatMap((pattern) => globSync(pattern)).map((file) =>
      quietly(() => readFileSync(file, 'utf8')),
    ),
  ];
  return hostsIn(texts.join('\n'));
}

export function hostsIn(text: string): readonly string[] {
  const hosts = [...text.matchAll(/\bhttps?:\/\/(?:[^\s/@'"]*@)?([\w.-]+|\[[\da-f:]+\])/gi)].map(
    ([, host]) => (host as string).toLowerCase(),
  );
  return [...new Set(hosts)].filter((host) => host !== 'localhost' && !host.startsWith('127.'));
}

/** The law against these hosts. */
export function addressLaw(hosts: readonly string[]): Law {
  const escaped = hosts.map((host) => RegExp.escape(host));
  const pattern = new RegExp(`(?<![\\w.-])(?:${escaped.join('|')})(?![\\w-])`, 'gi');
  return (tree) =>
    hosts.length === 0
      ? []
      : tree.flatMap(({ path, text }) =>
          [...text.matchAll(pattern)].map((match) => ({
            file: path,
            line: lineOf(text, match.index),
            found: match[0],
            why: 'a registry or mirror of this machine; other machines have others',
          })),
        );
}

function quietly(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
