/**
 * The command line: `postern VERB ...`, one file a verb.
 *
 *     exit 0   done            1   failed, and the text says what to do        2   not understood
 *          3   done, and what was asked about is not well (status.ts)
 *
 * Data goes to standard output, everything said to a person to standard error. A stack is shown for a
 * contradiction in the program itself (BugError, and whatever is no error of ours), or with POSTERN_LOG=debug.
 */

import { basename, resolve } from 'node:path';
import { Command, CommanderError } from 'commander';
import { ConfigError, DeniedError, NetError } from '../base/errors.ts';
import type { AskControl } from '../protocol/localapi/control.ts';
import type { AskNode, WatchNode } from '../protocol/localapi/node.ts';
import type { InterfaceReport } from '../protocol/localapi/status.ts';
import { auditCommand } from './audit.ts';
import { bugreportCommand } from './bugreport.ts';
import type { ControlOptions } from './control.ts';
import { controlCommand } from './control.ts';
import { debugCommand } from './debug.ts';
import { dnsCommand } from './dns.ts';
import { downCommand } from './down.ts';
import { withoutGoFlags } from './go-flags.ts';
import { healthCommand } from './health.ts';
import { ipCommand } from './ip.ts';
import { keyCommand } from './key.ts';
import { keysCommand } from './keys.ts';
import { lanCommand } from './lan.ts';
import { loginCommand } from './login.ts';
import { logoutCommand } from './logout.ts';
import { netcheckCommand } from './netcheck.ts';
import type { NodeOptions } from './node.ts';
import { nodeCommand } from './node.ts';
import type { NodeTerminal } from './node-verb.ts';
import { nodesCommand } from './nodes.ts';
import { pingCommand } from './ping.ts';
import type { Modules } from './qr.ts';
import { relayCommand } from './relay.ts';
import { routesCommand } from './routes.ts';
import { setCommand } from './set.ts';
import { statusCommand } from './status.ts';
import { upCommand } from './up.ts';
import { usersCommand } from './users.ts';
import type { VersionFacts } from './version.ts';
import { versionCommand } from './version.ts';
import { whoisCommand } from './whois.ts';
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
  node(options: NodeOptions): Promise<void>;
  readonly askNode: AskNode;
  readonly watchNode: WatchNode;
  /** The modules of a QR code. */
  qr(text: string): Modules;
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
    .showHelpAfterError('Run with --help to see what is possible.')
    .option('--socket <path>', 'of the node or the control server that is asked', absolute)
    // Behind a verb it is the verb's own.
    .enablePositionalOptions();
  let code = 0;
  const exit = (wanted: number): void => {
    code = wanted;
  };
  for (const verb of verbs(actions, terminal, exit)) program.addCommand(inheriting(verb, program));
  const words =
    basename(calledAs) === 'postern-wireguard' ? ['wireguard', ...args] : withoutGoFlags(args);
  try {
    await program.parseAsync(words, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    terminal.err(describe(error, terminal.debug));
    return 1;
  }
}

/** In the order in which help shows them: the node's, the coordination server's, the others. */
function verbs(
  actions: Actions,
  { out, err, confirm }: Terminal,
  exit: (code: number) => void,
): readonly Command[] {
  const control = { ask: actions.ask, out, err, confirm };
  const { askNode: ask, watchNode: watch, qr } = actions;
  const node: NodeTerminal = { ask, watch, qr, out, err, confirm, exit };
  return [
    upCommand(node),
    downCommand(node),
    setCommand(node),
    loginCommand(node),
    logoutCommand(node),
    statusCommand(actions.status, node),
    ipCommand(node),
    pingCommand(node),
    whoisCommand(node),
    netcheckCommand(node),
    lanCommand(node),
    keyCommand(node),
    debugCommand(node),
    bugreportCommand(node),
    nodeCommand(actions.node),
    controlCommand(actions.control),
    usersCommand(control),
    keysCommand(control),
    nodesCommand(control),
    routesCommand(control),
    dnsCommand(control, node),
    relayCommand(control),
    auditCommand(control),
    healthCommand(control, exit),
    wireguardCommand(actions.wireguard),
    versionCommand(actions.version, out),
  ];
}

/** A verb, and the words below it, that fail and speak like the program. */
function inheriting(verb: Command, from: Command): Command {
  verb.copyInheritedSettings(from).enablePositionalOptions(false);
  for (const word of verb.commands) inheriting(word, verb);
  return verb;
}

const absolute = (path: string): string => resolve(path);

/** What a failed verb prints. */
export function describe(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return `postern: ${String(error)}\n`;
  const expected =
    error instanceof ConfigError || error instanceof NetError || error instanceof DeniedError;
  const text = expected ? error.message : `${error.name}: ${error.message}`;
  return debug || !expected ? `postern: ${text}\n${error.stack}\n` : `postern: ${text}\n`;
}
