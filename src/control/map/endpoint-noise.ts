/**
 * Changes of endpoints that are not worth waking everybody for. A node behind a hard NAT has another port at
 * each STUN answer, every twenty seconds, and no peer could use it: whoever wants to talk exchanges fresh
 * candidates through the relay (disco's call-me-maybe). So others are not told where nothing but STUN
 * candidates differ, and each new one is only another port of an address that they know, or none is new.
 *
 * It is heard together with the next change that matters. Another public address, or anything local or mapped,
 * is told at once.
 *
 * Source: reference/protocol.md 9.3, point 16.
 */

import type { LiveNode } from '../registry/live.ts';

const STUN = 2;
const STUN_LOCAL_PORT = 4;

/** @param told as others last heard of it */
export function isEndpointNoise(told: LiveNode, now: LiveNode): boolean {
  if (factsBut(told) !== factsBut(now)) return false;
  const before = parted(told);
  const after = parted(now);
  if (before.fixed.join() !== after.fixed.join()) return false;
  const known = new Set(before.stun.map(addressOf));
  // With no candidate left the node would seem reachable where it is not; one is no churn.
  if (after.stun.length === 0 && before.stun.length > 0) return false;
  return after.stun.every((endpoint) => known.has(addressOf(endpoint)));
}

/** What decides whether others need to hear of it, other than endpoints. */
function factsBut(node: LiveNode): string {
  const { OS, Hostname, Services, sshHostKeys } = node.hostinfo;
  const { discoKey, homeDerp, capVersion } = node;
  const online = node.session !== 0;
  const seen = online ? null : node.lastSeen;
  return JSON.stringify([
    OS,
    Hostname,
    Services,
    sshHostKeys,
    discoKey,
    homeDerp,
    capVersion,
    online,
    seen,
  ]);
}

function parted({ endpoints, endpointTypes }: LiveNode): { fixed: string[]; stun: string[] } {
  const isStun = (i: number): boolean =>
    endpointTypes[i] === STUN || endpointTypes[i] === STUN_LOCAL_PORT;
  return {
    fixed: endpoints.filter((_, i) => !isStun(i)).sort(),
    stun: endpoints.filter((_, i) => isStun(i)),
  };
}

const addressOf = (endpoint: string): string => endpoint.slice(0, endpoint.lastIndexOf(':'));
