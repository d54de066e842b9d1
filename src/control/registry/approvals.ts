/**
 * Logins that wait for a person. Anybody may open one, so they are few, short-lived and never written to
 * disk: one for each machine, the oldest going first where there are too many.
 *
 *     opened ──approve──> a member (enroll.ts)
 *        │└───refuse───> refused: the machine is told, until the hour is over
 *        └──an hour─────> gone: the machine asks again
 */

import { toHex } from '../../base/bytes.ts';
import { unixMillis } from '../../base/time.ts';
import type { Context, Done, Outcome } from './change.ts';
import { done, refused } from './change.ts';
import { canonicalRoutes } from './effective-routes.ts';
import type { Approval, Model } from './model.ts';
import type { Registration } from './register.ts';

export const APPROVAL_MILLIS: number = 60 * 60_000;
export const MAX_APPROVALS = 1000;
const ID_BYTES = 16;
/** As many as tags.ts allows are kept, so that what is too much is still refused at approval. */
const MAX_KEPT_TAGS = 33;

export function openApproval(
  model: Model,
  request: Registration,
  { now, random }: Context,
): Done<{ readonly type: 'login needed'; readonly approval: string }> {
  const approval: Approval = {
    id: approvalId(random),
    machine: request.machine,
    nodeKey: request.nodeKey,
    oldNodeKey: request.oldNodeKey,
    hostname: request.hostname.slice(0, 256),
    requestTags: request.requestTags.slice(0, MAX_KEPT_TAGS).map((tag) => tag.slice(0, 64)),
    announced: canonicalRoutes(request.announced),
    ephemeral: request.ephemeral,
    from: request.from,
    expires: unixMillis(now + APPROVAL_MILLIS),
    refused: false,
  };
  const approvals = outdated(model, approval, now).reduce(
    (left, { id }) => left.delete(id),
    model.approvals,
  );
  return {
    ok: true,
    model: { ...model, approvals: approvals.set(approval.id, approval) },
    events: [{ type: 'approval opened', approval: approval.id }],
    audit: null,
    result: { type: 'login needed', approval: approval.id },
  };
}

export function refuseApproval(
  model: Model,
  request: { readonly approval: string },
  context: Context,
): Outcome<null> {
  const approval = model.approvals.get(request.approval);
  if (approval === undefined || context.now >= approval.expires)
    return refused('not found', 'this login is not waiting any more');
  const after = { ...approval, refused: true };
  return done(
    { ...model, approvals: model.approvals.set(approval.id, after) },
    context,
    [{ type: 'approval settled', approval: approval.id }],
    {
      action: 'nodes.refuse',
      target: `login of ${approval.hostname}`,
      before: null,
      after: { machine: approval.machine, from: approval.from },
    },
    null,
  );
}

/** The id for the random bytes of a change; whoever knows it may look at the login, so it cannot be guessed. */
export const approvalId = (random: Uint8Array): string => toHex(random.subarray(0, ID_BYTES));

/** Those that wait for a person now, the oldest first. */
export const waitingApprovals = (model: Model, now: number): readonly Approval[] =>
  [...model.approvals.values()]
    .filter(({ expires, refused }) => now < expires && !refused)
    .sort((a, b) => a.expires - b.expires);

/** What the new one takes the place of: the machine's own, what has run out, and the oldest of too many. */
function outdated(model: Model, approval: Approval, now: number): readonly Approval[] {
  const all = [...model.approvals.values()];
  const gone = (one: Approval): boolean => one.machine === approval.machine || now >= one.expires;
  const left = all.filter((one) => !gone(one)).sort((a, b) => a.expires - b.expires);
  const tooMany = left.slice(0, Math.max(0, left.length - MAX_APPROVALS + 1));
  return [...all.filter(gone), ...tooMany];
}
