/**
 * What every file owes its reader: a head that says what it is, a size that can be read at once, no promise
 * left open, and TypeScript that Node runs by taking the types away.
 */

import { codeOf } from './scan.ts';
import type { Law, TreeFile, Violation } from './tree.ts';
import { isOurs, lineOf, MAX_FILE_BYTES } from './tree.ts';

const MAX_LINES = 300;

/** Files made by a program; none so far. */
const GENERATED: readonly string[] = [];

const isSource = ({ path }: TreeFile): boolean => /^(src|scripts|test)\/.*\.ts$/.test(path);
const isShell = ({ text }: TreeFile): boolean => /^#!\/(usr\/)?bin\/(env )?(ba|da)?sh\b/.test(text);

export const headLaw: Law = (tree) => [
  ...tree
    .filter((file) => isSource(file) && !file.path.endsWith('.test.ts'))
    .filter(({ text }) => !/^(#!.*\n)?\/\*\*[\s*]*[^\s*/]/.test(text))
    .map(({ path }) => ({ file: path, line: 1, found: 'no docblock at the top', why: HEAD_WHY })),
  ...tree
    .filter((file) => isShell(file) && !/^#!.*\n# \S/.test(file.text))
    .map(({ path }) => ({ file: path, line: 2, found: 'no comment at the top', why: HEAD_WHY })),
];
const HEAD_WHY = 'the first screen of a file is its contract: what it is, layout or states, source';

export const lengthLaw: Law = (tree) =>
  tree
    .filter((file) => (isSource(file) || isShell(file)) && !GENERATED.includes(file.path))
    .map((file) => ({ file, lines: file.text.replace(/\n$/, '').split('\n').length }))
    .filter(({ lines }) => lines > MAX_LINES)
    .map(({ file, lines }) => ({
      file: file.path,
      line: MAX_LINES + 1,
      found: `${lines} lines`,
      why: `over ${MAX_LINES} lines there are two concerns in a file`,
    }));

export const sizeLaw: Law = (tree) =>
  tree
    .filter(({ bytes }) => bytes > MAX_FILE_BYTES)
    .map(({ path, bytes }) => ({
      file: path,
      line: 1,
      found: `${bytes} bytes`,
      why: 'over 1 MB it is the output of a build, and a clone carries it for ever',
    }));

/** Put together here, so that this file does not break its own law. */
const MARKS: readonly string[] = [`TO${'DO'}`, `FIX${'ME'}`, `X${'XX'}`];

export const openEndLaw: Law = (tree) =>
  tree
    .filter((file) => isSource(file) || isShell(file))
    .flatMap((file) =>
      matches(file, file.text, new RegExp(`\\b(?:${MARKS.join('|')})\\b`, 'g'), OPEN_WHY),
    );
const OPEN_WHY = 'what is missing is done, or told where a user reads it; nobody reads a mark';

/** Parameter properties are left to the compiler (erasableSyntaxOnly), which tells them from types. */
const NOT_ERASABLE =
  /(?<![.\w$])(?:(?:const\s+)?enum\s+[\w$]+\s*\{|(?:namespace|module)\s+[\w$.]+\s*\{)/g;

export const erasableLaw: Law = (tree) =>
  tree
    .filter(({ path }) => isOurs(path))
    .flatMap((file) =>
      matches(file, codeOf(file.text), NOT_ERASABLE, 'Node runs the source with its types erased'),
    );

function matches(file: TreeFile, text: string, pattern: RegExp, why: string): readonly Violation[] {
  return [...text.matchAll(pattern)].map((match) => ({
    file: file.path,
    line: lineOf(text, match.index),
    found: match[0].replace(/\s+/g, ' ').trim(),
    why,
  }));
}
