/**
 * Joining (GRO): packets of one TCP or UDP flow that follow each other go to the TUN device as one
 * super-packet, so that the kernel walks its stack once for up to 64 KiB.
 *
 *     one packet    [virtio 10, zero][the packet]
 *     a train       [virtio 10][header, in scratch][payload][payload]...
 *
 * There is one pending train. A packet is joined only if cutting the result up again (segment.as.ts, or
 * the kernel) gives the packets that came: every header field that does not count is equal, TCP's sequence
 * goes on, each payload but the last has the size of the first, and PSH stands on the last alone. IPv4's
 * identification must count up; with DF, where it means nothing (RFC 6864 4.1), it may also stay the same.
 *
 * Checksums are verified before anything is joined, since the kernel trusts NEEDS_CSUM; that of the first
 * packet only once there is a second. A bad one goes alone and as it came, for the kernel to count. The
 * packets themselves are never written to, and are read again until `groFinish`.
 */

import { be16, checksum, fold, pseudoHeader, storeBe16 } from './checksum.as';
import { copyHeader, ipv4Checksum } from './segment.as';

const TCP: u32 = 6;
const UDP: u32 = 17;
/** Goes alone: not joinable, whatever follows. */
const ALONE: u32 = 0;

const MOST_BYTES: u32 = 65_535;
/** UDP_MAX_SEGMENTS of the kernel. */
const MOST_SEGMENTS: u32 = 128;
const DONT_FRAGMENT: u32 = 0x4000;
const ACK: u32 = 0x10;
const PSH: u32 = 0x08;
const VNET_BYTES: u64 = 10;
const NEEDS_CSUM: u8 = 1;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;

let scratch: usize = 0;
let iovecs: usize = 0;
let vnet: usize = 0;
let base: u64 = 0;
let udpToo: bool = false;

/** The pending packet's first IP header, 0 for none pending. */
let head: usize = 0;
let headBytes: u32 = 0;
let protocol: u32 = ALONE;
let ipBytes: u32 = 0;
let headerBytes: u32 = 0;
/** Payload of the first packet, and so of all but the last. */
let size: u32 = 0;
let payload: u32 = 0;
let segments: u32 = 0;
let nextSequence: u32 = 0;
/** How far IPv4's identification moves with each packet; told by the second one. */
let idStep: u32 = 0;
let pushed: bool = false;
let closed: bool = false;
let verified: bool = false;

export function groStart(
  scratchAt: usize,
  iovecsAt: usize,
  vnetAt: usize,
  arenaBase: f64,
  uso: bool,
): void {
  scratch = scratchAt;
  iovecs = iovecsAt;
  vnet = vnetAt;
  base = <u64>arenaBase;
  udpToo = uso;
  head = 0;
}

export function groAdd(at: usize, length: u32): bool {
  if (head == 0) {
    begin(at, length);
    return true;
  }
  if (closed || length <= headerBytes) return false;
  const bytes = length - headerBytes;
  if (bytes > size || headerBytes + payload + bytes > MOST_BYTES) return false;
  if (segments >= MOST_SEGMENTS || !followsIp(at, length)) return false;
  if (protocol == TCP ? !followsTcp(at + ipBytes) : !followsUdp(at + ipBytes, length - ipBytes))
    return false;
  if (!verified) {
    if (!intact(head, headBytes)) {
      closed = true;
      return false;
    }
    verified = true;
  }
  if (!intact(at, length)) return false;

  if (segments == 1 && ipBytes == 20) idStep = be16(at + 4) - be16(head + 4);
  iovec(segments + 2, at + headerBytes, bytes);
  segments++;
  payload += bytes;
  nextSequence += bytes;
  pushed = protocol == TCP && (load<u8>(at + ipBytes, 13) & PSH) != 0;
  closed = pushed || bytes < size;
  return true;
}

/** Makes the packet the pending one. */
function begin(at: usize, length: u32): void {
  head = at;
  headBytes = length;
  segments = 1;
  pushed = false;
  verified = false;
  protocol = readIp(at, length);
  if (protocol == TCP) readTcp(at + ipBytes, length - ipBytes);
  else if (protocol == UDP) readUdp(at + ipBytes, length - ipBytes);
  closed = protocol == ALONE || pushed;
  if (protocol == ALONE) return;
  size = length - headerBytes;
  payload = size;
  iovec(2, at + headerBytes, size);
}

/** TCP or UDP where the IP header allows joining, else ALONE; sets `ipBytes`. */
function readIp(at: usize, length: u32): u32 {
  if (length < 28) return ALONE;
  let next: u32;
  const version = load<u8>(at) >> 4;
  if (version == 4) {
    if (load<u8>(at) != 0x45 || be16(at + 2) != length) return ALONE;
    if ((be16(at + 6) & ~DONT_FRAGMENT) != 0) return ALONE;
    next = load<u8>(at, 9);
    ipBytes = 20;
  } else {
    if (version != 6 || be16(at + 4) + 40 != length) return ALONE;
    next = load<u8>(at, 6);
    ipBytes = 40;
  }
  return next == TCP || (next == UDP && udpToo) ? next : ALONE;
}

function readTcp(tcp: usize, length: u32): void {
  protocol = ALONE;
  if (length <= 20) return;
  const offsetAndFlags = be16(tcp + 12);
  const tcpBytes = (offsetAndFlags >> 12) << 2;
  if ((offsetAndFlags & 0xfff & ~PSH) != ACK || tcpBytes < 20 || tcpBytes >= length) return;
  protocol = TCP;
  headerBytes = ipBytes + tcpBytes;
  nextSequence = bswap<u32>(load<u32>(tcp, 4)) + length - tcpBytes;
  pushed = (offsetAndFlags & PSH) != 0;
}

function readUdp(udp: usize, length: u32): void {
  protocol = ALONE;
  if (length <= 8 || be16(udp + 4) != length || load<u16>(udp, 6) == 0) return;
  protocol = UDP;
  headerBytes = ipBytes + 8;
}

/** Whether the IP header at `at` is that of the next packet of the train. */
// @ts-ignore: decorator
@inline
function followsIp(at: usize, length: u32): bool {
  if (ipBytes == 40) {
    // Version, traffic class and flow label; next header and hop limit; addresses.
    return (
      load<u32>(at) == load<u32>(head) &&
      load<u16>(at, 6) == load<u16>(head, 6) &&
      be16(at + 4) + 40 == length &&
      !v128.any_true(v128.xor(v128.load(at, 8), v128.load(head, 8))) &&
      !v128.any_true(v128.xor(v128.load(at, 24), v128.load(head, 24)))
    );
  }
  // Version, length and TOS; flags, TTL and protocol; addresses.
  return (
    load<u16>(at) == load<u16>(head) &&
    load<u32>(at, 6) == load<u32>(head, 6) &&
    load<u64>(at, 12) == load<u64>(head, 12) &&
    be16(at + 2) == length &&
    followsId((be16(at + 4) - be16(head + 4)) & 0xffff)
  );
}

// @ts-ignore: decorator
@inline
function followsId(distance: u32): bool {
  if (segments > 1) return distance == ((idStep & 0xffff) * segments & 0xffff);
  return distance == 1 || (distance == 0 && (be16(head + 6) & DONT_FRAGMENT) != 0);
}

/** Ports, acknowledgement, flags but PSH, window, urgent pointer and options equal; the sequence goes on. */
// @ts-ignore: decorator
@inline
function followsTcp(tcp: usize): bool {
  const first = head + ipBytes;
  if (
    load<u32>(tcp) != load<u32>(first) ||
    bswap<u32>(load<u32>(tcp, 4)) != nextSequence ||
    load<u32>(tcp, 8) != load<u32>(first, 8) ||
    ((load<u32>(tcp, 12) ^ load<u32>(first, 12)) & ~(PSH << 8)) != 0 ||
    load<u16>(tcp, 18) != load<u16>(first, 18)
  )
    return false;
  const tcpBytes = headerBytes - ipBytes;
  for (let i: u32 = 20; i < tcpBytes; i += 4)
    if (load<u32>(tcp + i) != load<u32>(first + i)) return false;
  return true;
}

// @ts-ignore: decorator
@inline
function followsUdp(udp: usize, length: u32): bool {
  return (
    load<u32>(udp) == load<u32>(head + ipBytes) &&
    be16(udp + 4) == length &&
    load<u16>(udp, 6) != 0
  );
}

/** Whether the checksums of IPv4's header and of the transport hold. */
function intact(at: usize, length: u32): bool {
  if (ipBytes == 20) {
    let sum: u64 = load<u32>(at, 16);
    sum += <u64>load<u32>(at) + <u64>load<u32>(at, 4);
    sum += <u64>load<u32>(at, 8) + <u64>load<u32>(at, 12);
    if (fold(sum) != 0xffff) return false;
  }
  const transportBytes = length - ipBytes;
  const initial = fold(pseudoHeader(at, protocol, transportBytes));
  return checksum(at + ipBytes, transportBytes, initial) == 0xffff;
}

// @ts-ignore: decorator
@inline
function iovec(index: u32, at: usize, length: u32): void {
  const entry = iovecs + (index << 4);
  store<u64>(entry, base + <u64>at);
  store<u64>(entry, <u64>length, 8);
}

export function groFinish(): u32 {
  if (head == 0) return 0;
  store<u64>(vnet, 0);
  store<u16>(vnet, 0, 8);
  iovec(0, vnet, <u32>VNET_BYTES);
  let count: u32 = 2;
  if (segments == 1) iovec(1, head, headBytes);
  else {
    writeHeader();
    writeVnet();
    iovec(1, scratch, headerBytes);
    count = segments + 2;
  }
  head = 0;
  return count;
}

/** The train's header; its transport checksum is the pseudo-header's sum, as NEEDS_CSUM wants it. */
function writeHeader(): void {
  copyHeader(scratch, head, headerBytes);
  const length = headerBytes - ipBytes + payload;
  if (ipBytes == 20) {
    storeBe16(scratch + 2, ipBytes + length);
    ipv4Checksum(scratch, ipBytes);
  } else storeBe16(scratch + 4, length);
  const transport = scratch + ipBytes;
  const sum = <u16>fold(pseudoHeader(scratch, protocol, length));
  if (protocol == UDP) {
    storeBe16(transport + 4, length);
    store<u16>(transport, sum, 6);
    return;
  }
  if (pushed) store<u8>(transport, load<u8>(transport, 13) | <u8>PSH, 13);
  store<u16>(transport, sum, 16);
}

function writeVnet(): void {
  const tcp = protocol == TCP;
  store<u8>(vnet, NEEDS_CSUM);
  store<u8>(vnet, tcp ? (ipBytes == 20 ? GSO_TCPV4 : GSO_TCPV6) : GSO_UDP_L4, 1);
  store<u16>(vnet, <u16>headerBytes, 2);
  store<u16>(vnet, <u16>size, 4);
  store<u16>(vnet, <u16>ipBytes, 6);
  store<u16>(vnet, tcp ? 16 : 6, 8);
}
