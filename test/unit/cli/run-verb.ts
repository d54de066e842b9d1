/** One verb of the node, run in this process against an API on a socket. */

import { askNode, watchNode } from '../../../src/cli/ask-node.ts';
import type { Actions, Terminal } from '../../../src/cli/program.ts';
import { runProgram } from '../../../src/cli/program.ts';
import type { Modules } from '../../../src/cli/qr.ts';
import type { Served } from '../node-api/fake-node.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export const QR: Modules = [
  [true, false, true],
  [false, true, true],
  [true, true, false],
];

/** @param more what a test wants otherwise; `said` grows while the verb runs */
export function start(
  words: readonly string[],
  more: Partial<Actions & Terminal> = {},
): { readonly said: { out: string; err: string }; readonly ended: Promise<Ran> } {
  const said = { out: '', err: '' };
  const unasked = (): never => {
    throw new Error('not asked for');
  };
  const actions: Actions = {
    ask: unasked,
    status: async () => [],
    wireguard: unasked,
    control: unasked,
    version: unasked,
    node: unasked,
    askNode,
    watchNode,
    qr: () => QR,
    ...more,
  };
  const ended = runProgram('postern', words, actions, {
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
    debug: false,
    confirm: more.confirm,
  });
  return { said, ended: ended.then((code) => ({ code, ...said })) };
}

/** A line of words, against the API of `served`. */
export const postern = (
  { path }: Served,
  line: string,
  more?: Partial<Actions & Terminal>,
): Promise<Ran> => start(['--socket', path, ...line.split(' ')], more).ended;

export const turn = (): Promise<void> => new Promise((done) => setImmediate(done));
