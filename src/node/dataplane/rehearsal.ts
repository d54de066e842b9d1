/**
 * The rehearsal: the packet path is run on packets of its own before the first real one comes, so that V8 has
 * compiled it by then. Without it the first minutes of a quiet interface run in the interpreter: a ping through
 * two of them took 0.65 ms; after a rehearsal, 0.36 ms.
 *
 * A plane is set up with one peer that is itself: what it seals it also opens. It must be a plane of its own, over
 * the ports, kernels and AEAD classes that the real one uses, and nobody else may use the arena meanwhile. All
 * that it writes to the arena is wiped in the end.
 */

import { sockaddr } from '../../base/endpoint.ts';
import { BugError } from '../../base/errors.ts';
import { prefixOf } from '../../base/prefix.ts';
import type { Arena } from './arena.ts';
import { KEYPAIR, keypairAt, PEER, peerAt, VNET_HEADER_BYTES } from './arena.ts';
import type { Plane } from './plane.ts';
import type { UdpPort } from './ports.ts';

/** The far end of the rehearsal: linux/echo.ts. */
export interface RehearsalStage {
  /** What the device gives next. */
  packet: Uint8Array | undefined;
  readonly written: number;
}

const ROUNDS = 1200;
/** So many small packets to one super-packet. */
const SMALL = 8;
const SEGMENTS = 12;
const SEGMENT_BYTES = 1368;
const UDP_BYTES = 8 + 56;
const PEER_NUMBER = 1;
const ADDRESS = [10, 0, 0, 1] as const;

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
  const small = smallPacket(vnetHeader);
  const large = vnetHeader ? superPacket() : small;
  for (let round = 0; round < ROUNDS; round++) {
    stage.packet = round % SMALL === 0 ? large : small;
    plane.tunReadable();
    plane.udpReadable(udp);
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
  const { layout, u8, u32, f64 } = arena;
  const at = keypairAt(layout, 0);
  // Any index whose low bits name slot 0.
  const index = layout.keypairs;
  u8.fill(1, at + KEYPAIR.sendKey, at + KEYPAIR.ownIndex);
  u32[(at + KEYPAIR.ownIndex) >> 2] = index;
  u32[(at + KEYPAIR.peerIndex) >> 2] = index;
  f64[(at + KEYPAIR.createdAt) >> 3] = now;
  f64[(at + KEYPAIR.rekeyAt) >> 3] = Number.POSITIVE_INFINITY;
  f64[(peerAt(layout, 0) + PEER.checkAt) >> 3] = 0;
  const address = Uint8Array.from(ADDRESS);
  plane.apply({ type: 'allow', peer: PEER_NUMBER, prefix: prefixOf(address, 32) });
  plane.apply({ type: 'activate', peer: PEER_NUMBER, slot: 0 });
  const endpoint = sockaddr({ address, port: 1, scope: 0 });
  plane.apply({ type: 'endpoint', slot: 0, sockaddr: endpoint });
  plane.apply({ type: 'keypair', slot: 0, keypair: 0, as: 'current' });
}

/** UDP without a checksum. */
function smallPacket(vnetHeader: boolean): Uint8Array {
  const packet = ipv4Packet(17, 20 + UDP_BYTES);
  packet[20 + 5] = UDP_BYTES;
  if (!vnetHeader) return packet;
  const whole = new Uint8Array(VNET_HEADER_BYTES + packet.length);
  whole.set(packet, VNET_HEADER_BYTES);
  return whole;
}

/** TCP to be cut into segments. */
function superPacket(): Uint8Array {
  const packet = ipv4Packet(6, 20 + 32 + SEGMENTS * SEGMENT_BYTES);
  packet[20 + 12] = 0x80;
  packet[20 + 13] = 0x10;
  const whole = new Uint8Array(VNET_HEADER_BYTES + packet.length);
  whole.set(packet, VNET_HEADER_BYTES);
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
