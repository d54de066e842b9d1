/**
 * `POST /machine/register`: a machine asks to become, stay or no longer be a member.
 *
 *     body ──> registry (register.ts, enroll.ts) ──> member           User, Login
 *                  ^                             ├─> logged out       NodeKeyExpired
 *                  │                             ├─> login needed     AuthURL = control URL /register/ id
 *                  └──settled── follow-ups <─────┴─> wait
 *
 * The answer is 200 with JSON whenever we have one: a stock client shows its user `Error` and nothing else that
 * went wrong. Where waiting would help it is 429 with Retry-After for those that understand it. One that is too
 * old gets its session, so that its user can be told.
 *
 * Requests of one machine are reduced in their order (store/ledger.ts), and none holds the others while it waits.
 *
 * Source: reference/protocol.md 2.
 */

import { NetError } from '../../base/errors.ts';
import { isServed, RETRY_AFTER_SINCE, tooOld } from '../../protocol/tailcfg/capver.ts';
import type { RegisterResponse } from '../../protocol/tailcfg/types.ts';
import { readRegisterRequest, registerFault } from '../../protocol/tailcfg/validate.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import { TAGGED_USER } from '../map/wire-node.ts';
import type { Outcome, Refused } from '../registry/change.ts';
import type { Registered } from '../registry/enroll.ts';
import { register } from '../registry/enroll.ts';
import { registrationOf } from '../registry/from-wire.ts';
import type { MeshNode, Model } from '../registry/model.ts';
import type { Registration } from '../registry/register.ts';
import type { Exchange } from './exchange.ts';
import type { Followups } from './followups.ts';
import { actor, nodeOf } from './members.ts';
import type { Session } from './session.ts';
import type { Tally } from './tally.ts';

export interface RegisterHost {
  readonly coordinator: Coordinator;
  readonly followups: Followups;
  readonly tally: Tally;
  controlUrl(): string;
  /** The machine may have become a member. */
  proved(session: Session): void;
  /** Takes one of the logins that an address may open. @returns 0, or in how many seconds there is one again */
  mayOpenLogin(session: Session): number;
}

/** Who a tagged node's user is, as in maps. */
const TAGGED = { id: TAGGED_USER, login: 'tagged-devices', displayName: 'Tagged Devices' } as const;

const NOBODY = { id: 0, login: '', displayName: '' } as const;
const PROVIDER = 'postern';
const CLOCK_RETRY_SECONDS = 60;

export async function handleRegister(host: RegisterHost, exchange: Exchange): Promise<void> {
  const body = await exchange.body();
  if (body === undefined) return;
  const { session } = exchange;
  if (!isServed(session.version)) return sayTooOld(exchange, session.version);
  const read = readRegisterRequest(body);
  if ('reason' in read) {
    exchange.refuse(read.reason, 400, { detail: read.detail });
    return;
  }
  if (!isServed(read.value.Version)) return sayTooOld(exchange, read.value.Version);
  const request = registrationOf(read.value, session.machine, session.remote.text);
  const { network } = host.coordinator;
  const isKnown = nodeOf(network, session.machine, request.nodeKey) !== undefined;
  if (request.authKey === '' && request.followup === null && !isKnown) {
    const seconds = host.mayOpenLogin(session);
    if (seconds > 0) {
      exchange.session.refused('register: too often');
      return sayLater(exchange, seconds, 'too many logins are asked for; try again later');
    }
  }
  await settle(host, exchange, request);
}

/** Asks the registry, and again whenever the approval that it waits for is settled. */
async function settle(
  host: RegisterHost,
  exchange: Exchange,
  request: Registration,
): Promise<void> {
  for (;;) {
    const outcome = await asked(host, exchange, request);
    if (outcome === undefined) return;
    if (!outcome.ok) return sayRefused(exchange, outcome);
    const { result, events } = outcome;
    switch (result.type) {
      case 'member':
        host.proved(exchange.session);
        host.tally.count('register: member');
        return say(exchange, memberResponse(host.coordinator.network.model, result.node));
      case 'logged out':
        if (events.length > 0) host.tally.count('register: logged out');
        return say(exchange, { ...response(NOBODY), NodeKeyExpired: true });
      case 'login needed': {
        host.tally.count('register: login needed');
        const AuthURL = `${host.controlUrl()}/register/${result.approval}`;
        return say(exchange, { ...response(NOBODY), AuthURL });
      }
      case 'wait': {
        const { session, stream } = exchange;
        const end = await host.followups.wait(result.approval, (end) => {
          stream.on('close', () => end('gone'));
          session.longPoll(stream, () => end('leaving'));
        });
        if (end === 'gone' || exchange.isOver) return;
        if (end === 'leaving') return exchange.json(503, { Error: 'the server is starting again' });
      }
    }
  }
}

/** Undefined: it has been answered. */
async function asked(
  { coordinator }: RegisterHost,
  exchange: Exchange,
  request: Registration,
): Promise<Outcome<Registered> | undefined> {
  const by = actor(exchange.session, request.hostname || request.machine);
  try {
    return await coordinator.change(by, (model, context) => register(model, request, context));
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    exchange.refuse('request: store failed', 503, { text: error.message });
    return undefined;
  }
}

function sayRefused(exchange: Exchange, { code, reason }: Refused): void {
  exchange.session.refused('register: refused', { code });
  if (code === 'clock') sayLater(exchange, CLOCK_RETRY_SECONDS, reason);
  else say(exchange, { ...response(NOBODY), Error: reason });
}

function sayLater(exchange: Exchange, seconds: number, text: string): void {
  if (exchange.session.version >= RETRY_AFTER_SINCE)
    exchange.json(429, { Error: text }, { 'retry-after': String(seconds) });
  else say(exchange, { ...response(NOBODY), Error: text });
}

function sayTooOld(exchange: Exchange, version: number): void {
  exchange.session.refused('request: client too old');
  say(exchange, { ...response(NOBODY), Error: tooOld(version) });
}

function say(exchange: Exchange, answer: RegisterResponse): void {
  const fault = registerFault(answer);
  if (fault === undefined) exchange.json(200, answer);
  else exchange.refuse('request: our fault', 500, { detail: fault });
}

function memberResponse(model: Model, { user }: MeshNode): RegisterResponse {
  const known = user === null ? undefined : model.users.get(user);
  return { ...response(known ?? TAGGED), MachineAuthorized: true };
}

function response(who: {
  readonly id: number;
  readonly login: string;
  readonly displayName: string;
}): RegisterResponse {
  const { id, login, displayName } = who;
  return {
    User: { ID: id, DisplayName: displayName },
    Login: { ID: id, Provider: PROVIDER, LoginName: login, DisplayName: displayName },
    NodeKeyExpired: false,
    MachineAuthorized: false,
    AuthURL: '',
  };
}
