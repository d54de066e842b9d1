/**
 * What a handler is: a function from who asks and what to an answer, apart from the socket it came by.
 *
 *     handler(ports, scope, request) -> the answer, or a refusal with its code
 *
 * A handler that changes something asks the coordinator for one change, whose function finds what it is about
 * in the model that it gets: a name that was read before would be of another moment.
 */

import { NetError } from '../../base/errors.ts';
import type { HealthItem } from '../../base/health.ts';
import type { Answers } from '../../protocol/localapi/control.ts';
import type { RelayStatus } from '../../protocol/localapi/control-reports.ts';
import type { Requests } from '../../protocol/localapi/control-requests.ts';
import type { Action } from '../../protocol/localapi/control-rights.ts';
import type { Answered } from '../../protocol/localapi/exchange.ts';
import { answered } from '../../protocol/localapi/exchange.ts';
import type { Network } from '../coordinator/coordinator.ts';
import type { Actor, Context, Outcome } from '../registry/change.ts';
import type { Model } from '../registry/model.ts';
import type { Scope } from './caller.ts';

/** The part of the coordinator that is needed here. */
export interface CoordinatorPort {
  readonly network: Network;
  change<R>(by: Actor, reduce: (model: Model, context: Context) => Outcome<R>): Promise<Outcome<R>>;
}

export interface AdminPorts {
  readonly coordinator: CoordinatorPort;
  /** Of the store: the newest first, only those with a smaller number than `before`. */
  readLog(
    limit: number,
    before?: number,
  ): Promise<readonly { readonly id: number; readonly at: number; readonly body: string }[]>;
  /** undefined: this server runs no relay. */
  relay(): Promise<Omit<RelayStatus, 'on'> | undefined>;
  health(): readonly HealthItem[];
  readonly version: string;
}

export type Handler<A extends Action> = (
  ports: AdminPorts,
  scope: Scope,
  request: Requests[A],
) => Promise<Answered<Answers[A]>>;

export type Handlers<A extends Action> = { readonly [One in A]: Handler<One> };

/** Makes a change, and tells the network after it. */
export async function changed<R, T>(
  { coordinator }: AdminPorts,
  { by }: Scope,
  reduce: (model: Model, context: Context) => Outcome<R>,
  tell: (network: Network, result: R) => T,
): Promise<Answered<T>> {
  try {
    const outcome = await coordinator.change(by, reduce);
    return outcome.ok ? answered(tell(coordinator.network, outcome.result)) : outcome;
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    return { ok: false, code: 'unavailable', reason: error.message };
  }
}
