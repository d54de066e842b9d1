/**
 * System calls that never leave the program: a socket that hears what it sends, and a device that gives
 * prepared packets and swallows what is written. The packet path can then be run before there is any traffic
 * (node/dataplane/rehearsal.ts), through the very code that later calls the kernel.
 *
 * A run of datagrams (UDP_SEGMENT) is heard joined (UDP_GRO), and comes from where it was sent to.
 */

import { ERRNO, SOCKET, STRUCT } from './abi.ts';
import type { Native } from './ffi.ts';
import type { SharedMemory } from './memory.ts';

const { msghdr: MSGHDR, mmsghdr: MMSGHDR, iovec: IOVEC, cmsghdr: CMSGHDR } = STRUCT;

const GRO_CONTROL_BYTES: number = CMSGHDR.bytes + 8;

export interface Echo {
  readonly native: Native;
  /** What the device gives next, once: bytes with the header before them where it has one. */
  packet: Uint8Array | undefined;
  /** Bytes written to the device. */
  written: number;
}

interface Heard {
  readonly bytes: Uint8Array;
  readonly source: Uint8Array;
  /** 0: one datagram. */
  readonly segmentBytes: number;
}

export function echo(native: Native, arena: SharedMemory): Echo {
  const base = native.addressOf(arena.memory.buffer);
  const { u8 } = arena;
  const heard: Heard[] = [];
  const send = (message: number): number => {
    const sent = readMessage(arena, base, message - base);
    heard.push(sent);
    return sent.bytes.length;
  };
  const state: Echo = {
    packet: undefined,
    written: 0,
    native: {
      ...native,
      read: (_, to) => {
        const { packet } = state;
        if (packet === undefined) return -ERRNO.EAGAIN;
        state.packet = undefined;
        u8.set(packet, to - base);
        return packet.length;
      },
      writev: (_, iovecs, count) => {
        const bytes = iovecBytes(arena, iovecs - base, count);
        state.written += bytes;
        return bytes;
      },
      sendmsg: (_, message) => send(message),
      sendmmsg: (_, messages, count) => {
        for (let i = 0; i < count; i++) send(messages + i * MMSGHDR.bytes);
        return count;
      },
      recvmsg: (_, message) => {
        const next = heard.shift();
        if (next === undefined) return -ERRNO.EAGAIN;
        writeMessage(arena, base, message - base, next);
        return next.bytes.length;
      },
    },
  };
  return state;
}

/** The arena offset that the 64-bit address at `at` names. */
function pointed({ u32 }: SharedMemory, base: number, at: number): number {
  return (u32[at >> 2] as number) + (u32[(at >> 2) + 1] as number) * 4_294_967_296 - base;
}

function iovecBytes({ u32 }: SharedMemory, at: number, count: number): number {
  let bytes = 0;
  for (let i = 0; i < count; i++)
    bytes += u32[(at + i * IOVEC.bytes + IOVEC.iov_len) >> 2] as number;
  return bytes;
}

function readMessage(arena: SharedMemory, base: number, message: number): Heard {
  const { u8, u16, u32 } = arena;
  const iovec = pointed(arena, base, message + MSGHDR.msg_iov);
  const from = pointed(arena, base, iovec + IOVEC.iov_base);
  const name = pointed(arena, base, message + MSGHDR.msg_name);
  const control = pointed(arena, base, message + MSGHDR.msg_control);
  const controlled = u32[(message + MSGHDR.msg_controllen) >> 2] !== 0;
  const several = controlled && u32[(control + CMSGHDR.cmsg_type) >> 2] === SOCKET.UDP_SEGMENT;
  return {
    bytes: new Uint8Array(u8.subarray(from, from + iovecBytes(arena, iovec, 1))),
    source: new Uint8Array(u8.subarray(name, name + STRUCT.sockaddr_in6.bytes)),
    segmentBytes: several ? (u16[(control + CMSGHDR.bytes) >> 1] as number) : 0,
  };
}

function writeMessage(arena: SharedMemory, base: number, message: number, heard: Heard): void {
  const { u8, u32 } = arena;
  const iovec = pointed(arena, base, message + MSGHDR.msg_iov);
  u8.set(heard.bytes, pointed(arena, base, iovec + IOVEC.iov_base));
  u8.set(heard.source, pointed(arena, base, message + MSGHDR.msg_name));
  const joined = heard.segmentBytes !== 0;
  u32[(message + MSGHDR.msg_controllen) >> 2] = joined ? GRO_CONTROL_BYTES : 0;
  if (!joined) return;
  const control = pointed(arena, base, message + MSGHDR.msg_control);
  u32[(control + CMSGHDR.cmsg_len) >> 2] = CMSGHDR.bytes + 4;
  u32[(control + CMSGHDR.cmsg_level) >> 2] = SOCKET.IPPROTO_UDP;
  u32[(control + CMSGHDR.cmsg_type) >> 2] = SOCKET.UDP_GRO;
  u32[(control + CMSGHDR.bytes) >> 2] = heard.segmentBytes;
}
