/**
 * What the laws judge: a list of files, the real tree's or a planted one, and what they answer: violations.
 *
 * A law is a function from the list to its violations. So the same law that judges the tree is shown, by a
 * list with one planted fault, to see that fault.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface TreeFile {
  /** From the top of the tree, with `/`. */
  readonly path: string;
  readonly bytes: number;
  /** Empty for a file over 1 MB, or a binary one. */
  readonly text: string;
}

export interface Violation {
  readonly file: string;
  readonly line: number;
  readonly found: string;
  /** The reason for the rule. */
  readonly why: string;
}

export type Law = (tree: readonly TreeFile[]) => readonly Violation[];

export const MAX_FILE_BYTES: number = 1024 * 1024;

export const TOP: string = join(import.meta.dirname, '../..');

/** The tree as git sees it: tracked files, and new ones that are not ignored. */
export function realTree(): readonly TreeFile[] {
  const list = ['ls-files', '--cached', '--others', '--exclude-standard', '-z'];
  const paths = execFileSync('git', list, { cwd: TOP, encoding: 'utf8' }).split('\0');
  return [...new Set(paths)]
    .filter((path) => path !== '' && existsSync(join(TOP, path)))
    .filter((path) => lstatSync(join(TOP, path)).isFile())
    .map((path) => {
      const bytes = lstatSync(join(TOP, path)).size;
      const text = bytes > MAX_FILE_BYTES ? '' : readFileSync(join(TOP, path), 'utf8');
      return { path, bytes, text: text.includes('\0') ? '' : text };
    });
}

/** A tree of texts by path. */
export function planted(files: Readonly<Record<string, string>>): readonly TreeFile[] {
  return Object.entries(files).map(([path, text]) => ({ path, bytes: text.length, text }));
}

/** `file:line: what was found (why it may not be)`, one a violation. */
export function told(violations: readonly Violation[]): readonly string[] {
  return violations.map(({ file, line, found, why }) => `${file}:${line}: ${found} (${why})`);
}

/** TypeScript of ours: not AssemblyScript, not declarations of what others define. */
export function isOurs(path: string): boolean {
  return /^(src|scripts|test)\/.*\.ts$/.test(path) && !/\.(as|d)\.ts$/.test(path);
}

export function lineOf(text: string, at: number): number {
  return text.slice(0, at).split('\n').length;
}
