/**
 * A pure room sees no clock, no chance, no process and no I/O, not even as a global: what it needs of them
 * is an argument, so that a test chooses it and a failing run can be had again.
 */

import { roomOf } from './rooms.ts';
import { codeOf } from './scan.ts';
import type { Law } from './tree.ts';
import { lineOf } from './tree.ts';

const FORBIDDEN: readonly { readonly names: readonly string[]; readonly why: string }[] = [
  { names: ['Date', 'performance', 'Temporal'], why: 'the time is an argument' },
  {
    names: [
      'setTimeout',
      'setInterval',
      'setImmediate',
      'clearTimeout',
      'clearInterval',
      'clearImmediate',
      'queueMicrotask',
    ],
    why: 'who calls a pure room decides when',
  },
  {
    names: [
      'randomBytes',
      'randomUUID',
      'randomInt',
      'randomFill',
      'randomFillSync',
      'getRandomValues',
      'generateKeyPair',
      'generateKeyPairSync',
      'generateKey',
      'generateKeySync',
      'webcrypto',
    ],
    why: 'chance is an argument',
  },
  {
    names: [
      'process',
      'console',
      'fetch',
      'WebSocket',
      'Worker',
      'BroadcastChannel',
      'MessageChannel',
      'navigator',
      'localStorage',
      'eval',
    ],
    why: 'a pure room does nothing but answer',
  },
  { names: ['globalThis', 'global', 'require', 'Function'], why: 'a way around the import table' },
];

/** Chance that hides in an allowed name. */
const MEMBERS = /\bMath\s*(?:\.\s*random\b|\[)/g;

export const purityLaw: Law = (tree) =>
  tree
    .filter(({ path }) => /^src\/.*\.ts$/.test(path) && !path.endsWith('.d.ts'))
    .filter(({ path }) => roomOf(path)?.pure !== undefined)
    .flatMap(({ path, text }) => {
      const code = codeOf(text);
      const room = roomOf(path)?.room;
      const named = FORBIDDEN.flatMap(({ names, why }) =>
        uses(code, names).map(({ at, name }) => ({ at, name, why })),
      );
      const members = [...code.matchAll(MEMBERS)].map((match) => ({
        at: match.index,
        name: 'Math.random',
        why: 'chance is an argument',
      }));
      return [...named, ...members].map(({ at, name, why }) => ({
        file: path,
        line: lineOf(text, at),
        found: name,
        why: `${room} is pure: ${why}`,
      }));
    });

/** Where one of `names` stands as a name of its own: not as a member, nor as the key before a colon. */
function uses(
  code: string,
  names: readonly string[],
): readonly { readonly at: number; readonly name: string }[] {
  const pattern = new RegExp(
    `(?<![\\w$#]|(?<!\\.\\.)\\.\\s*)(?:${names.join('|')})(?![\\w$])`,
    'g',
  );
  return [...code.matchAll(pattern)]
    .filter(({ index, 0: name }) => {
      const isKey = /^\s*\??:/.test(code.slice(index + name.length));
      return !isKey || code.slice(0, index).trimEnd().endsWith('?');
    })
    .map(({ index, 0: name }) => ({ at: index, name }));
}
