/**
 * Links as the kernel sees them, over a route netlink socket: what interface a name is, and what becomes of it.
 *
 *     link body   family 1, 1 | device type 2 | index 4 | flags 4 | change mask 4 | attributes
 *     attribute   length 2, with these 4 | type 2 | value, up to a multiple of 4
 *
 * A watch asks for the link's state at once and again after the kernel had to drop messages (ENOBUFS), so that
 * what it reports is never staler than the socket is full.
 *
 * Source: netlink(7), rtnetlink(7).
 */

import { NetError } from '../base/errors.ts';
import { ERRNO, NETLINK, STRUCT } from './abi.ts';
import { systemError } from './errno.ts';
import type { Native } from './ffi.ts';
import { messagesOf, netlinkAlign, RouteSocket } from './route-socket.ts';
import { onReadable } from './wait.ts';

export interface Link {
  readonly index: number;
  readonly name: string;
  /** A person wants it up (`ip link set up`). */
  readonly up: boolean;
  /** It can carry packets: up, and a cable or program on the other end. */
  readonly running: boolean;
  readonly mtuBytes: number;
}

export type LinkEvent =
  | { readonly type: 'link'; readonly link: Link }
  | { readonly type: 'gone'; readonly index: number };

/** What a datagram of the kernel says about links; the rest of it is left out. */
export type LinkMessage = LinkEvent | { readonly type: 'refused'; readonly errno: number };

const { nlmsghdr: MESSAGE, ifinfomsg: INFO, rtattr: ATTRIBUTE, nlmsgerr: REFUSAL } = STRUCT;

/** Of each wake, so that a flood of link changes leaves the loop its turn. */
const MAX_READS = 16;

/** The interface of this name or index, or undefined where there is none. */
export function linkInfo(native: Native, which: string | number): Link | undefined {
  const socket = new RouteSocket(native, 0);
  try {
    ask(socket, which);
    // A request is answered before sendmsg returns; MSG_DONTWAIT is only a safeguard.
    for (const message of receive(socket) ?? []) {
      if (message.type === 'link') return message.link;
      if (message.type === 'refused' && message.errno === ERRNO.ENODEV) return undefined;
      if (message.type === 'refused')
        throw systemError(`ask for the interface ${which}`, -message.errno);
    }
    throw new NetError(`the kernel did not answer about the interface ${which}`);
  } finally {
    socket.close();
  }
}

export interface LinkWatch {
  close(): void;
}

/**
 * Reports the link's state now and after each change; `gone` once, as the last one. An index is used again
 * only after its device is gone, so no later device is mistaken for this one.
 */
export function watchLink(
  native: Native,
  index: number,
  report: (event: LinkEvent) => void,
): LinkWatch {
  const socket = new RouteSocket(native, NETLINK.RTMGRP_LINK);
  let over = false;
  const close = (): void => {
    over = true;
    waiting.close();
    socket.close();
  };
  const hear = (message: LinkMessage): void => {
    if (over) return;
    if (message.type === 'refused') {
      if (message.errno !== ERRNO.ENODEV) return;
      close();
      report({ type: 'gone', index });
    } else if (message.type === 'gone' && message.index === index) {
      close();
      report(message);
    } else if (message.type === 'link' && message.link.index === index) report(message);
  };
  const waiting = onReadable(native, socket.fd, () => {
    for (let reads = 0; reads < MAX_READS && !over; reads++) {
      const messages = receive(socket);
      if (messages === undefined) return;
      for (const message of messages) hear(message);
      if (!over && socket.overrun) ask(socket, index);
    }
  });
  ask(socket, index);
  return { close };
}

function ask(socket: RouteSocket, which: string | number): void {
  socket.send(linkRequest(which, 1), `the interface ${which}`);
}

function receive(socket: RouteSocket): LinkMessage[] | undefined {
  const bytes = socket.receive();
  return bytes && readLinkMessages(bytes);
}

/** RTM_GETLINK for a name (at most 15 bytes) or an index. */
export function linkRequest(which: string | number, sequence: number): Uint8Array {
  const name = typeof which === 'string' ? new TextEncoder().encode(`${which}\0`) : undefined;
  const attributeBytes = name === undefined ? 0 : ATTRIBUTE.bytes + name.length;
  const length = MESSAGE.bytes + INFO.bytes + netlinkAlign(attributeBytes);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(MESSAGE.nlmsg_len, length, true);
  view.setUint16(MESSAGE.nlmsg_type, NETLINK.RTM_GETLINK, true);
  view.setUint16(MESSAGE.nlmsg_flags, NETLINK.NLM_F_REQUEST, true);
  view.setUint32(MESSAGE.nlmsg_seq, sequence, true);
  if (typeof which === 'number') view.setInt32(MESSAGE.bytes + INFO.ifi_index, which, true);
  if (name === undefined) return bytes;
  const at = MESSAGE.bytes + INFO.bytes;
  view.setUint16(at + ATTRIBUTE.rta_len, attributeBytes, true);
  view.setUint16(at + ATTRIBUTE.rta_type, NETLINK.IFLA_IFNAME, true);
  bytes.set(name, at + ATTRIBUTE.bytes);
  return bytes;
}

/** The link messages of one datagram; those cut short or of other kinds are left out. Never throws. */
export function readLinkMessages(bytes: Uint8Array): LinkMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return [...messagesOf(view)].flatMap(
    ({ type, from, to }) => readMessage(view, type, from, to) ?? [],
  );
}

function readMessage(
  view: DataView,
  type: number,
  from: number,
  to: number,
): LinkMessage | undefined {
  switch (type) {
    case NETLINK.NLMSG_ERROR:
      if (from + REFUSAL.msg > to) return undefined;
      return { type: 'refused', errno: -view.getInt32(from + REFUSAL.error, true) };
    case NETLINK.RTM_NEWLINK:
    case NETLINK.RTM_DELLINK: {
      if (from + INFO.bytes > to) return undefined;
      const index = view.getInt32(from + INFO.ifi_index, true);
      // Bridges tell of a port leaving them with RTM_DELLINK too, under their own family.
      if (view.getUint8(from + INFO.ifi_family) !== 0) return undefined;
      if (type === NETLINK.RTM_DELLINK) return { type: 'gone', index };
      const flags = view.getUint32(from + INFO.ifi_flags, true);
      return { type: 'link', link: readLink(view, index, flags, from + INFO.bytes, to) };
    }
    default:
      return undefined;
  }
}

function readLink(view: DataView, index: number, flags: number, from: number, to: number): Link {
  let name = '';
  let mtuBytes = 0;
  for (let at = from; at + ATTRIBUTE.bytes <= to; ) {
    const length = view.getUint16(at + ATTRIBUTE.rta_len, true);
    const value = at + ATTRIBUTE.bytes;
    const end = at + length;
    if (length < ATTRIBUTE.bytes || end > to) break;
    const type = view.getUint16(at + ATTRIBUTE.rta_type, true);
    if (type === NETLINK.IFLA_MTU && end - value === 4) mtuBytes = view.getUint32(value, true);
    if (type === NETLINK.IFLA_IFNAME && end > value)
      name = new TextDecoder().decode(
        new Uint8Array(view.buffer, view.byteOffset + value, end - value - 1),
      );
    at += netlinkAlign(length);
  }
  const up = (flags & NETLINK.IFF_UP) !== 0;
  return { index, name, up, running: up && (flags & NETLINK.IFF_RUNNING) !== 0, mtuBytes };
}
