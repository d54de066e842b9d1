/**
 * What each change is made of. A change is a function
 *
 *     (model, request, context) -> done { model, events, audit, result } | refused { code, reason }
 *
 * and nothing else decides: not the handler that calls it, not the store that saves it. The context has all
 * that the world adds: who asks, the time, and chance as bytes. A refusal changes nothing.
 */

import type { UnixMillis } from '../../base/time.ts';
import { unixMillis } from '../../base/time.ts';
import type { Model, NodeId, UserId } from './model.ts';
import type { AccessPolicy } from './visibility.ts';

/** Who makes a change. */
export interface Actor {
  /** A member of the server's staff, a node by its own request, or the server by itself. */
  readonly kind: 'user' | 'node' | 'server';
  /** A login, `uid 1000` on the socket, or a node's name. */
  readonly name: string;
  /** An address or `control.sock`. */
  readonly from: string;
}

export interface Context {
  readonly now: UnixMillis;
  /** False: the clock was never set, or has jumped. Then nothing is granted because it has not yet expired. */
  readonly clockTrusted: boolean;
  readonly by: Actor;
  /** RANDOM_BYTES unpredictable ones, new for each change. */
  readonly random: Uint8Array;
  readonly policy: AccessPolicy;
}

export const RANDOM_BYTES = 64;

/** What others must look at again. The facts are in the model; an event only says where. */
export type RegistryEvent =
  | { readonly type: 'node added' | 'node changed' | 'node removed'; readonly node: NodeId }
  /** LAN devices of this node. */
  | { readonly type: 'devices changed'; readonly node: NodeId }
  | { readonly type: 'user changed' | 'user removed'; readonly user: UserId }
  | { readonly type: 'approval opened' | 'approval settled'; readonly approval: string }
  | { readonly type: 'keys changed' | 'dns changed' };

/** One line of the log that lasts. Never holds a secret. */
export interface AuditRecord {
  readonly at: UnixMillis;
  readonly by: Actor;
  /** `nodes.rename` */
  readonly action: string;
  /** `node 3 (nas)` */
  readonly target: string;
  readonly before: unknown;
  readonly after: unknown;
}

export type RefusalCode =
  /** The request makes no sense in itself. */
  | 'bad request'
  | 'not found'
  /** The name, login or key is another's. */
  | 'taken'
  /** The asker has no right to it. */
  | 'denied'
  /** A limit is reached. */
  | 'full'
  /** It would be decided by a clock that nobody trusts. */
  | 'clock';

export interface Refused {
  readonly ok: false;
  readonly code: RefusalCode;
  /** For a person. */
  readonly reason: string;
}

export interface Done<R> {
  readonly ok: true;
  readonly model: Model;
  readonly events: readonly RegistryEvent[];
  /** null: nobody needs to know later, as for a client's restart. */
  readonly audit: AuditRecord | null;
  readonly result: R;
}

export type Outcome<R> = Done<R> | Refused;

export const refused = (code: RefusalCode, reason: string): Refused => ({
  ok: false,
  code,
  reason,
});

/** The outcome of a request that changes nothing. */
export const unchanged = <R>(model: Model, result: R): Done<R> => ({
  ok: true,
  model,
  events: [],
  audit: null,
  result,
});

/** A change that is made, with its audit record; moves the clock's floor where the clock is trusted. */
export function done<R>(
  model: Model,
  { now, clockTrusted, by }: Context,
  events: readonly RegistryEvent[],
  said: Pick<AuditRecord, 'action' | 'target' | 'before' | 'after'>,
  result: R,
): Done<R> {
  const { counters } = model;
  const latest = clockTrusted ? unixMillis(Math.max(counters.latest, now)) : counters.latest;
  return {
    ok: true,
    model: { ...model, counters: { ...counters, latest } },
    events,
    audit: { at: now, by, ...said },
    result,
  };
}
