/**
 * Requests beside the map: what is shared of the LAN, and goodbye.
 *
 * Source: protocol/tailcfg/lan.ts; reference/protocol.md 2.
 */

import { DeniedError, NetError } from '../../base/errors.ts';
import { millis } from '../../base/time.ts';
import type { NodeKeyText } from '../../protocol/tailcfg/keys.ts';
import type { AllottedDevice, LanReport, ReportedDevice } from '../../protocol/tailcfg/lan.ts';
import { readLanAnswer } from '../../protocol/tailcfg/lan.ts';
import { printable } from './connect.ts';
import type { ControlClient } from './control-client.ts';
import { within } from './deadline.ts';
import type { SessionPorts } from './ports.ts';
import type { Registration } from './register.ts';
import { register } from './register.ts';

const GOODBYE = millis(5000);

/** @throws NetError to try again; DeniedError where the server will not have it */
export async function reportDevices(
  client: ControlClient,
  nodeKey: NodeKeyText,
  devices: readonly ReportedDevice[],
  signal: AbortSignal,
): Promise<readonly AllottedDevice[]> {
  const body: LanReport = { nodeKey, devices };
  const reply = await client.ask({ method: 'PUT', path: '/machine/lan', body }, signal);
  const { status } = reply;
  if (status === 404 || status === 405 || status === 501)
    throw new DeniedError('this server gives no addresses to LAN devices; share a route instead');
  if (status === 429 || status >= 500) throw new NetError(`control: lan: ${status}`);
  if (status !== 200) throw new DeniedError(errorIn(reply.body) ?? `control: lan: ${status}`);
  const read = readLanAnswer(reply.body);
  if ('reason' in read) throw new DeniedError(`control: lan: ${read.reason}, ${read.detail}`);
  return read.value.devices;
}

/** Tells the server, where it can be reached; it is a goodbye in any case. */
export async function logOut(
  { env }: Pick<SessionPorts, 'env'>,
  connect: (signal: AbortSignal) => Promise<ControlClient>,
  registration: Registration,
): Promise<boolean> {
  const never = new AbortController().signal;
  try {
    return await within(env, GOODBYE, 'control: logout', never, async (signal) => {
      const client = await connect(signal);
      try {
        await register(client, { ...registration, logOut: true }, signal);
        return true;
      } finally {
        client.close();
      }
    });
  } catch (error) {
    env.log.warn('session: the server was not told of the logout', {
      error: (error as Error).message,
    });
    return false;
  }
}

function errorIn(body: Uint8Array): string | undefined {
  try {
    const { Error: text } = JSON.parse(printable(body)) as { Error?: unknown };
    return typeof text === 'string' ? text.slice(0, 1024) : undefined;
  } catch {
    return undefined;
  }
}
