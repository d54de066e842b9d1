/**
 * Segmentation: one packet out of a TSO or USO super-packet, as the kernel's own GSO would have cut it.
 *
 *     super-packet   | IP | TCP or UDP | payload ............................. |
 *     segment        | IP | TCP or UDP | payload part |      written to its slot, checksums complete
 *
 * IPv4 counts its identification up; TCP moves its sequence number, keeps FIN and PSH for the last segment
 * and CWR for the first (RFC 3168 6.1.2). The super-packet stays as it was.
 */

import { copyAndSum, fold, pseudoHeader, storeBe16 } from './checksum.as';

const TCP: u32 = 6;
const UDP: u32 = 17;
const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/** Writes the segment at `to`; see ports.ts for the arguments. Header lengths are multiples of 4. */
export function segment(
  to: usize,
  from: usize,
  ipBytes: u32,
  headerBytes: u32,
  payloadAt: u32,
  payloadBytes: u32,
  index: u32,
  last: bool,
  udp: bool,
): void {
  const transportBytes = headerBytes - ipBytes;
  const length = transportBytes + payloadBytes;
  copyHeader(to, from, headerBytes);
  if (load<u8>(from) >> 4 == 4) finishIpv4(to, ipBytes, ipBytes + length, index);
  else storeBe16(to + 4, ipBytes - 40 + length);

  const transport = to + ipBytes;
  if (udp) startUdp(transport, length);
  else startTcp(transport, payloadAt, index == 0, last);
  let sum = pseudoHeader(to, udp ? UDP : TCP, length);
  for (let i: u32 = 0; i < transportBytes; i += 4) sum += load<u32>(transport + i);
  sum += copyAndSum(to + headerBytes, from + headerBytes + payloadAt, payloadBytes);
  const complete = <u16>~fold(sum);
  if (udp) store<u16>(transport, complete == 0 ? 0xffff : complete, 6);
  else store<u16>(transport, complete, 16);
}

/** `memory.copy` is a call out of the generated code; for some 50 bytes that is most of the cost. */
// @ts-ignore: decorator
@inline
export function copyHeader(to: usize, from: usize, length: u32): void {
  let i: u32 = 0;
  for (; i + 16 <= length; i += 16) v128.store(to + i, v128.load(from + i));
  for (; i < length; i += 4) store<u32>(to + i, load<u32>(from + i));
}

/** Copies a packet as it is: `copyWithin` from JavaScript takes 100 ns more. */
export function copyPacket(to: usize, from: usize, length: u32): void {
  let i: u32 = 0;
  for (; i + 64 <= length; i += 64) {
    v128.store(to + i, v128.load(from + i));
    v128.store(to + i, v128.load(from + i, 16), 16);
    v128.store(to + i, v128.load(from + i, 32), 32);
    v128.store(to + i, v128.load(from + i, 48), 48);
  }
  for (; i + 8 <= length; i += 8) store<u64>(to + i, load<u64>(from + i));
  for (; i < length; i++) store<u8>(to + i, load<u8>(from + i));
}

// @ts-ignore: decorator
@inline
function finishIpv4(to: usize, ipBytes: u32, totalBytes: u32, index: u32): void {
  storeBe16(to + 2, totalBytes);
  storeBe16(to + 4, <u32>bswap<u16>(load<u16>(to, 4)) + index);
  ipv4Checksum(to, ipBytes);
}

/** Writes the checksum of the IPv4 header at `ip`. */
// @ts-ignore: decorator
@inline
export function ipv4Checksum(ip: usize, ipBytes: u32): void {
  store<u16>(ip, 0, 10);
  let sum: u64 = 0;
  for (let i: u32 = 0; i < ipBytes; i += 4) sum += load<u32>(ip + i);
  store<u16>(ip, <u16>~fold(sum), 10);
}

// @ts-ignore: decorator
@inline
function startUdp(transport: usize, length: u32): void {
  storeBe16(transport + 4, length);
  store<u16>(transport, 0, 6);
}

// @ts-ignore: decorator
@inline
function startTcp(transport: usize, payloadAt: u32, first: bool, last: bool): void {
  store<u32>(transport, bswap<u32>(bswap<u32>(load<u32>(transport, 4)) + payloadAt), 4);
  let flags = load<u8>(transport, 13);
  if (!last) flags &= ~FIN_PSH;
  if (!first) flags &= ~CWR;
  store<u8>(transport, flags, 13);
  store<u16>(transport, 0, 16);
}
