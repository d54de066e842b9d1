/**
 * `postern up`: be a member of the network, and log in where that takes it.
 *
 *     exit 0   running
 *          1   it will not be, or is not yet when --timeout is over; the text says why
 *
 * What no flag names stays as it was, but with --reset. `--json` prints an object when there is a URL to be
 * visited, and one at the end: AuthURL, BackendState, or Error.
 */

import { Command, Option } from 'commander';
import { harmless } from './columns.ts';
import type { SettingsFlags } from './node-flags.ts';
import { authKeyOf, serverUrl, settingsOf, withSettings } from './node-flags.ts';
import type { NodeTerminal } from './node-verb.ts';
import { asJson, isJson, nodeSocketOf, time, withJson } from './node-verb.ts';
import { riskAccepted, withRisk } from './risk.ts';
import { waitRunning } from './wait-running.ts';

export interface LoginFlags {
  readonly loginServer?: string;
  readonly authKey?: string;
  readonly timeout?: number;
  readonly qr?: boolean;
}

interface Flags extends SettingsFlags, LoginFlags {
  readonly forceReauth?: boolean;
  readonly reset?: boolean;
}

/** Of `up` and `login`. */
export const withLogin = (command: Command): Command =>
  command
    .option('--login-server <url>', 'coordination server of the network', serverUrl)
    .addOption(
      new Option('--auth-key <key>', 'key that lets this machine in, or file:PATH to it').env(
        'POSTERN_AUTH_KEY',
      ),
    )
    .option('--timeout <time>', 'wait this long at most: 30s (default: as long as it takes)', time)
    .option('--qr', 'show a QR code of the URL to visit (default: at a terminal)')
    .option('--no-qr', 'show the URL alone');

export function upCommand(terminal: NodeTerminal): Command {
  const up = withJson(new Command('up').description('join the network, and log in where needed'));
  withRisk(withLogin(withSettings(up)))
    .option('--force-reauth', 'log in anew, even where the old login is good')
    .option('--reset', 'settings that are not named become what they were in the beginning');
  return up.action(async (flags: Flags, command: Command) => {
    const { forceReauth, reset } = flags;
    if (forceReauth && !(await riskAccepted(terminal, command))) return;
    const request = {
      ...settingsOf(flags),
      ...loginOf(flags),
      ...(forceReauth && { forceReauth }),
      ...(reset && { reset }),
    };
    await untilRunning(terminal, command, flags, () =>
      terminal.ask(nodeSocketOf(command), 'up', request),
    );
  });
}

export const loginOf = ({
  loginServer,
  authKey,
}: LoginFlags): Pick<LoginFlags, 'loginServer' | 'authKey'> => ({
  ...(loginServer !== undefined && { loginServer }),
  ...(authKey !== undefined && { authKey: authKeyOf(authKey) }),
});

/** Says the wish, waits until it has come true, and says who this machine is now. */
export async function untilRunning(
  terminal: NodeTerminal,
  command: Command,
  { timeout = 0, qr }: LoginFlags,
  wish: () => Promise<unknown>,
): Promise<void> {
  const socket = nodeSocketOf(command);
  const json = isJson(command);
  try {
    await wish();
    await waitRunning(terminal, { socket, timeoutMillis: timeout, qr, json });
    const { name, addresses } = await terminal.ask(socket, 'ip', {});
    if (json) terminal.out(asJson({ BackendState: 'Running' }));
    else terminal.err(`running as ${harmless(name)} (${addresses.join(', ')})\n`);
  } catch (error) {
    if (json) terminal.out(asJson({ Error: (error as Error).message }));
    throw error;
  }
}
