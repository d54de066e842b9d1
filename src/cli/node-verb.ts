/**
 * What the verbs that talk to the node have in common: where its socket is, and `--json`.
 *
 *     --socket    before the verb or behind it, else POSTERN_SOCKET, else /run/postern/node.sock
 *     --json      the answer as protocol/localapi has it, on standard output
 *     otherwise   data on standard output, everything said to a person on standard error
 */

import { resolve } from 'node:path';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { AskNode, NodeAnswers, WatchNode } from '../protocol/localapi/node.ts';
import { NODE_SOCKET, NODE_SOCKET_VARIABLE } from '../protocol/localapi/node.ts';
import type { NodeRequests } from '../protocol/localapi/node-requests.ts';
import type { NodeAction } from '../protocol/localapi/node-rights.ts';
import type { Modules } from './qr.ts';

/** What a verb needs of the program. */
export interface NodeTerminal {
  readonly ask: AskNode;
  readonly watch: WatchNode;
  /** The modules of a QR code that says `text`. */
  qr(text: string): Modules;
  out(text: string): void;
  err(text: string): void;
  /** Asks the person at the terminal; absent where there is none. */
  readonly confirm?: ((question: string) => Promise<boolean>) | undefined;
  /** Called with the exit code where it is not 0. */
  exit(code: number): void;
}

const UNIT_MILLIS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

export const withNodeSocket = (command: Command): Command =>
  command.option('--socket <path>', `socket of the node (default: ${NODE_SOCKET})`);

export const withJson = (command: Command): Command =>
  withNodeSocket(command).option('--json', 'the answer as JSON');

/** Whether somebody named the socket, and did not leave it to the default. */
export const isSocketNamed = (command: Command): boolean => namedSocket(command) !== undefined;

export const nodeSocketOf = (command: Command): string =>
  resolve(namedSocket(command) ?? NODE_SOCKET);

/** A default of a verb above is that of another socket, and does not count. */
function namedSocket(command: Command): string | undefined {
  for (let one: Command | null = command; one !== null; one = one.parent)
    if (one.getOptionValueSource('socket') === 'cli') return one.getOptionValue('socket');
  // An empty one is none.
  return process.env[NODE_SOCKET_VARIABLE] || undefined;
}

/** Asks, and prints the answer: as JSON where that is wanted, else as `show` writes it. */
export async function tellNode<A extends NodeAction>(
  { ask, out }: NodeTerminal,
  command: Command,
  action: A,
  request: NodeRequests[A],
  show: (answer: NodeAnswers[A], now: number) => void,
): Promise<void> {
  const answer = await ask(nodeSocketOf(command), action, request);
  if (isJson(command)) out(asJson(answer));
  else show(answer, Date.now());
}

export const isJson = (command: Command): boolean =>
  command.optsWithGlobals<{ json?: boolean }>().json === true;

export const asJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** `500ms`, `5s`, `1m30s`, `0`: milliseconds. */
export function time(text: string): number {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)/g)];
  if (text !== '' && parts.map(([part]) => part).join('') === text)
    return Math.round(
      parts.reduce(
        (sum, [, digits, unit]) => sum + Number(digits) * (UNIT_MILLIS[unit ?? ''] ?? 0),
        0,
      ),
    );
  throw new InvalidArgumentError('Wanted a time like 500ms, 5s or 1m30s.');
}

export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Wanted a number from ${least} to ${most}.`);
  };
}
