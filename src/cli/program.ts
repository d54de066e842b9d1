/**
 * The command line: `postern VERB ...`, one file a verb.
 *
 *     exit 0   done            1   failed, and the text says what to do        2   not understood
 *          3   done, and what was asked about is not well (status.ts)
 *
 * Data goes to standard output, everything said to a person to standard error. A stack is shown for a
 * contradiction in the program itself (BugError, and whatever is no error of ours), or with POSTERN_LOG=debug.
 */

import { basename } from 'node:path';
import { Command, CommanderError } from 'commander';
import { ConfigError, DeniedError, NetError } from '../base/errors.ts';
import type { InterfaceReport } from '../protocol/localapi/status.ts';
import { statusCommand } from './status.ts';
import type { VersionFacts } from './version.ts';
import { versionCommand } from './version.ts';
import type { WireguardOptions } from './wireguard.ts';
import { wireguardCommand } from './wireguard.ts';

export interface Actions {
  wireguard(options: WireguardOptions): Promise<void>;
  /** Of one interface, or of all. */
  status(name: string | undefined): Promise<readonly InterfaceReport[]>;
  version(): VersionFacts;
}

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Show stacks. */
  readonly debug: boolean;
}

/**
 * Runs one verb.
 *
 * @param calledAs the name by which the program was called, with or without folders
 * @param args what follows it
 * @returns the exit code
 */
export async function runProgram(
  calledAs: string,
  args: readonly string[],
  actions: Actions,
  terminal: Terminal,
): Promise<number> {
  const program = new Command('postern')
    .description('a private back gate to a LAN')
    .exitOverride()
    .configureOutput({
      writeOut: terminal.out,
      writeErr: terminal.err,
      outputError: (text, write) => write(text.replace(/^error: /, 'postern: ')),
    })
    .showHelpAfterError('Run with --help to see what is possible.');
  let code = 0;
  const exit = (wanted: number): void => {
    code = wanted;
  };
  for (const verb of [
    wireguardCommand(actions.wireguard),
    statusCommand(actions.status, terminal.out, exit),
    versionCommand(actions.version, terminal.out),
  ])
    program.addCommand(verb.copyInheritedSettings(program));
  const words = basename(calledAs) === 'postern-wireguard' ? ['wireguard', ...args] : args;
  try {
    await program.parseAsync(words, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    terminal.err(describe(error, terminal.debug));
    return 1;
  }
}

/** What a failed verb prints. */
export function describe(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return `postern: ${String(error)}\n`;
  const expected =
    error instanceof ConfigError || error instanceof NetError || error instanceof DeniedError;
  const text = expected ? error.message : `${error.name}: ${error.message}`;
  return debug || !expected ? `postern: ${text}\n${error.stack}\n` : `postern: ${text}\n`;
}
