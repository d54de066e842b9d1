/** A sender and a receiver of datagrams on loopback, each in a UDP region of one arena. */

import { sockaddr } from '../../../src/base/endpoint.ts';
import { parseIp } from '../../../src/base/ip.ts';
import type { Native } from '../../../src/linux/ffi.ts';
import { loadNative } from '../../../src/linux/ffi.ts';
import { UdpSocketPort } from '../../../src/linux/udp-port.ts';
import type { UdpSockets } from '../../../src/linux/udp-sockets.ts';
import { openUdp } from '../../../src/linux/udp-sockets.ts';
import type { Arena } from '../../../src/node/dataplane/arena.ts';
import { createArena, RX_IN_BYTES, TX_OUT_BYTES } from '../../../src/node/dataplane/arena.ts';
import type { UdpCounters, UdpPort } from '../../../src/node/dataplane/ports.ts';
import { must } from '../../must.ts';
import type { Seeded } from '../../seeded.ts';

export const EAGAIN = 11;
export const native: Native = loadNative();
export const arena: Arena = createArena({ activePeers: 16, flows: 16, rules: 16 });
const { txOut, rxIn, udp4, udp6, groScratch } = arena.layout;
const { u8 } = arena;

/** A sender and a receiver on loopback, in the two UDP regions of the arena. */
export interface Pair {
  readonly sender: UdpPort & { readonly counters: UdpCounters };
  readonly receiver: UdpPort;
  readonly from: UdpSockets;
  readonly to: UdpSockets;
  /** Arena place of the receiver's sockaddr. */
  readonly target: number;
  [Symbol.dispose](): void;
}

export function pair(family: 4 | 6, offload: boolean, sending: Native = native): Pair {
  const options = { port: 0, mark: 0, offload };
  const [from, to] = [openUdp(native, options), openUdp(native, options)];
  const port = (sockets: UdpSockets, native: Native, regionAt: number): UdpSocketPort => {
    const { file, gso } = must(family === 4 ? sockets.udp4 : sockets.udp6);
    return new UdpSocketPort(native, arena, { fd: file.fd, family, gso, regionAt });
  };
  u8.set(loopback(family, to.port), groScratch);
  return {
    sender: port(from, sending, udp4),
    receiver: port(to, native, udp6),
    from,
    to,
    target: groScratch,
    [Symbol.dispose]: () => {
      from.close();
      to.close();
    },
  };
}

export function loopback(family: 4 | 6, port: number): Uint8Array {
  const address = must(parseIp(family === 4 ? '127.0.0.1' : '::1'));
  return sockaddr({ address, port, scope: 0 });
}

export interface Datagram {
  readonly text: string;
  readonly ecn: number;
}

/** Sends a few random runs, as many as the place for outgoing datagrams holds; what should arrive. */
export function sendSome(random: Seeded, { sender, target }: Pair, longest = 1452): Datagram[] {
  const sent: Datagram[] = [];
  const end = txOut + TX_OUT_BYTES;
  let at = txOut;
  for (let runs = 1 + random.below(70); runs > 0; runs--) {
    const segment = 32 + random.below(longest - 31);
    const count = 1 + random.below(Math.min(64, Math.floor(65_507 / segment)));
    const last = 32 + random.below(segment - 31);
    const length = segment * (count - 1) + last;
    if (at + length > end) break;
    const ecn = random.below(4);
    u8.set(random.bytes(length), at);
    sender.send(at, length, count === 1 ? length : segment, target, ecn);
    for (let from = 0; from < length; from += segment)
      sent.push({ text: textOf(at + from, Math.min(segment, length - from)), ecn });
    at += (length + 3) & ~3;
  }
  sender.flush();
  return sent;
}

export function receiveAll({ receiver, from }: Pair): Datagram[] {
  const all: Datagram[] = [];
  for (;;) {
    const bytes = receiver.receive(rxIn, RX_IN_BYTES);
    if (bytes === -EAGAIN) return all;
    if (bytes < 0) throw new Error(`receive: ${bytes}`);
    const { segmentBytes, ecn, sourceAt } = receiver.received;
    const source = u8.slice(sourceAt, sourceAt + 28);
    if (textOf(sourceAt, 28) !== hex(loopback(source[0] === 2 ? 4 : 6, from.port)))
      throw new Error(`source ${hex(source)}`);
    for (let at = 0; at < bytes; at += segmentBytes)
      all.push({ text: textOf(rxIn + at, Math.min(segmentBytes, bytes - at)), ecn });
  }
}

export const hex = (bytes: Uint8Array): string => bytes.toHex();
export const textOf = (at: number, length: number): string => u8.slice(at, at + length).toHex();
