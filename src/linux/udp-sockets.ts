/**
 * The UDP sockets of the tunnel: one for each family, both on one port, as far as the kernel has the families.
 *
 *     any port   IPv4 takes a free one, IPv6 asks for the same; taken there: both are closed and tried again
 *     buffers    7 MiB, beyond the system's limit with CAP_NET_ADMIN (as wireguard-go), else up to it
 *     GRO, ECN   the kernel joins datagrams of one flow (Linux 5.0), and tells the ECN bits of each
 *
 * Path MTU discovery stays as the system sets it: a datagram longer than the path is fragmented by this
 * machine, which a tunnel prefers to losing it.
 *
 * Source: ip(7), ipv6(7), udp(7).
 */

import { BugError, NetError } from '../base/errors.ts';
import { ERRNO, SOCKET, STRUCT } from './abi.ts';
import { Descriptor } from './descriptor.ts';
import { checked, systemError } from './errno.ts';
import type { Native } from './ffi.ts';
import type { Block } from './memory.ts';
import { block } from './memory.ts';

export interface UdpOptions {
  /** 0: any that is free. */
  readonly port: number;
  /** Firewall mark of what we send (SO_MARK), 0 for none. */
  readonly mark: number;
  /** False: no GSO and no GRO, though the kernel has them. */
  readonly offload: boolean;
}

export interface UdpSocket {
  readonly file: Descriptor;
  readonly family: 4 | 6;
  /** The kernel knows UDP_SEGMENT. What lies beyond may still refuse it at the first send. */
  readonly gso: boolean;
  readonly gro: boolean;
}

export interface UdpSockets {
  readonly port: number;
  /** Undefined: the kernel lacks the family. */
  readonly udp4: UdpSocket | undefined;
  readonly udp6: UdpSocket | undefined;
  /**
   * Sends one datagram by the socket of its family, with ECN bits clear; 0 or -errno. Never waits.
   *
   * @param sockaddr 28 bytes (base/endpoint.ts)
   * @param datagram at most DATAGRAM_MAX bytes
   */
  sendTo(sockaddr: Uint8Array, datagram: Uint8Array): number;
  /** @throws ConfigError where marks may not be set */
  setMark(mark: number): void;
  close(): void;
}

/** Longest datagram of `sendTo`: what a jumbo frame carries is enough for all that is no transport data. */
export const DATAGRAM_MAX = 9216;

const BUFFER_BYTES = 7 * 1024 * 1024;

/** With both families on random ports, this many collisions in a row are no chance. */
const MAX_TRIES = 100;

/**
 * @throws NetError with `code` EADDRINUSE for a taken port; ConfigError where `mark` is not permitted
 */
export function openUdp(native: Native, options: UdpOptions): UdpSockets {
  const memory = block(native, 32);
  for (let tries = 1; ; tries++) {
    const udp4 = openFamily(native, memory, 4, options.port, options);
    try {
      const port = udp4 === undefined ? options.port : boundPort(native, memory, udp4.file);
      const udp6 = openFamily(native, memory, 6, port, options);
      if (udp4 === undefined && udp6 === undefined)
        throw new NetError('the kernel has neither IPv4 nor IPv6');
      return both(native, udp4, udp6, udp6 ? boundPort(native, memory, udp6.file) : port);
    } catch (error) {
      udp4?.file.close();
      const taken = (error as { code?: string }).code === 'EADDRINUSE';
      if (!taken || options.port !== 0 || tries === MAX_TRIES) throw error;
    }
  }
}

/** A bound socket, or undefined where the kernel lacks the family. */
function openFamily(
  native: Native,
  memory: Block,
  family: 4 | 6,
  port: number,
  { mark, offload }: UdpOptions,
): UdpSocket | undefined {
  const type = SOCKET.SOCK_DGRAM | SOCKET.SOCK_CLOEXEC | SOCKET.SOCK_NONBLOCK;
  const opened = native.socket(family === 4 ? SOCKET.AF_INET : SOCKET.AF_INET6, type, 0);
  if (opened === -ERRNO.EAFNOSUPPORT) return undefined;
  const file = new Descriptor(native, checked(`open an IPv${family} UDP socket`, opened));
  const set = (level: number, option: number, value: number): number =>
    setOption(native, memory, file.fd, level, option, value);
  try {
    if (family === 6) {
      checked('keep IPv4 off the IPv6 socket', set(SOCKET.IPPROTO_IPV6, SOCKET.IPV6_V6ONLY, 1));
      set(SOCKET.IPPROTO_IPV6, SOCKET.IPV6_RECVTCLASS, 1);
    } else set(SOCKET.IPPROTO_IP, SOCKET.IP_RECVTOS, 1);
    enlarge(set, SOCKET.SO_RCVBUFFORCE, SOCKET.SO_RCVBUF);
    enlarge(set, SOCKET.SO_SNDBUFFORCE, SOCKET.SO_SNDBUF);
    if (mark !== 0) checked('mark packets', set(SOCKET.SOL_SOCKET, SOCKET.SO_MARK, mark));
    const gro = offload && set(SOCKET.IPPROTO_UDP, SOCKET.UDP_GRO, 1) >= 0;
    // A kernel that does not know the option would ignore it in a message, and send one huge datagram.
    const gso = offload && set(SOCKET.IPPROTO_UDP, SOCKET.UDP_SEGMENT, 0) >= 0;
    bindAny(native, memory, file, family, port);
    return { file, family, gso, gro };
  } catch (error) {
    file.close();
    throw error;
  }
}

type SetOption = (level: number, option: number, value: number) => number;

function enlarge(set: SetOption, force: number, plain: number): void {
  if (set(SOCKET.SOL_SOCKET, force, BUFFER_BYTES) < 0) set(SOCKET.SOL_SOCKET, plain, BUFFER_BYTES);
}

function setOption(
  native: Native,
  { u32, address }: Block,
  fd: number,
  level: number,
  option: number,
  value: number,
): number {
  u32[0] = value;
  return native.setsockopt(fd, level, option, address, 4);
}

function bindAny(
  native: Native,
  { u8, u16, address }: Block,
  { fd }: Descriptor,
  family: 4 | 6,
  port: number,
): void {
  u8.fill(0);
  u16[0] = family === 4 ? SOCKET.AF_INET : SOCKET.AF_INET6;
  u8[2] = port >> 8;
  u8[3] = port & 0xff;
  const bound = native.bind(fd, address, nameBytes(family === 4));
  if (bound < 0) throw systemError(`bind UDP port ${port} for IPv${family}`, bound);
}

function boundPort(native: Native, { u8, u32, address }: Block, { fd }: Descriptor): number {
  // The name's length stands behind the longest name.
  u32[STRUCT.sockaddr_in6.bytes >> 2] = STRUCT.sockaddr_in6.bytes;
  const lengthAt = address + STRUCT.sockaddr_in6.bytes;
  checked('read the UDP port', native.getsockname(fd, address, lengthAt));
  return ((u8[2] as number) << 8) | (u8[3] as number);
}

function both(
  native: Native,
  udp4: UdpSocket | undefined,
  udp6: UdpSocket | undefined,
  port: number,
): UdpSockets {
  const memory = block(native, 32 + DATAGRAM_MAX);
  const sockets = [udp4, udp6].filter((socket) => socket !== undefined);
  return {
    port,
    udp4,
    udp6,
    sendTo: (sockaddr, datagram) => {
      if (datagram.length > DATAGRAM_MAX)
        throw new BugError(`a datagram here has at most ${DATAGRAM_MAX} bytes: ${datagram.length}`);
      const ipv4 = sockaddr[0] === SOCKET.AF_INET;
      const socket = ipv4 ? udp4 : udp6;
      if (socket === undefined) return -ERRNO.EAFNOSUPPORT;
      memory.u8.set(sockaddr);
      memory.u8.set(datagram, 32);
      const { address } = memory;
      const { fd } = socket.file;
      const sent = native.sendto(fd, address + 32, datagram.length, 0, address, nameBytes(ipv4));
      return Math.min(0, sent);
    },
    setMark: (mark) => {
      for (const { file } of sockets)
        checked(
          'mark packets',
          setOption(native, memory, file.fd, SOCKET.SOL_SOCKET, SOCKET.SO_MARK, mark),
        );
    },
    close: () => {
      for (const { file } of sockets) file.close();
    },
  };
}

/** Length of the name in a sockaddr of 28 bytes. */
function nameBytes(ipv4: boolean): number {
  return ipv4 ? STRUCT.sockaddr_in.bytes : STRUCT.sockaddr_in6.bytes;
}
