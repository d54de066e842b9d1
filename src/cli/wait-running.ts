/**
 * Waits until the node is what a person asked for, and shows the URL where a machine is let in.
 *
 *     Running           done, unless a new login is under way beside the old one
 *     an AuthURL        is printed, with its QR code where a person is at the terminal, and waited for
 *     NeedsMachineAuth  an admin must let the machine in; that is said, and waited for
 *     LoginError        the end: nothing will come of it
 *     Stopped           the end: somebody has said `down` meanwhile
 */

import { ConfigError, NetError } from '../base/errors.ts';
import type { NodeNotice } from '../protocol/localapi/node-status.ts';
import { harmless } from './columns.ts';
import type { NodeTerminal } from './node-verb.ts';
import { asJson } from './node-verb.ts';
import { qrText } from './qr.ts';

export interface Waiting {
  readonly socket: string;
  /** 0: as long as it takes. */
  readonly timeoutMillis: number;
  /** undefined: where a person is at the terminal. */
  readonly qr: boolean | undefined;
  readonly json: boolean;
}

/**
 * @throws ConfigError where the login failed for good
 * @throws NetError where the time is over
 */
export async function waitRunning(terminal: NodeTerminal, waiting: Waiting): Promise<void> {
  const { socket, timeoutMillis } = waiting;
  let last: NodeNotice | undefined;
  const look = (notice: NodeNotice): NodeNotice | undefined => {
    const before = last;
    last = notice;
    if (isEnd(notice)) return notice;
    say(terminal, waiting, notice, before);
    return undefined;
  };
  let end: NodeNotice;
  try {
    end = await terminal.watch(socket, look, timeoutMillis === 0 ? undefined : timeoutMillis);
  } catch (error) {
    if (!(error instanceof NetError) || last === undefined) throw error;
    throw new NetError(`${error.message}; ${whyNot(last)}`, { cause: error });
  }
  if (end.LoginError !== '') throw new ConfigError(`the login failed: ${harmless(end.LoginError)}`);
  if (end.BackendState !== 'Running') throw new ConfigError('somebody has said: postern down');
}

function isEnd({ BackendState, LoginError, LoginPending, AuthURL }: NodeNotice): boolean {
  if (LoginError !== '' || BackendState === 'Stopped') return true;
  return BackendState === 'Running' && LoginPending !== true && AuthURL === '';
}

function say(
  { out, err, qr, confirm }: NodeTerminal,
  waiting: Waiting,
  { AuthURL, BackendState }: NodeNotice,
  before: NodeNotice | undefined,
): void {
  if (AuthURL !== '' && AuthURL !== before?.AuthURL) {
    if (waiting.json) out(asJson({ AuthURL, BackendState }));
    else {
      err(`\nTo let this machine in, visit:\n\n\t${harmless(AuthURL)}\n\n`);
      if (waiting.qr ?? confirm !== undefined) err(`${qrText(qr(AuthURL))}\n`);
    }
  }
  if (BackendState === 'NeedsMachineAuth' && before?.BackendState !== BackendState)
    err('this machine waits for an admin of the network to let it in\n');
}

export function whyNot({ BackendState, AuthURL, Health }: NodeNotice): string {
  switch (BackendState) {
    case 'NeedsLogin':
      return AuthURL === ''
        ? harmless(Health[0]?.text ?? 'the server has not answered yet; see: postern status')
        : `it waits for a login at ${harmless(AuthURL)}`;
    case 'NeedsMachineAuth':
      return 'it waits for an admin of the network';
    case 'NoState':
    case 'Starting':
    case 'Stopped':
    case 'Running':
      return harmless(Health[0]?.text ?? `it is ${BackendState}`);
  }
}
