/**
 * System calls that never leave the program: a socket that hears what it sends, and a device that gives
 * prepared packets and swallows what is written. The packet path can then be run before there is any traffic
 * (node/dataplane/rehearsal.ts), through the very code that later calls the kernel.
 */

import { ERRNO, STRUCT } from './abi.ts';
import type { Native } from './ffi.ts';
import type { SharedMemory } from './memory.ts';

const { msghdr: MSGHDR, mmsghdr: MMSGHDR, iovec: IOVEC } = STRUCT;

export interface Echo {
  readonly native: Native;
  /** What the device gives next, once: bytes with the header before them where it has one. */
  packet: Uint8Array | undefined;
  /** Bytes written to the device. */
  written: number;
}

export function echo(native: Native, arena: SharedMemory): Echo {
  const { u8, u32 } = arena;
  const base = native.addressOf(arena.memory.buffer);
  const heard: Uint8Array[] = [];
  /** The arena offset that a 64-bit address in the arena names. */
  const pointed = (at: number): number =>
    (u32[at >> 2] as number) + (u32[(at >> 2) + 1] as number) * 4_294_967_296 - base;
  const send = (message: number): number => {
    const iovec = pointed(message + MSGHDR.msg_iov);
    const from = pointed(iovec + IOVEC.iov_base);
    const bytes = u32[(iovec + IOVEC.iov_len) >> 2] as number;
    heard.push(new Uint8Array(u8.subarray(from, from + bytes)));
    return bytes;
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
        let bytes = 0;
        for (let i = 0; i < count; i++)
          bytes += u32[(iovecs - base + i * IOVEC.bytes + IOVEC.iov_len) >> 2] as number;
        state.written += bytes;
        return bytes;
      },
      sendmsg: (_, message) => send(message - base),
      sendmmsg: (_, messages, count) => {
        for (let i = 0; i < count; i++) send(messages - base + i * MMSGHDR.bytes);
        return count;
      },
      recvmsg: (_, message) => {
        const datagram = heard.shift();
        if (datagram === undefined) return -ERRNO.EAGAIN;
        u8.set(datagram, pointed(pointed(message - base + MSGHDR.msg_iov) + IOVEC.iov_base));
        u32[(message - base + MSGHDR.msg_controllen) >> 2] = 0;
        return datagram.length;
      },
    },
  };
  return state;
}
