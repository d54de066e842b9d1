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
import type { AskControl } from '../protocol/localapi/control.ts';
import type { InterfaceReport } from '../protocol/localapi/status.ts';
import { auditCommand } from './audit.ts';
import type { ControlOptions } from './control.ts';
import { controlCommand } from './control.ts';
import { dnsCommand } from './dns.ts';
import { healthCommand } from './health.ts';
import { keysCommand } from './keys.ts';
import { nodesCommand } from './nodes.ts';
import { relayCommand } from './relay.ts';
import { routesCommand } from './routes.ts';
import { statusCommand } from './status.ts';
import { usersCommand } from './users.ts';
import type { VersionFacts } from './version.ts';
import { versionCommand } from './version.ts';
import type { WireguardOptions } from './wireguard.ts';
import { wireguardCommand } from './wireguard.ts';

export interface Actions {
  wireguard(options: WireguardOptions): Promise<void>;
  /** Of one interface, or of all. */
  status(name: string | undefined): Promise<readonly InterfaceReport[]>;
  version(): VersionFacts;
  control(options: ControlOptions): Promise<void>;
  /** Of the coordination server. */
  readonly ask: AskControl;
}

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Show stacks. */
  readonly debug: boolean;
  /** Asks the person a question that yes or no answers; absent where no person is there. */
  readonly confirm?: ((question: string) => Promise<boolean>) | undefined;
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
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('Run with --help to see what is possible.');
  let code = 0;
  const exit = (wanted: number): void => {
    code = wanted;
  };
  const { out, err, confirm } = terminal;
  const control = { ask: actions.ask, out, err, confirm };
  for (const verb of [
    wireguardCommand(actions.wireguard),
    statusCommand(actions.status, terminal.out, exit),
    controlCommand(actions.control),
    usersCommand(control),
    keysCommand(control),
    nodesCommand(control),
    routesCommand(control),
    dnsCommand(control),
    relayCommand(control),
    auditCommand(control),
    healthCommand(control, exit),
    versionCommand(actions.version, terminal.out),
  ])
    program.addCommand(inheriting(verb, program));
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

/** A verb, and the words below it, that fail and speak like the program. */
function inheriting(verb: Command, from: Command): Command {
  verb.copyInheritedSettings(from);
  for (const word of verb.commands) inheriting(word, verb);
  return verb;
}

/** What a failed verb prints. */
export function describe(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return `postern: ${String(error)}\n`;
  const expected =
    error instanceof ConfigError || error instanceof NetError || error instanceof DeniedError;
  const text = expected ? error.message : `${error.name}: ${error.message}`;
  return debug || !expected ? `postern: ${text}\n${error.stack}\n` : `postern: ${text}\n`;
}
