/**
 * The packet path of one UDP socket: runs of datagrams out, joined datagrams in, in places of the arena.
 *
 * Its 64 KiB region of the arena:
 *
 *         0  receive: msghdr | iovec (64) | source sockaddr (96) | control data 256 (128)
 *       512  runs, 64 of each:      mmsghdr 64 | iovec 16 | control data 64 | destination sockaddr 32
 *     12288  singles, 512 of each:  mmsghdr 64 | iovec 16
 *
 *     control data of a run   UDP_SEGMENT 24 | IP_TOS or IPV6_TCLASS 24
 *                             |<- a super-datagram points here; a single one, or ECN alone, 24 further ->|
 *
 * A run is one super-datagram for the kernel to cut (UDP_SEGMENT). Where the kernel or the device refuses that,
 * its datagrams go one by one, 512 in a call, pointing to their run's name and control data:
 *
 *     EIO                 the device cannot checksum: GSO is off for this socket from now on
 *     EINVAL, EMSGSIZE    may mean just this destination (a path MTU below the segment), so GSO is off only
 *                         after 16 without one that went
 *
 * Any other refusal is counted by its errno and the next run goes on. A full send buffer is waited for once
 * in a flush, for 4 ms at most: the TUN device is not read meanwhile, which slows the senders down.
 *
 * Source: udp(7), cmsg(3), sendmmsg(2); UdpPort of node/dataplane/ports.ts.
 */

import { CMSG_ALIGN, ERRNO, SOCKET, STRUCT } from './abi.ts';
import type { Native } from './ffi.ts';
import type { SharedMemory } from './memory.ts';
import { store64 } from './memory.ts';

const { msghdr: MSGHDR, mmsghdr: MMSGHDR, iovec: IOVEC, cmsghdr: CMSGHDR } = STRUCT;

const RECEIVE_IOVEC = 64;
const RECEIVE_SOURCE = 96;
const RECEIVE_CONTROL = 128;
const RECEIVE_CONTROL_BYTES = 256;

const MAX_RUNS = 64;
const RUNS = 512;
const RUN_IOVECS: number = RUNS + MAX_RUNS * MMSGHDR.bytes;
const RUN_CONTROL: number = RUN_IOVECS + MAX_RUNS * IOVEC.bytes;
const RUN_CONTROL_BYTES = 64;
const RUN_NAMES: number = RUN_CONTROL + MAX_RUNS * RUN_CONTROL_BYTES;
const RUN_NAME_BYTES = 32;

const MAX_SINGLES = 512;
const SINGLES = 12_288;
const SINGLE_IOVECS: number = SINGLES + MAX_SINGLES * MMSGHDR.bytes;

const CMSG_BYTES = 24;

const SEND_WAIT_MS = 4;
const MAX_GSO_REFUSALS = 16;

export interface UdpPortOptions {
  readonly fd: number;
  readonly family: 4 | 6;
  /** False: datagram by datagram. */
  readonly gso: boolean;
  /** Byte offset of the region, a multiple of 8. */
  readonly regionAt: number;
}

export class UdpSocketPort {
  readonly received: { segmentBytes: number; ecn: number; readonly sourceAt: number };
  readonly counters: { sendCalls: number; readonly refused: Map<number, number>; gso: boolean };
  readonly #native: Native;
  readonly #fd: number;
  readonly #base: number;
  readonly #at: number;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #u8: Uint8Array;
  #runs = 0;
  readonly #lengths = new Uint32Array(MAX_RUNS);
  readonly #segments = new Uint32Array(MAX_RUNS);
  readonly #places = new Uint32Array(MAX_RUNS);
  #singles = 0;
  #waited = false;
  #gsoRefusals = 0;

  /** The descriptor stays the caller's; `arena` is used by one thread, at `regionAt` and named places only. */
  constructor(native: Native, arena: SharedMemory, options: UdpPortOptions) {
    this.#native = native;
    this.#fd = options.fd;
    this.#base = native.addressOf(arena.memory.buffer);
    this.#at = options.regionAt;
    this.#u8 = arena.u8;
    this.#u16 = arena.u16;
    this.#u32 = arena.u32;
    this.received = { segmentBytes: 0, ecn: 0, sourceAt: options.regionAt + RECEIVE_SOURCE };
    this.counters = { sendCalls: 0, refused: new Map(), gso: options.gso };
    this.#prepare(options.family);
  }

  /** What never changes: who points to whom, and the heads of the control messages. */
  #prepare(family: 4 | 6): void {
    const at = this.#at;
    this.#u8.fill(0, at, at + SINGLE_IOVECS + MAX_SINGLES * IOVEC.bytes);
    this.#point(at + MSGHDR.msg_name, at + RECEIVE_SOURCE);
    this.#point(at + MSGHDR.msg_control, at + RECEIVE_CONTROL);
    this.#one(at, at + RECEIVE_IOVEC);
    for (let i = 0; i < MAX_RUNS; i++) {
      const run = at + RUNS + i * MMSGHDR.bytes;
      this.#one(run, at + RUN_IOVECS + i * IOVEC.bytes);
      this.#point(run + MSGHDR.msg_name, at + RUN_NAMES + i * RUN_NAME_BYTES);
      const control = at + RUN_CONTROL + i * RUN_CONTROL_BYTES;
      this.#control(control, SOCKET.IPPROTO_UDP, SOCKET.UDP_SEGMENT, 2);
      const ecn = control + CMSG_BYTES;
      if (family === 4) this.#control(ecn, SOCKET.IPPROTO_IP, SOCKET.IP_TOS, 4);
      else this.#control(ecn, SOCKET.IPPROTO_IPV6, SOCKET.IPV6_TCLASS, 4);
    }
    for (let i = 0; i < MAX_SINGLES; i++)
      this.#one(at + SINGLES + i * MMSGHDR.bytes, at + SINGLE_IOVECS + i * IOVEC.bytes);
  }

  receive(at: number, capacityBytes: number): number {
    const message = this.#at;
    const u32 = this.#u32;
    this.#point(message + RECEIVE_IOVEC, at);
    u32[(message + RECEIVE_IOVEC + IOVEC.iov_len) >> 2] = capacityBytes;
    u32[(message + MSGHDR.msg_namelen) >> 2] = STRUCT.sockaddr_in6.bytes;
    u32[(message + MSGHDR.msg_controllen) >> 2] = RECEIVE_CONTROL_BYTES;
    const bytes = this.#native.recvmsg(this.#fd, this.#base + message, 0);
    if (bytes < 0) return bytes;
    this.received.segmentBytes = bytes;
    this.received.ecn = 0;
    const from = message + RECEIVE_CONTROL;
    this.#readControl(from, from + (u32[(message + MSGHDR.msg_controllen) >> 2] as number));
    return bytes;
  }

  #readControl(from: number, to: number): void {
    const u32 = this.#u32;
    for (let at = from; at + CMSGHDR.bytes < to; ) {
      const length = u32[(at + CMSGHDR.cmsg_len) >> 2] as number;
      if (length <= CMSGHDR.bytes) return;
      const level = u32[(at + CMSGHDR.cmsg_level) >> 2];
      const type = u32[(at + CMSGHDR.cmsg_type) >> 2];
      const data = at + CMSGHDR.bytes;
      if (level === SOCKET.IPPROTO_UDP && type === SOCKET.UDP_GRO)
        this.received.segmentBytes = u32[data >> 2] as number;
      else if (
        // One byte for IPv4, an int for IPv6; the ECN bits are the lowest of either.
        (level === SOCKET.IPPROTO_IP && type === SOCKET.IP_TOS) ||
        (level === SOCKET.IPPROTO_IPV6 && type === SOCKET.IPV6_TCLASS)
      )
        this.received.ecn = (this.#u8[data] as number) & 3;
      at += (length + CMSG_ALIGN - 1) & ~(CMSG_ALIGN - 1);
    }
  }

  send(
    at: number,
    lengthBytes: number,
    segmentBytes: number,
    endpointAt: number,
    ecn: number,
  ): void {
    if (this.#runs === MAX_RUNS) this.flush();
    const i = this.#runs++;
    this.#lengths[i] = lengthBytes;
    this.#segments[i] = segmentBytes;
    this.#places[i] = at;
    const u32 = this.#u32;
    const message = this.#at + RUNS + i * MMSGHDR.bytes;
    const name = this.#at + RUN_NAMES + i * RUN_NAME_BYTES;
    for (let byte = 0; byte < STRUCT.sockaddr_in6.bytes; byte += 4)
      u32[(name + byte) >> 2] = u32[(endpointAt + byte) >> 2] as number;
    const ipv4 = this.#u16[name >> 1] === SOCKET.AF_INET;
    u32[(message + MSGHDR.msg_namelen) >> 2] = ipv4
      ? STRUCT.sockaddr_in.bytes
      : STRUCT.sockaddr_in6.bytes;
    const iovec = this.#at + RUN_IOVECS + i * IOVEC.bytes;
    this.#point(iovec, at);
    u32[(iovec + IOVEC.iov_len) >> 2] = lengthBytes;
    const several = lengthBytes > segmentBytes;
    const control = this.#at + RUN_CONTROL + i * RUN_CONTROL_BYTES;
    if (several) this.#u16[(control + CMSGHDR.bytes) >> 1] = segmentBytes;
    u32[(control + CMSG_BYTES + CMSGHDR.bytes) >> 2] = ecn;
    this.#pointControl(message, several ? control : control + CMSG_BYTES, several, ecn !== 0);
  }

  flush(): void {
    const runs = this.#runs;
    if (runs === 0) return;
    this.#waited = false;
    for (let i = 0; i < runs; ) i += this.counters.gso ? this.#sendRuns(i, runs) : this.#cut(i);
    this.#sendSingles();
    this.#runs = 0;
  }

  /** Hands what was cut, then runs from `first` on, to the kernel; how many are done with, at least 1. */
  #sendRuns(first: number, runs: number): number {
    this.#sendSingles();
    const sent = this.#call(this.#at + RUNS + first * MMSGHDR.bytes, runs - first);
    const datagrams = this.#datagrams(first);
    if (sent > 0) {
      if (datagrams > 1) this.#gsoRefusals = 0;
      return sent;
    }
    if (datagrams > 1 && this.#gsoRefused(-sent)) return this.#cut(first);
    this.#refuse(-sent, datagrams);
    return 1;
  }

  #gsoRefused(errno: number): boolean {
    if (errno === ERRNO.EIO) this.counters.gso = false;
    else if (errno !== ERRNO.EINVAL && errno !== ERRNO.EMSGSIZE) return false;
    else if (++this.#gsoRefusals === MAX_GSO_REFUSALS) this.counters.gso = false;
    return true;
  }

  /** Turns a run into singles, sending those that wait when there is no room; 1, the runs done with. */
  #cut(run: number): 1 {
    const u32 = this.#u32;
    const length = this.#lengths[run] as number;
    const segment = this.#segments[run] as number;
    const message = this.#at + RUNS + run * MMSGHDR.bytes;
    const control = this.#at + RUN_CONTROL + run * RUN_CONTROL_BYTES + CMSG_BYTES;
    const ecn = u32[(control + CMSGHDR.bytes) >> 2] !== 0;
    for (let offset = 0; offset < length; offset += segment) {
      if (this.#singles === MAX_SINGLES) this.#sendSingles();
      const i = this.#singles++;
      const single = this.#at + SINGLES + i * MMSGHDR.bytes;
      const iovec = this.#at + SINGLE_IOVECS + i * IOVEC.bytes;
      this.#point(iovec, (this.#places[run] as number) + offset);
      u32[(iovec + IOVEC.iov_len) >> 2] = Math.min(segment, length - offset);
      this.#point(single + MSGHDR.msg_name, this.#at + RUN_NAMES + run * RUN_NAME_BYTES);
      u32[(single + MSGHDR.msg_namelen) >> 2] = u32[(message + MSGHDR.msg_namelen) >> 2] as number;
      this.#pointControl(single, control, false, ecn);
    }
    return 1;
  }

  #sendSingles(): void {
    const count = this.#singles;
    for (let i = 0; i < count; ) {
      const sent = this.#call(this.#at + SINGLES + i * MMSGHDR.bytes, count - i);
      if (sent <= 0) this.#refuse(-sent, 1);
      i += Math.max(1, sent);
    }
    this.#singles = 0;
  }

  /** How many of `count` messages from `message` on went, or -errno for the first. */
  #call(message: number, count: number): number {
    for (;;) {
      this.counters.sendCalls++;
      // sendmsg for one is a little cheaper, and gives the bytes, not the count.
      const result =
        count === 1
          ? this.#native.sendmsg(this.#fd, this.#base + message, 0)
          : this.#native.sendmmsg(this.#fd, this.#base + message, count, 0);
      if (result >= 0) return count === 1 ? 1 : result;
      if (result === -ERRNO.EINTR) continue;
      if (result !== -ERRNO.EAGAIN || this.#waited) return result;
      this.#waited = true;
      this.#waitWritable();
    }
  }

  #waitWritable(): void {
    // The receive message's control data is free while we send.
    const pollfd = this.#at + RECEIVE_CONTROL;
    this.#u32[pollfd >> 2] = this.#fd;
    this.#u32[(pollfd + STRUCT.pollfd.events) >> 2] = SOCKET.POLLOUT;
    this.#native.poll(this.#base + pollfd, 1, SEND_WAIT_MS);
  }

  #refuse(errno: number, datagrams: number): void {
    const { refused } = this.counters;
    refused.set(errno, (refused.get(errno) ?? 0) + datagrams);
  }

  #datagrams(run: number): number {
    return Math.ceil((this.#lengths[run] as number) / (this.#segments[run] as number));
  }

  #point(at: number, place: number): void {
    store64(this.#u32, at, this.#base + place);
  }

  #one(message: number, iovec: number): void {
    this.#point(message + MSGHDR.msg_iov, iovec);
    this.#u32[(message + MSGHDR.msg_iovlen) >> 2] = 1;
  }

  #control(at: number, level: number, type: number, dataBytes: number): void {
    this.#u32[(at + CMSGHDR.cmsg_len) >> 2] = CMSGHDR.bytes + dataBytes;
    this.#u32[(at + CMSGHDR.cmsg_level) >> 2] = level;
    this.#u32[(at + CMSGHDR.cmsg_type) >> 2] = type;
  }

  #pointControl(message: number, control: number, segment: boolean, ecn: boolean): void {
    const bytes = (segment ? CMSG_BYTES : 0) + (ecn ? CMSG_BYTES : 0);
    this.#point(message + MSGHDR.msg_control, control);
    this.#u32[(message + MSGHDR.msg_controllen) >> 2] = bytes;
  }
}
