/**
 * System calls that never leave the program: a socket that hears what it sends, and a device that gives
 * prepared packets and swallows what is written. The packet path can then be run before there is any traffic
 * (node/dataplane/rehearsal.ts), through the very code that later calls the kernel.
 *
 * A run of datagrams (UDP_SEGMENT) is heard joined (UDP_GRO), and comes from where it was sent to; each comes with
 * its ECN bits, as from the kernel. Where there is nothing, the kernel is asked in vain, so that refusals are run too.
 */

import { ERRNO, SOCKET, STRUCT } from './abi.ts';
import type { Native } from './ffi.ts';
import type { Block, SharedMemory } from './memory.ts';
import { load64 } from './memory.ts';
import type { ReadEach } from './reads.ts';
import { oneByOne } from './reads.ts';

const { msghdr: MSGHDR, mmsghdr: MMSGHDR, iovec: IOVEC, cmsghdr: CMSGHDR } = STRUCT;

/** One control message with up to 8 bytes of data. */
const CONTROL_BYTES: number = CMSGHDR.bytes + 8;
/** No descriptor: every call with it is refused. */
const NONE = -1;

export interface Echo {
  readonly native: Native;
  /** How the device is read (reads.ts). */
  readonly each: ReadEach;
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
    each: oneByOne({ read: (fd, to, bytes) => state.native.read(fd, to, bytes) }),
    packet: undefined,
    written: 0,
    native: {
      ...native,
      read: (_, to) => {
        const { packet } = state;
        if (packet === undefined) return refused(native.read(NONE, to, 0));
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
        if (next === undefined) return refused(native.recvmsg(NONE, message, 0));
        writeMessage(arena, base, message - base, next);
        return next.bytes.length;
      },
    },
  };
  return state;
}

/** The same stage by other functions: what has been compiled for two different ones takes any. */
export function wrapped(stage: Echo): Echo {
  const { read, writev, sendmsg, sendmmsg, recvmsg } = stage.native;
  const { each } = stage;
  return Object.assign(stage, {
    each: (request: Block) => each(request),
    native: {
      ...stage.native,
      read: (fd: number, to: number, bytes: number) => read(fd, to, bytes),
      writev: (fd: number, iovecs: number, count: number) => writev(fd, iovecs, count),
      sendmsg: (fd: number, message: number, flags: number) => sendmsg(fd, message, flags),
      sendmmsg: (fd: number, messages: number, count: number, flags: number) =>
        sendmmsg(fd, messages, count, flags),
      recvmsg: (fd: number, message: number, flags: number) => recvmsg(fd, message, flags),
    },
  });
}

/** As if it had been for want of something to read. */
function refused(result: number): number {
  return result < 0 ? -ERRNO.EAGAIN : result;
}

/** The arena offset that the 64-bit address at `at` names. */
function pointed({ u32 }: SharedMemory, base: number, at: number): number {
  return load64(u32, at) - base;
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
  u32[(message + MSGHDR.msg_controllen) >> 2] = CONTROL_BYTES * (joined ? 2 : 1);
  const control = pointed(arena, base, message + MSGHDR.msg_control);
  const write = (
    at: number,
    dataBytes: number,
    level: number,
    type: number,
    value: number,
  ): void => {
    u32[(at + CMSGHDR.cmsg_len) >> 2] = CMSGHDR.bytes + dataBytes;
    u32[(at + CMSGHDR.cmsg_level) >> 2] = level;
    u32[(at + CMSGHDR.cmsg_type) >> 2] = type;
    u32[(at + CMSGHDR.bytes) >> 2] = value;
  };
  write(control, 1, SOCKET.IPPROTO_IP, SOCKET.IP_TOS, 0);
  if (joined)
    write(control + CONTROL_BYTES, 4, SOCKET.IPPROTO_UDP, SOCKET.UDP_GRO, heard.segmentBytes);
}
