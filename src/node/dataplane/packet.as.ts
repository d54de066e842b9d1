/**
 * What the filter must know of a packet: who talks to whom, and where a fragment or an error belongs.
 *
 *     IPv4 (options skipped)                                       -> transport
 *     IPv6 -> hop-by-hop | routing | destination | fragment, <= 8  -> transport
 *
 * `local` is our side of the tunnel and `remote` the peer's, whichever way the packet goes; IPv4 addresses
 * are followed by zeros. A flow's ports are, as on the wire:
 *
 *     TCP, UDP, SCTP   the ports
 *     ICMP echo        identifier, and 0 where our side asks or 1 where theirs does, so that leave to
 *                      answer our ping is no leave to ping us
 *     other protocols  zero;  other ICMP has no flow
 *
 * AH, ESP and what else cannot be looked into count as protocols of their own. A fragment that starts at 8
 * bytes could overwrite what was judged in the first one (RFC 1858, RFC 3128), whatever the protocol.
 */

import { be16 } from './checksum.as';

/** What is read. */
export const FLOW: u32 = 0;
export const NO_FLOW: u32 = 1;
/** An ICMP error; the packet it quotes is at `quotedAt`. */
export const ERROR: u32 = 2;

/** Which part of a packet it is. */
export const WHOLE: u32 = 0;
export const FIRST: u32 = 1;
export const LATER: u32 = 2;

/** Results: 0, or a reason of FILTER_DROPS. */
export const DROP_RULES: u32 = 1;
export const DROP_FRAGMENT: u32 = 2;
export const DROP_MALFORMED: u32 = 3;

export const TCP: u32 = 6;
export const UDP: u32 = 17;
const SCTP: u32 = 132;
export const ICMP: u32 = 1;
export const ICMP6: u32 = 58;

const MOST_HEADERS: u32 = 8;

/** How a packet is looked at: theirs, ours, or one of ours as an ICMP error quotes it, cut short. */
export const INCOMING: u32 = 0;
export const OUTGOING: u32 = 1;
export const QUOTED: u32 = 2;

export let local: v128 = i64x2.splat(0);
export let remote: v128 = i64x2.splat(0);
/** Ports 32, our own first | protocol 8 | family 8: the second part of a flow's key. */
export let talk: u64 = 0;
export let family: u32 = 0;
export let protocol: u32 = 0;
export let hasPorts: bool = false;
/** An answer begins no flow. */
export let answer: bool = false;
export let kind: u32 = FLOW;
export let fragment: u32 = WHOLE;
/** As on the wire: 16 bits, or 32 for IPv6. */
export let fragmentId: u32 = 0;
export let quotedAt: usize = 0;
export let quotedBytes: u32 = 0;

let transport: usize = 0;
let transportBytes: u32 = 0;

/** Our own port in host order. */
// @ts-ignore: decorator
@inline
export function localPort(): u32 {
  return <u32>bswap<u16>(<u16>talk);
}

/** Reads the packet at `at` into the variables above; 0, or why it must be dropped. */
export function readPacket(at: usize, length: u32, way: u32): u32 {
  if (length < 20) return DROP_MALFORMED;
  const version = load<u8>(at) >> 4;
  if (version != 4 && version != 6) return DROP_MALFORMED;
  const reason = version == 4 ? readIpv4(at, length, way) : readIpv6(at, length, way);
  if (reason != 0 || fragment == LATER) return reason;
  return readTransport(way);
}

// @ts-ignore: decorator
@inline
function readIpv4(at: usize, length: u32, way: u32): u32 {
  const headerBytes = (<u32>load<u8>(at) & 15) << 2;
  let total = be16(at + 2);
  if (total > length && way == QUOTED) total = length;
  if (headerBytes < 20 || total < headerBytes || total > length) return DROP_MALFORMED;
  family = 4;
  protocol = load<u8>(at, 9);
  transport = at + headerBytes;
  transportBytes = total - headerBytes;
  const source = v128.load_zero<u32>(at, 12);
  const target = v128.load_zero<u32>(at, 16);
  local = way == INCOMING ? target : source;
  remote = way == INCOMING ? source : target;
  const position = be16(at + 6) & 0x3fff;
  fragment = WHOLE;
  if (position == 0) return 0;
  fragmentId = load<u16>(at, 4);
  return readPosition(position & 0x1fff);
}

// @ts-ignore: decorator
@inline
function readPosition(eights: u32): u32 {
  fragment = eights == 0 ? FIRST : LATER;
  return eights == 1 ? DROP_FRAGMENT : 0;
}

// @ts-ignore: decorator
@inline
function readIpv6(at: usize, length: u32, way: u32): u32 {
  if (length < 40) return DROP_MALFORMED;
  let total = be16(at + 4) + 40;
  if (total > length && way == QUOTED) total = length;
  if (total > length) return DROP_MALFORMED;
  family = 6;
  protocol = load<u8>(at, 6);
  transport = at + 40;
  transportBytes = total - 40;
  const source = v128.load(at, 8);
  const target = v128.load(at, 24);
  local = way == INCOMING ? target : source;
  remote = way == INCOMING ? source : target;
  fragment = WHOLE;
  return protocol == TCP || protocol == UDP ? 0 : walkHeaders();
}

/**
 * Goes over extension headers until a transport, or a later fragment's payload, is reached. A first
 * fragment must hold the whole chain (RFC 7112).
 */
function walkHeaders(): u32 {
  let fragmented = false;
  for (let count: u32 = 0; count <= MOST_HEADERS; count++) {
    // Mobility, HIP and Shim6: a chain that goes on in a way not known here.
    if (protocol == 135 || protocol == 139 || protocol == 140) return DROP_MALFORMED;
    const isFragment = protocol == 44;
    if (!isFragment && protocol != 0 && protocol != 43 && protocol != 60) return 0;
    if (count == MOST_HEADERS || transportBytes < 8) return DROP_MALFORMED;
    const bytes: u32 = isFragment ? 8 : (<u32>load<u8>(transport, 1) + 1) << 3;
    if (transportBytes < bytes) return DROP_MALFORMED;
    if (isFragment) {
      if (fragmented) return DROP_MALFORMED;
      fragmented = true;
      const position = be16(transport + 2);
      fragmentId = load<u32>(transport, 4);
      // One with offset zero and no more to come is whole (RFC 6946).
      const reason = (position & 0xfff9) == 0 ? 0 : readPosition(position >> 3);
      if (reason != 0 || fragment == LATER) return reason;
    }
    protocol = load<u8>(transport);
    transport += bytes;
    transportBytes -= bytes;
  }
  return DROP_MALFORMED;
}

// @ts-ignore: decorator
@inline
function readTransport(way: u32): u32 {
  kind = FLOW;
  answer = false;
  hasPorts = true;
  let least: u32 = 8;
  if (protocol == TCP) least = way == QUOTED ? 8 : fragment == FIRST ? 16 : 20;
  else if (protocol == SCTP) least = fragment == FIRST || way == QUOTED ? 8 : 12;
  else if (protocol != UDP) return readOther(way);
  if (transportBytes < least) return fragment == FIRST ? DROP_FRAGMENT : DROP_MALFORMED;
  if (fragment == WHOLE && way != QUOTED && protocol != SCTP)
    if (!lengthHolds(transport, transportBytes, protocol == TCP)) return DROP_MALFORMED;
  // SYN and ACK together answer a SYN, and so must not begin what it was refused for.
  if (protocol == TCP && transportBytes >= 14) answer = (load<u8>(transport, 13) & 0x12) == 0x12;
  const ports = load<u32>(transport);
  setTalk(way == INCOMING ? rotl<u32>(ports, 16) : ports);
  return 0;
}

/** Whether the length that TCP's or UDP's header tells fits what is there, at least a whole header. */
// @ts-ignore: decorator
@inline
export function lengthHolds(header: usize, bytes: u32, tcp: bool): bool {
  const told: u32 = tcp ? (<u32>load<u8>(header, 12) >> 4) << 2 : be16(header + 4);
  const least: u32 = tcp ? 20 : 8;
  return told >= least && told <= bytes;
}

/**
 * Messages that change where a host sends or who it takes for its router; no business of anybody beyond a tunnel.
 *
 *     ICMP     redirect 5, router advertisement 9 and solicitation 10
 *     ICMPv6   multicast listeners 130 to 132 and 143, neighbour discovery 133 to 137
 */
// @ts-ignore: decorator
@inline
function givesOrders(type: u32): bool {
  if (family == 4) return type == 5 || type == 9 || type == 10;
  return (type >= 130 && type <= 137) || type == 143;
}

function readOther(way: u32): u32 {
  hasPorts = false;
  if (protocol != (family == 4 ? ICMP : ICMP6)) {
    setTalk(0);
    return 0;
  }
  if (transportBytes < 8) return fragment == FIRST ? DROP_FRAGMENT : DROP_MALFORMED;
  const type: u32 = load<u8>(transport);
  if (way != QUOTED && givesOrders(type)) return DROP_RULES;
  const request: u32 = family == 4 ? 8 : 128;
  answer = type == (family == 4 ? 0 : 129);
  if (answer || type == request) {
    const oursAsks = (way != INCOMING) != answer;
    setTalk(<u32>load<u16>(transport, 4) | (oursAsks ? 0 : 1 << 16));
    return 0;
  }
  setTalk(0);
  const error = family == 4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
  kind = error && fragment == WHOLE ? ERROR : NO_FLOW;
  quotedAt = transport + 8;
  quotedBytes = transportBytes - 8;
  return 0;
}

// @ts-ignore: decorator
@inline
function setTalk(ports: u32): void {
  talk = <u64>ports | (<u64>protocol << 32) | (<u64>family << 40);
}
