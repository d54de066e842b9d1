/**
 * What to change so that a running interface is what its wg.conf says now, as `wg syncconf` does: a peer that
 * the file leaves as it is keeps its session, and where it has roamed to.
 *
 *     running  --compare--> what differs from the new file     keys, keepalive, allowed IPs; peers that are not in it go
 *     old file --compare--> what the file has changed          endpoint and listen port, which move by themselves
 */

import { equalBytes } from '../../base/bytes.ts';
import { sameEndpoint } from '../../base/endpoint.ts';
import type { NodePublic, PresharedKey } from '../../base/keys.ts';
import { keyText } from '../../base/keys.ts';
import type { Prefix } from '../../base/prefix.ts';
import { formatPrefix } from '../../base/prefix.ts';
import type {
  InterfaceChange,
  InterfaceStatus,
  PeerChange,
  PeerStatus,
} from '../tunnel/configuration.ts';

/** @param after of a file, where each peer stands once; it may be the whole change for a new interface */
export function differences(
  running: InterfaceStatus,
  before: InterfaceChange,
  after: InterfaceChange,
): InterfaceChange {
  const now = new Map(running.peers.map((peer) => [keyText(peer.publicKey), peer]));
  const then = new Map(before.peers.map((peer) => [keyText(peer.publicKey), peer]));
  const owners = ownersOf(after);
  const wanted = new Set(after.peers.map(({ publicKey }) => keyText(publicKey)));
  const gone = running.peers.filter(({ publicKey }) => !wanted.has(keyText(publicKey)));
  return {
    ...(after.privateKey === undefined ? {} : { privateKey: after.privateKey }),
    ...(after.listenPort === undefined || after.listenPort === before.listenPort
      ? {}
      : { listenPort: after.listenPort }),
    ...(after.fwmark === undefined || after.fwmark === running.fwmark
      ? {}
      : { fwmark: after.fwmark }),
    peers: [
      ...gone.map(({ publicKey }) => ({ publicKey, remove: true, allowedIps: [] })),
      ...after.peers.flatMap((peer) => {
        const key = keyText(peer.publicKey);
        const mine = peer.allowedIps
          .map(({ prefix }) => prefix)
          .filter((prefix) => owners.get(formatPrefix(prefix)) === key);
        const known = now.get(key);
        if (known === undefined) return [{ ...peer, allowedIps: added(mine) }];
        const change = peerDifference(known, then.get(key), peer, mine);
        return change === undefined ? [] : [change];
      }),
    ],
  };
}

/** By prefix, the peer that has it in the end: the last one that names it. */
function ownersOf({ peers }: InterfaceChange): Map<string, string> {
  return new Map(
    peers.flatMap(({ publicKey, allowedIps }) =>
      allowedIps.map(({ prefix }) => [formatPrefix(prefix), keyText(publicKey)] as const),
    ),
  );
}

/** Undefined where there is none. */
function peerDifference(
  now: PeerStatus,
  before: PeerChange | undefined,
  after: PeerChange,
  wanted: readonly Prefix[],
): PeerChange | undefined {
  const texts = (prefixes: readonly Prefix[]): Set<string> => new Set(prefixes.map(formatPrefix));
  const [has, shall] = [texts(now.allowedIps), texts(wanted)];
  const { presharedKey, endpoint, persistentKeepaliveSeconds } = after;
  const change: PeerChange = {
    publicKey: now.publicKey,
    ...(presharedKey === undefined || sameKey(now.presharedKey, presharedKey)
      ? {}
      : { presharedKey }),
    ...(endpoint === undefined || sameEndpoint(endpoint, before?.endpoint) ? {} : { endpoint }),
    ...(persistentKeepaliveSeconds === undefined ||
    persistentKeepaliveSeconds === now.persistentKeepaliveSeconds
      ? {}
      : { persistentKeepaliveSeconds }),
    allowedIps: [
      ...now.allowedIps
        .filter((prefix) => !shall.has(formatPrefix(prefix)))
        .map((prefix) => ({ prefix, remove: true })),
      ...added(wanted.filter((prefix) => !has.has(formatPrefix(prefix)))),
    ],
  };
  return Object.keys(change).length > 2 || change.allowedIps.length > 0 ? change : undefined;
}

const added = (prefixes: readonly Prefix[]): PeerChange['allowedIps'] =>
  prefixes.map((prefix) => ({ prefix, remove: false }));

function sameKey(a: PresharedKey | null, b: PresharedKey | null): boolean {
  return a === null || b === null ? a === b : a.equals(b);
}

/** Host names to be asked for: those that the file has changed, and those that have not resolved yet. */
export function toResolve<T extends { publicKey: NodePublic; host: string; port: number }>(
  running: InterfaceStatus,
  before: readonly T[],
  after: readonly T[],
): T[] {
  const resolved = new Set(
    running.peers
      .filter(({ endpoint }) => endpoint !== undefined)
      .map(({ publicKey }) => keyText(publicKey)),
  );
  const same = (a: T, b: T): boolean =>
    a.host === b.host && a.port === b.port && equalBytes(a.publicKey, b.publicKey);
  return after.filter(
    (wanted) =>
      !resolved.has(keyText(wanted.publicKey)) || !before.some((other) => same(other, wanted)),
  );
}
