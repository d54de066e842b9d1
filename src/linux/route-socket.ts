/**
 * A route netlink socket: requests to the kernel about links, addresses, routes and rules, and its messages when
 * one of them changes.
 *
 *     message    length 4 | type 2 | flags 2 | sequence 4 | port 4 | body, up to a multiple of 4
 *
 * Where the socket is full the kernel drops messages (ENOBUFS) and says so once, before it goes on: `overrun`.
 * Messages are read as a whole or not at all.
 *
 * Source: netlink(7), rtnetlink(7).
 */

import { ERRNO, NETLINK, NETLINK_ALIGN, SOCKET, STRUCT } from './abi.ts';
import { Descriptor } from './descriptor.ts';
import { checked, systemError } from './errno.ts';
import type { Native } from './ffi.ts';
import type { Block } from './memory.ts';
import { block, store64 } from './memory.ts';

const { nlmsghdr: MESSAGE } = STRUCT;

/** The kernel writes at most 32 KiB at once unless asked for more. */
const RECEIVE_BYTES = 32_768;
const RECEIVE_TAIL = {
  message: RECEIVE_BYTES,
  iovec: RECEIVE_BYTES + 64,
  name: RECEIVE_BYTES + 80,
} as const;
/** Header, link body and a name of 16 bytes; behind it the kernel's own address. */
const REQUEST_BYTES = 64;

export class RouteSocket {
  readonly #native: Native;
  readonly #file: Descriptor;
  readonly #request: Block;
  readonly #memory: Block;
  /** The kernel dropped messages before those of the last `receive`. */
  overrun = false;

  /** @param groups whose changes are told, a mask of RTMGRP_…; @param protocol another netlink family than routes */
  constructor(native: Native, groups: number, protocol: number = NETLINK.NETLINK_ROUTE) {
    const type = SOCKET.SOCK_RAW | SOCKET.SOCK_CLOEXEC | SOCKET.SOCK_NONBLOCK;
    const fd = native.socket(SOCKET.AF_NETLINK, type, protocol);
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
      throw systemError('listen to network changes', bound);
    }
    this.#prepareReceive();
  }

  get fd(): number {
    return this.#file.fd;
  }

  close(): void {
    this.#file.close();
  }

  /** @param request at most 64 bytes; @param what it asks for, in words */
  send(request: Uint8Array, what: string): void {
    const { u8, u32, address } = this.#request;
    u8.set(request);
    u32[REQUEST_BYTES >> 2] = SOCKET.AF_NETLINK;
    const name = address + REQUEST_BYTES;
    const nameBytes = STRUCT.sockaddr_nl.bytes;
    const sent = this.#native.sendto(this.fd, address, request.length, 0, name, nameBytes);
    checked(`ask for ${what}`, sent);
  }

  /** One datagram of messages, true until the next call; empty after an overrun, undefined when all is read. */
  receive(): Uint8Array | undefined {
    const { u8, u32, address } = this.#memory;
    const { message, name } = RECEIVE_TAIL;
    u32[(message + STRUCT.msghdr.msg_namelen) >> 2] = STRUCT.sockaddr_nl.bytes;
    const bytes = this.#native.recvmsg(this.fd, address + message, 0);
    this.overrun = bytes === -ERRNO.ENOBUFS;
    if (this.overrun) return u8.subarray(0, 0);
    if (bytes === -ERRNO.EAGAIN || bytes === -ERRNO.EINTR) return undefined;
    checked('read network changes', bytes);
    // Other programs may write to this socket too; the kernel is port 0.
    const port = u32[(name + STRUCT.sockaddr_nl.nl_pid) >> 2];
    return u8.subarray(0, port === 0 ? bytes : 0);
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

/** A message of a datagram: where its body stands. */
export interface MessagePlace {
  readonly type: number;
  readonly from: number;
  readonly to: number;
}

/** The messages of one datagram; what is cut short ends them. Never throws. */
export function* messagesOf(view: DataView): Generator<MessagePlace> {
  for (let at = 0; at + MESSAGE.bytes <= view.byteLength; ) {
    const length = view.getUint32(at + MESSAGE.nlmsg_len, true);
    if (length < MESSAGE.bytes || at + length > view.byteLength) return;
    const type = view.getUint16(at + MESSAGE.nlmsg_type, true);
    yield { type, from: at + MESSAGE.bytes, to: at + length };
    at += netlinkAlign(length);
  }
}

export function netlinkAlign(bytes: number): number {
  return (bytes + NETLINK_ALIGN - 1) & ~(NETLINK_ALIGN - 1);
}
