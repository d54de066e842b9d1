/** A register request of the wire as the registry understands it. The body is checked before (tailcfg/validate.ts). */

import type { MachineKeyText } from '../../protocol/tailcfg/keys.ts';
import { isNoKey } from '../../protocol/tailcfg/keys.ts';
import { parseTime } from '../../protocol/tailcfg/time.ts';
import type { RegisterRequest } from '../../protocol/tailcfg/types.ts';
import type { Registration } from './register.ts';

/** The id in a follow-up URL, as `approvalUrl` of the caller wrote it: its last segment. */
const FOLLOWUP = /\/([0-9a-f]{32})$/;

/**
 * @param machine who Noise says it is
 * @param from the remote address
 */
export function registrationOf(
  request: RegisterRequest,
  machine: MachineKeyText,
  from: string,
): Registration {
  const { Auth, Expiry, Followup, Hostinfo, OldNodeKey } = request;
  const expiry = Expiry === undefined || Expiry === '' ? 'unset' : parseTime(Expiry);
  return {
    machine,
    nodeKey: request.NodeKey,
    oldNodeKey: OldNodeKey === undefined || isNoKey(OldNodeKey) ? null : OldNodeKey,
    authKey: Auth?.AuthKey ?? '',
    expiry: expiry === 'unset' || expiry === undefined ? null : expiry,
    // One of another form is still a follow-up: it is answered by a new URL.
    followup: Followup ? (FOLLOWUP.exec(Followup)?.[1] ?? '') : null,
    hostname: Hostinfo?.Hostname ?? '',
    requestTags: Hostinfo?.RequestTags ?? [],
    announced: Hostinfo?.RoutableIPs ?? [],
    ephemeral: request.Ephemeral ?? false,
    rotate: request.RotateNodeKey ?? false,
    from,
  };
}
