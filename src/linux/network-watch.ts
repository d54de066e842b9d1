/**
 * What has changed in this machine's networks, told by the kernel, never polled.
 *
 *     link       an interface came, went, got or lost its cable or its other end
 *     address    of an interface, IPv4 or IPv6
 *     route      of any table
 *     rule       of policy routing
 *
 * One cable pulled is some dozen messages: changes are gathered for 50 ms, from the first one on, and told as
 * kinds, once each. Where the kernel had to drop messages all kinds are told. What it is now, whoever listens
 * looks for himself: much of it is his own doing, or was changed back.
 *
 * Source: rtnetlink(7).
 */

import type { Env } from '../base/env.ts';
import { after, millis } from '../base/time.ts';
import { NETLINK, STRUCT } from './abi.ts';
import type { Native } from './ffi.ts';
import { messagesOf, RouteSocket } from './route-socket.ts';
import { onReadable } from './wait.ts';

export type NetworkChange = 'link' | 'address' | 'route' | 'rule';

export interface NetworkWatch {
  close(): void;
}

export const ALL_CHANGES: readonly NetworkChange[] = ['link', 'address', 'route', 'rule'];

const GATHER_MS = millis(50);
/** Of each wake, so that a flood leaves the loop its turn. */
const MAX_READS = 64;

const GROUPS: number =
  NETLINK.RTMGRP_LINK |
  NETLINK.RTMGRP_IPV4_IFADDR |
  NETLINK.RTMGRP_IPV6_IFADDR |
  NETLINK.RTMGRP_IPV4_ROUTE |
  NETLINK.RTMGRP_IPV6_ROUTE |
  NETLINK.RTMGRP_IPV4_RULE |
  (1 << (NETLINK.RTNLGRP_IPV6_RULE - 1));

/**
 * Calls `onChange` with each kind that has changed, at most 20 times a second; the first time for a change
 * after this call.
 */
export function watchNetwork(
  native: Native,
  env: Pick<Env, 'now' | 'setTimer'>,
  onChange: (change: NetworkChange) => void,
): NetworkWatch {
  const socket = new RouteSocket(native, GROUPS);
  const gathered = new Set<NetworkChange>();
  let cancel: (() => void) | undefined;
  let over = false;

  const tell = (): void => {
    cancel = undefined;
    const changes = ALL_CHANGES.filter((change) => gathered.has(change));
    gathered.clear();
    for (const change of changes) if (!over) onChange(change);
  };
  const waiting = onReadable(native, socket.fd, () => {
    for (let reads = 0; reads < MAX_READS && !over; reads++) {
      const bytes = socket.receive();
      if (bytes === undefined) break;
      for (const change of socket.overrun ? ALL_CHANGES : changesIn(bytes)) gathered.add(change);
    }
    if (gathered.size > 0) cancel ??= env.setTimer(after(env.now(), GATHER_MS), tell);
  });
  return {
    close: () => {
      if (over) return;
      over = true;
      cancel?.();
      waiting.close();
      socket.close();
    },
  };
}

/** The changes that one datagram tells. Never throws. */
export function changesIn(bytes: Uint8Array): readonly NetworkChange[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return [...messagesOf(view)].flatMap(
    ({ type, from, to }) => changeOf(view, type, from, to) ?? [],
  );
}

function changeOf(
  view: DataView,
  type: number,
  from: number,
  to: number,
): NetworkChange | undefined {
  switch (type) {
    case NETLINK.RTM_NEWLINK:
    case NETLINK.RTM_DELLINK:
      return 'link';
    case NETLINK.RTM_NEWADDR:
    case NETLINK.RTM_DELADDR:
      return 'address';
    case NETLINK.RTM_NEWROUTE:
    case NETLINK.RTM_DELROUTE: {
      // What the kernel has only learnt for one destination (a path MTU) is no route.
      const whole = from + STRUCT.rtmsg.bytes <= to;
      const flags = whole ? view.getUint32(from + STRUCT.rtmsg.rtm_flags, true) : 0;
      return (flags & NETLINK.RTM_F_CLONED) === 0 ? 'route' : undefined;
    }
    case NETLINK.RTM_NEWRULE:
    case NETLINK.RTM_DELRULE:
      return 'rule';
    default:
      return undefined;
  }
}
