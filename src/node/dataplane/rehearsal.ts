/**
 * The rehearsal: the packet path is run on packets of its own before the first real one comes, so that V8 has
 * compiled it by then. Without it the first minutes of a quiet interface run in the interpreter: a ping through
 * two of them took 0.65 ms; after a rehearsal, 0.36 ms.
 *
 * Before that come contacts: a packet that waits for its keypair, and one that confirms a keypair, since the first real
 * packets are those, and code that was compiled without them is thrown away at the first.
 *
 * It is to be done twice, on two stages: code that has called one function alone is compiled for that one, and thrown
 * away when another is called in its place.
 *
 * A plane is set up with one peer that is itself: what it seals it also opens. It must be a plane of its own, over
 * the ports, kernels and AEAD classes that the real one uses, and nobody else may use the arena meanwhile. All
 * that it writes to the arena is wiped in the end.
 */

import { concat } from '../../base/bytes.ts';
import { sockaddr } from '../../base/endpoint.ts';
import { BugError } from '../../base/errors.ts';
import { prefixOf } from '../../base/prefix.ts';
import type { Arena } from './arena.ts';
import { KEYPAIR, keypairAt, PEER, peerAt, VNET_HEADER_BYTES } from './arena.ts';
import type { Plane } from './plane.ts';
import type { UdpPort } from './ports.ts';
import { ALLOW_ALL } from './rules.ts';

/** The far end of the rehearsal: linux/echo.ts. */
export interface RehearsalStage {
  /** What the device gives next. */
  packet: Uint8Array | undefined;
  readonly written: number;
}

const ROUNDS = 900;
const CONTACTS = 96;
/** So many packets to one super-packet, and to one of IPv6. */
const LARGE_EVERY = 8;
const IPV6_EVERY = 3;
/** And to one that has nowhere to go. */
const LOST_EVERY = 30;
const SEGMENTS = 12;
const SEGMENT_BYTES = 1368;
const UDP_BYTES = 8 + 56;
const PEER_NUMBER = 1;
const ADDRESS = [10, 0, 0, 1] as const;
const ADDRESS6: Uint8Array = Uint8Array.of(0xfd, ...new Uint8Array(14), 1);

/**
 * @param vnetHeader the device's packets have a virtio header before them
 * @throws BugError where not all came through: then it would not for real packets either
 */
export function rehearse(
  plane: Plane,
  arena: Arena,
  udp: UdpPort,
  stage: RehearsalStage,
  vnetHeader: boolean,
  now: number,
): void {
  setScene(plane, arena, now);
  const small = behindHeader(smallPacket(), vnetHeader);
  const ipv6 = behindHeader(ipv6Packet(), vnetHeader);
  const lost = behindHeader(smallPacket([192, 0, 2, 1]), vnetHeader);
  const large = vnetHeader ? superPacket() : small;
  for (let contact = 0; contact < CONTACTS; contact++) meet(plane, arena, udp, stage, small, now);
  for (let round = 0; round < ROUNDS; round++) {
    stage.packet = round % LARGE_EVERY === 0 ? large : round % IPV6_EVERY === 0 ? ipv6 : small;
    plane.tunReadable();
    plane.udpReadable(udp);
    if (round % LOST_EVERY !== 0) continue;
    stage.packet = lost;
    plane.tunReadable();
  }
  const { written } = stage;
  // The AEAD forgets the key as well: the place will hold another.
  plane.apply({ type: 'drop-keypairs', slot: 0 });
  wipe(arena);
  const least = ROUNDS * (20 + UDP_BYTES);
  if (written < least)
    throw new BugError(`the packet path carries ${written} of ${least} bytes through itself`);
}

function setScene(plane: Plane, arena: Arena, now: number): void {
  const { layout, f64 } = arena;
  writeKeypair(arena, now);
  f64[(peerAt(layout, 0) + PEER.checkAt) >> 3] = Number.POSITIVE_INFINITY;
  f64[(peerAt(layout, 0) + PEER.trustedUntil) >> 3] = Number.POSITIVE_INFINITY;
  const address = Uint8Array.from(ADDRESS);
  // Neighbours, so that a look-up has a way to go.
  for (const bits of [32, 24, 8]) {
    const peer = bits === 32 ? PEER_NUMBER : PEER_NUMBER + bits;
    plane.apply({ type: 'allow', peer, prefix: prefixOf(address, bits) });
    plane.apply({ type: 'allow', peer, prefix: prefixOf(ADDRESS6, bits * 4) });
  }
  plane.apply({ type: 'rules', rules: [ALLOW_ALL] });
  plane.apply({ type: 'activate', peer: PEER_NUMBER, slot: 0 });
  const endpoint = sockaddr({ address, port: 1, scope: 0 });
  plane.apply({ type: 'endpoint', slot: 0, sockaddr: endpoint });
  plane.apply({ type: 'keypair', slot: 0, keypair: 0, as: 'current' });
}

function writeKeypair({ layout, u8, u32, f64 }: Arena, now: number): void {
  const at = keypairAt(layout, 0);
  // Any index whose low bits name slot 0; real ones use all 32 bits.
  const index = (0x8000_0000 | layout.keypairs) >>> 0;
  u8.fill(0, at, at + KEYPAIR.bytes);
  u8.fill(1, at + KEYPAIR.sendKey, at + KEYPAIR.ownIndex);
  u32[(at + KEYPAIR.ownIndex) >> 2] = index;
  u32[(at + KEYPAIR.peerIndex) >> 2] = index;
  f64[(at + KEYPAIR.createdAt) >> 3] = now;
  f64[(at + KEYPAIR.rekeyAt) >> 3] = Number.POSITIVE_INFINITY;
}

/** Both halves of a first contact: the packet that waits for its keypair, and the one that confirms a keypair. */
function meet(
  plane: Plane,
  arena: Arena,
  udp: UdpPort,
  stage: RehearsalStage,
  packet: Uint8Array,
  now: number,
): void {
  const { layout, u32 } = arena;
  // The main thread has looked, and is told again of what is due sooner than it knows.
  const epoch = (peerAt(layout, 0) + PEER.checkEpoch) >> 2;
  u32[epoch] = (u32[epoch] as number) + 1;
  plane.apply({ type: 'drop-keypairs', slot: 0 });
  stage.packet = packet;
  plane.tunReadable();
  writeKeypair(arena, now);
  plane.apply({ type: 'keypair', slot: 0, keypair: 0, as: 'current' });
  // It is under way: who gets it has answered an initiation, and takes it for the confirmation.
  plane.apply({ type: 'drop-keypairs', slot: 0 });
  writeKeypair(arena, now);
  plane.apply({ type: 'keypair', slot: 0, keypair: 0, as: 'next' });
  plane.udpReadable(udp);
  plane.apply({ type: 'keepalive', slot: 0 });
  // And one that came too late.
  plane.apply({ type: 'drop-keypairs', slot: 0 });
  plane.udpReadable(udp);
  writeKeypair(arena, now);
  plane.apply({ type: 'keypair', slot: 0, keypair: 0, as: 'current' });
  plane.udpReadable(udp);
}

/** UDP without a checksum. */
function smallPacket(target: readonly number[] = ADDRESS): Uint8Array {
  const packet = ipv4Packet(17, 20 + UDP_BYTES);
  packet.set(target, 16);
  packet[20 + 5] = UDP_BYTES;
  return packet;
}

/** The same, which IPv6 does not allow; nobody looks. */
function ipv6Packet(): Uint8Array {
  const packet = new Uint8Array(40 + UDP_BYTES);
  packet[0] = 0x60;
  packet[5] = UDP_BYTES;
  packet[6] = 17;
  packet.set(ADDRESS6, 8);
  packet.set(ADDRESS6, 24);
  packet[40 + 5] = UDP_BYTES;
  return packet;
}

function behindHeader(packet: Uint8Array, vnetHeader: boolean): Uint8Array {
  return vnetHeader ? concat(new Uint8Array(VNET_HEADER_BYTES), packet) : packet;
}

/** TCP to be cut into segments. */
function superPacket(): Uint8Array {
  const packet = ipv4Packet(6, 20 + 32 + SEGMENTS * SEGMENT_BYTES);
  packet[20 + 12] = 0x80;
  packet[20 + 13] = 0x10;
  const whole = behindHeader(packet, true);
  const header = new DataView(whole.buffer);
  header.setUint8(0, 1);
  header.setUint8(1, 1);
  header.setUint16(4, SEGMENT_BYTES, true);
  header.setUint16(6, 20, true);
  header.setUint16(8, 16, true);
  return whole;
}

function ipv4Packet(protocol: number, bytes: number): Uint8Array {
  const packet = new Uint8Array(bytes);
  const view = new DataView(packet.buffer);
  view.setUint16(0, 0x4500);
  view.setUint16(2, bytes);
  view.setUint16(6, 0x4000);
  view.setUint16(8, 0x4000 | protocol);
  packet.set(ADDRESS, 12);
  packet.set(ADDRESS, 16);
  view.setUint32(20, 0x0001_0001);
  return packet;
}

/** Reading a page that nobody wrote costs no memory; writing it would. */
function wipe({ layout, u8, u32 }: Arena): void {
  const peer = peerAt(layout, 0);
  const keypair = keypairAt(layout, 0);
  u8.fill(0, peer, peer + PEER.bytes);
  u8.fill(0, keypair, keypair + KEYPAIR.bytes);
  for (let word = layout.flowsAt >> 2; word < layout.tunRead >> 2; word++)
    if (u32[word] !== 0) u32[word] = 0;
}
