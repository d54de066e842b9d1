/**
 * What the verbs that talk to the coordination server have in common: where its socket is, `--json`, and a
 * question before something is gone.
 *
 *     --json         the answer as protocol/localapi has it, on standard output
 *     otherwise      data on standard output, everything said to a person on standard error
 *     --yes          do not ask; nobody is asked either where there is no terminal
 */

import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import type { Answers, AskControl } from '../protocol/localapi/control.ts';
import { CONTROL_SOCKET, CONTROL_SOCKET_VARIABLE } from '../protocol/localapi/control.ts';
import type { Requests } from '../protocol/localapi/control-requests.ts';
import type { Action } from '../protocol/localapi/control-rights.ts';

/** What a verb needs of the program. */
export interface ControlTerminal {
  readonly ask: AskControl;
  out(text: string): void;
  err(text: string): void;
  /** Asks the person at the terminal; absent where there is none. */
  readonly confirm?: ((question: string) => Promise<boolean>) | undefined;
}

interface Flags {
  readonly socket: string;
  readonly json?: boolean;
  readonly yes?: boolean;
}

/** The options of every verb of these; they may stand behind its words too. */
export const withSocket = (command: Command): Command =>
  command
    .addOption(
      new Option('--socket <path>', 'socket of the control server')
        .env(CONTROL_SOCKET_VARIABLE)
        .default(CONTROL_SOCKET),
    )
    .option('--json', 'the answer as JSON');

/** Asks, and prints the answer: as JSON where that is wanted, else as `show` writes it. */
export async function tell<A extends Action>(
  { ask, out }: ControlTerminal,
  command: Command,
  action: A,
  request: Requests[A],
  show: (answer: Answers[A], now: number) => void,
): Promise<void> {
  const { socket, json } = command.optsWithGlobals<Flags>();
  const answer = await ask(socket, action, request);
  if (json) out(`${JSON.stringify(answer, null, 2)}\n`);
  else show(answer, Date.now());
}

/** Whether to go on; what was given up is said. */
export async function confirmed(
  { confirm, err }: ControlTerminal,
  command: Command,
  question: string,
): Promise<boolean> {
  if (confirm === undefined || command.optsWithGlobals<Flags>().yes) return true;
  if (await confirm(question)) return true;
  err('nothing was changed\n');
  return false;
}

/** `a,b`; the word `none` for an empty list. */
export function commaList(text: string): readonly string[] {
  if (text === 'none') return [];
  const parts = text.split(',').map((part) => part.trim());
  if (parts.every((part) => part !== '')) return parts;
  throw new InvalidArgumentError('Wanted words with commas between them, or none.');
}

/** `tag:a,tag:b` */
export function tagList(text: string): readonly string[] {
  const tags = commaList(text);
  const bad = tags.find((tag) => !tag.startsWith('tag:'));
  if (bad === undefined && tags.length > 0) return tags;
  throw new InvalidArgumentError(
    `Wanted tags like tag:a,tag:b${bad === undefined ? '' : `, found '${bad}'`}.`,
  );
}
