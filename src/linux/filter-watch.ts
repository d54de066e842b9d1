/**
 * Tells when anybody has changed tables, chains or rules of nftables, by the kernel's word. What programs do to the
 * elements of sets, as those do that shut out addresses one by one, is no change of that kind.
 *
 *     message type    subsystem 8 | message 8: NEWTABLE 0 ... DELRULE 8, then sets, elements, generations
 *
 * Source: linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h.
 */

import { NETLINK, NFTABLES } from './abi.ts';
import type { Native } from './ffi.ts';
import { messagesOf, RouteSocket } from './route-socket.ts';
import { onReadable } from './wait.ts';

const GROUP: number = 1 << (NFTABLES.NFNLGRP_NFTABLES - 1);
const MAX_READS = 64;

/**
 * Calls `onChange` once for what has come together.
 *
 * @throws Error with the system's words where the kernel has no nftables, or does not tell us
 */
export function watchFilter(native: Native, onChange: () => void): { close(): void } {
  const socket = new RouteSocket(native, GROUP, NETLINK.NETLINK_NETFILTER);
  let over = false;
  const waiting = onReadable(native, socket.fd, () => {
    let changed = false;
    for (let reads = 0; reads < MAX_READS && !over; reads++) {
      const bytes = socket.receive();
      if (bytes === undefined) break;
      changed ||= socket.overrun || changesFilter(bytes);
    }
    if (changed && !over) onChange();
  });
  return {
    close: () => {
      if (over) return;
      over = true;
      waiting.close();
      socket.close();
    },
  };
}

/** Whether one datagram tells of a table, a chain or a rule. Never throws. */
export function changesFilter(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return [...messagesOf(view)].some(
    ({ type }) =>
      type >> 8 === NFTABLES.NFNL_SUBSYS_NFTABLES && (type & 0xff) <= NFTABLES.NFT_MSG_DELRULE,
  );
}
