/**
 * `POST /machine/register` from a node's side: one request, and what its answer means.
 *
 *     200   Error                    refused: its words, as they are
 *           NodeKeySignature, NodeKeyExpired    the key is of no use: another one is to be tried, once
 *           AuthURL                  a person must look at it; the same again with Followup waits for him
 *           none of these            member
 *     429   Retry-After              later
 *
 * Source: reference/protocol.md 2.
 */

import { NetError } from '../../base/errors.ts';
import type { Millis } from '../../base/time.ts';
import { millis } from '../../base/time.ts';
import { OWN_CAPABILITY } from '../../protocol/tailcfg/capver.ts';
import type { NodeKeyText } from '../../protocol/tailcfg/keys.ts';
import { NO_NODE_KEY } from '../../protocol/tailcfg/keys.ts';
import { UNSET_TIME } from '../../protocol/tailcfg/time.ts';
import type { Hostinfo, RegisterRequest, RegisterResponse } from '../../protocol/tailcfg/types.ts';
import { readRegisterResponse } from '../../protocol/tailcfg/validate.ts';
import { printable } from './connect.ts';
import type { ControlClient, Reply } from './control-client.ts';

export interface Registration {
  readonly nodeKey: NodeKeyText;
  readonly oldNodeKey?: NodeKeyText | undefined;
  readonly authKey?: string | undefined;
  readonly followup?: string;
  readonly hostinfo: Hostinfo;
  readonly ephemeral: boolean;
  readonly logOut?: boolean;
  /** The key is for the login that the old one has. */
  readonly rotate?: boolean;
}

export type Registered =
  | { readonly type: 'member'; readonly response: RegisterResponse }
  | { readonly type: 'url'; readonly url: string }
  | { readonly type: 'key expired' }
  | { readonly type: 'refused'; readonly text: string }
  | { readonly type: 'later'; readonly text: string; readonly wait: Millis };

/** What a stock client sends as the time of its logout. */
const LONG_AGO = '1970-01-01T00:02:03Z';
/** A server that says "later" and not when. */
const SOME_TIME = millis(30_000);
const LONGEST_WAIT = millis(3_600_000);
const FOLLOWUP_PATH = '/machine/register';

/** @throws NetError where no answer comes that can be understood */
export async function register(
  client: ControlClient,
  registration: Registration,
  signal: AbortSignal,
): Promise<Registered> {
  const { followup } = registration;
  const reply = await client.ask(
    {
      method: 'POST',
      path: FOLLOWUP_PATH,
      body: requestOf(registration),
      // A follow-up waits for a person, who may be asleep; the connection's own watch ends a dead one.
      ...(followup !== undefined && { patience: null }),
    },
    signal,
  );
  return meaningOf(reply);
}

function requestOf(registration: Registration): RegisterRequest {
  const { nodeKey, oldNodeKey, authKey, followup, hostinfo, ephemeral, logOut } = registration;
  return {
    Version: OWN_CAPABILITY,
    NodeKey: nodeKey,
    OldNodeKey: oldNodeKey ?? NO_NODE_KEY,
    ...(authKey !== undefined && authKey !== '' && { Auth: { AuthKey: authKey } }),
    Expiry: logOut === true ? LONG_AGO : UNSET_TIME,
    Followup: followup ?? '',
    Hostinfo: hostinfo,
    ...(ephemeral && { Ephemeral: true }),
    ...(registration.rotate === true && { RotateNodeKey: true }),
  };
}

export function meaningOf({ status, headers, body }: Reply): Registered {
  const text = printable(body.subarray(0, 1024));
  if (status === 429)
    return { type: 'later', text: errorIn(body) ?? text, wait: retryAfter(headers['retry-after']) };
  if (status !== 200) throw new NetError(`control: register: ${status} ${text}`.trim());
  const read = readRegisterResponse(body);
  if ('reason' in read) throw new NetError(`control: register: ${read.reason}, ${read.detail}`);
  const response = read.value;
  if (response.Error) return { type: 'refused', text: response.Error };
  if (response.NodeKeyExpired || response.NodeKeySignature) return { type: 'key expired' };
  if (response.AuthURL !== '') return { type: 'url', url: response.AuthURL };
  return { type: 'member', response };
}

function errorIn(body: Uint8Array): string | undefined {
  try {
    const { Error: text } = JSON.parse(new TextDecoder().decode(body)) as { Error?: unknown };
    return typeof text === 'string' ? text.slice(0, 1024) : undefined;
  } catch {
    return undefined;
  }
}

function retryAfter(header: string | undefined): Millis {
  const seconds = Number(header);
  if (!/^\d{1,9}$/.test(header ?? '')) return SOME_TIME;
  return millis(Math.min(LONGEST_WAIT, Math.max(1000, seconds * 1000)));
}
