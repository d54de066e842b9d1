/**
 * `POST /ts2021`: from an HTTP request to a session. What the client gets back leaves in one write:
 *
 *     101 | response of the handshake 51 | records: early payload        then HTTP/2, when the client has begun it
 *
 * A version below the floor is let in as well: its register is answered with words for its user, which nothing
 * at this point of the protocol could do (a refused handshake is a line in the client's log, tried again for ever).
 *
 * Source: reference/protocol.md 1.2, 1.4, 1.5.
 */

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { concat, fromBase64 } from '../../base/bytes.ts';
import type { Env } from '../../base/env.ts';
import type { OwnKey } from '../../crypto/x25519.ts';
import { takeOwnKey } from '../../crypto/x25519.ts';
import { writeEarlyPayload } from '../../protocol/tailcfg/early-payload.ts';
import type { ChallengePublic } from '../../protocol/tailcfg/keys.ts';
import { createResponse, INITIATION_BYTES, openInitiation } from '../../protocol/tailcfg/ts2021.ts';
import type { RateLimit } from './rate-limit.ts';
import type { Remote } from './remote.ts';
import type { SessionStart } from './session.ts';
import type { Sessions } from './sessions.ts';
import type { Refusal, Tally } from './tally.ts';

export interface UpgradeHost {
  readonly env: Env;
  readonly machineKey: OwnKey;
  readonly sessions: Sessions;
  readonly handshakes: RateLimit;
  readonly tally: Tally;
}

const PROTOCOL = 'tailscale-control-protocol';
const SWITCHING = new TextEncoder().encode(
  `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${PROTOCOL}\r\nConnection: upgrade\r\n\r\n`,
);
/** Older clients take anything before HTTP/2 for HTTP/2. */
const EARLY_PAYLOAD_SINCE = 49;

/** What the client is told instead of 101. */
interface No {
  readonly status: string;
  readonly reason: Refusal;
}

/** @param head what came behind the request */
export function upgrade(
  host: UpgradeHost,
  request: IncomingMessage,
  socket: Socket,
  head: Uint8Array,
  remote: Remote,
): void {
  const shaken = shakeHands(host, request, remote);
  if ('reason' in shaken) {
    end(host, socket, remote, shaken);
    return;
  }
  const { channel, message, machine, version } = shaken;
  const session = host.sessions.open({ socket, channel, machine, version, remote });
  if (session === undefined) {
    const reason = 'ts2021: too many sessions';
    end(host, socket, remote, { status: '503 Service Unavailable', reason });
    return;
  }
  const early =
    version < EARLY_PAYLOAD_SINCE
      ? new Uint8Array(0)
      : channel.sealer.seal(writeEarlyPayload(challenge(host.env)));
  socket.write(concat(SWITCHING, message, early));
  session.start(head);
}

interface Shaken extends Pick<SessionStart, 'channel' | 'machine' | 'version'> {
  /** The response. */
  readonly message: Uint8Array;
}

function shakeHands(
  { env, machineKey, handshakes }: UpgradeHost,
  { headers, method }: IncomingMessage,
  { group }: Remote,
): Shaken | No {
  const wanted = headers.upgrade?.toLowerCase();
  if (wanted === 'websocket') return { status: '501 Not Implemented', reason: 'ts2021: WebSocket' };
  if (method !== 'POST') return { status: '405 Method Not Allowed', reason: 'front: wrong method' };
  const bad = '400 Bad Request';
  const offered = String(headers['x-tailscale-handshake'] ?? '');
  const initiation = fromBase64(offered, INITIATION_BYTES);
  if (wanted !== PROTOCOL || initiation === undefined)
    return { status: bad, reason: 'ts2021: no handshake' };
  if (handshakes.take(group, env.now()) > 0)
    return { status: '503 Service Unavailable', reason: 'ts2021: too often' };
  const opened = openInitiation(machineKey, initiation);
  if (typeof opened === 'string') return { status: bad, reason: opened };
  const { machine, version } = opened;
  const answer = createResponse(opened, env.random(32));
  return typeof answer === 'string'
    ? { status: bad, reason: answer }
    : { ...answer, machine, version };
}

function end({ tally }: UpgradeHost, socket: Socket, remote: Remote, { status, reason }: No): void {
  tally.refuse(reason, { from: remote.text });
  const lines = [
    `HTTP/1.1 ${status}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${reason.length + 1}`,
    'Connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${reason}\n`, () => socket.destroy());
}

/** Nobody answers it today; its private half is not kept. */
const challenge = (env: Env): ChallengePublic =>
  takeOwnKey(env.random(32)).publicKey as ChallengePublic;
