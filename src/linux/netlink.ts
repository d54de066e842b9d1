/**
 * Links as the kernel sees them, over a route netlink socket: what interface a name is, and what becomes of it.
 *
 *     message     length 4 | type 2 | flags 2 | sequence 4 | port 4 | body, up to a multiple of 4
 *     link body   family 1, 1 | device type 2 | index 4 | flags 4 | change mask 4 | attributes
 *     attribute   length 2, with these 4 | type 2 | value, up to a multiple of 4
 *
 * A watch asks for the link's state at once and again after the kernel had to drop messages (ENOBUFS), so that
 * what it reports is never staler than the socket is full. Messages are read as a whole or not at all.
 *
 * Source: netlink(7), rtnetlink(7).
 */

import { NetError } from '../base/errors.ts';
import { ERRNO, NETLINK, NETLINK_ALIGN, SOCKET, STRUCT } from './abi.ts';
import { Descriptor } from './descriptor.ts';
import { checked, systemError } from './errno.ts';
import type { Native } from './ffi.ts';
import type { Block } from './memory.ts';
import { block, store64 } from './memory.ts';
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

/** The kernel writes at most 32 KiB at once unless asked for more. */
const RECEIVE_BYTES = 32_768;
/** Header, link body and a name of 16 bytes; behind it the kernel's own address. */
const REQUEST_BYTES = 64;
const RECEIVE_TAIL = {
  message: RECEIVE_BYTES,
  iovec: RECEIVE_BYTES + 64,
  name: RECEIVE_BYTES + 80,
} as const;
/** Of each wake, so that a flood of link changes leaves the loop its turn. */
const MAX_READS = 16;

/** The interface of this name or index, or undefined where there is none. */
export function linkInfo(native: Native, which: string | number): Link | undefined {
  const socket = new RouteSocket(native, 0);
  try {
    socket.ask(which);
    // A request is answered before sendmsg returns; MSG_DONTWAIT is only a safeguard.
    for (const message of socket.receive() ?? []) {
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
      const messages = socket.receive();
      if (messages === undefined) return;
      for (const message of messages) hear(message);
      if (!over && socket.overrun) socket.ask(index);
    }
  });
  socket.ask(index);
  return { close };
}

class RouteSocket {
  readonly #native: Native;
  readonly #file: Descriptor;
  readonly #request: Block;
  readonly #memory: Block;
  #sequence = 0;
  /** The kernel dropped messages before those of the last `receive`. */
  overrun = false;

  constructor(native: Native, groups: number) {
    const type = SOCKET.SOCK_RAW | SOCKET.SOCK_CLOEXEC | SOCKET.SOCK_NONBLOCK;
    const fd = native.socket(SOCKET.AF_NETLINK, type, NETLINK.NETLINK_ROUTE);
    this.#native = native;
    this.#file = new Descriptor(native, checked('open a netlink socket', fd));
    this.#request = block(native, REQUEST_BYTES + STRUCT.sockaddr_nl.bytes);
    this.#memory = block(native, RECEIVE_BYTES + 128);
    const { u16, u32, address } = this.#request;
    u16[0] = SOCKET.AF_NETLINK;
    u32[STRUCT.sockaddr_nl.nl_groups >> 2] = groups;
    const bound = native.bind(fd, address, STRUCT.sockaddr_nl.bytes);
    if (bound < 0) {
      this.#file.close();
      throw systemError('listen to link changes', bound);
    }
    this.#prepareReceive();
  }

  get fd(): number {
    return this.#file.fd;
  }

  close(): void {
    this.#file.close();
  }

  ask(which: string | number): void {
    const { u8, u32, address } = this.#request;
    const request = linkRequest(which, ++this.#sequence);
    u8.set(request);
    u32[REQUEST_BYTES >> 2] = SOCKET.AF_NETLINK;
    const name = address + REQUEST_BYTES;
    const nameBytes = STRUCT.sockaddr_nl.bytes;
    const sent = this.#native.sendto(this.fd, address, request.length, 0, name, nameBytes);
    checked(`ask for the interface ${which}`, sent);
  }

  /** Messages of one datagram; undefined when there is nothing more to read. */
  receive(): LinkMessage[] | undefined {
    const { u8, u32, address } = this.#memory;
    const { message, name } = RECEIVE_TAIL;
    u32[(message + STRUCT.msghdr.msg_namelen) >> 2] = STRUCT.sockaddr_nl.bytes;
    const bytes = this.#native.recvmsg(this.fd, address + message, 0);
    this.overrun = bytes === -ERRNO.ENOBUFS;
    if (this.overrun) return [];
    if (bytes === -ERRNO.EAGAIN || bytes === -ERRNO.EINTR) return undefined;
    checked('read link changes', bytes);
    // Other programs may write to this socket too; the kernel is port 0.
    const port = u32[(name + STRUCT.sockaddr_nl.nl_pid) >> 2];
    return port === 0 ? readLinkMessages(u8.subarray(0, bytes)) : [];
  }

  #prepareReceive(): void {
    const { u32, address } = this.#memory;
    const { message, iovec, name } = RECEIVE_TAIL;
    store64(u32, message + STRUCT.msghdr.msg_name, address + name);
    store64(u32, message + STRUCT.msghdr.msg_iov, address + iovec);
    u32[(message + STRUCT.msghdr.msg_iovlen) >> 2] = 1;
    store64(u32, iovec, address);
    u32[(iovec + STRUCT.iovec.iov_len) >> 2] = RECEIVE_BYTES;
  }
}

/** RTM_GETLINK for a name (at most 15 bytes) or an index. */
export function linkRequest(which: string | number, sequence: number): Uint8Array {
  const name = typeof which === 'string' ? new TextEncoder().encode(`${which}\0`) : undefined;
  const attributeBytes = name === undefined ? 0 : ATTRIBUTE.bytes + name.length;
  const length = MESSAGE.bytes + INFO.bytes + align(attributeBytes);
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
  const messages: LinkMessage[] = [];
  for (let at = 0; at + MESSAGE.bytes <= bytes.length; ) {
    const length = view.getUint32(at + MESSAGE.nlmsg_len, true);
    if (length < MESSAGE.bytes || at + length > bytes.length) break;
    const type = view.getUint16(at + MESSAGE.nlmsg_type, true);
    const message = readMessage(view, type, at + MESSAGE.bytes, at + length);
    if (message !== undefined) messages.push(message);
    at += align(length);
  }
  return messages;
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
    at += align(length);
  }
  const up = (flags & NETLINK.IFF_UP) !== 0;
  return { index, name, up, running: up && (flags & NETLINK.IFF_RUNNING) !== 0, mtuBytes };
}

function align(bytes: number): number {
  return (bytes + NETLINK_ALIGN - 1) & ~(NETLINK_ALIGN - 1);
}
