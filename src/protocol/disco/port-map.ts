/**
 * Asking the gateway to keep a port of its own open for us: NAT-PMP and its successor PCP, both at UDP 5351.
 *
 *     NAT-PMP  address   0 | 0                                          2 bytes
 *              answer    0 | 128 | result 2 | epoch 4 | address 4
 *              map UDP   0 | 1 | 0 2 | internal 2 | external 2 | lifetime s 4
 *              answer    0 | 129 | result 2 | epoch 4 | internal 2 | external 2 | lifetime s 4
 *
 *     PCP      map       2 | 1 | 0 2 | lifetime s 4 | own address 16
 *                        nonce 12 | 17 | 0 3 | internal 2 | external 2 | external address 16
 *              answer    2 | 129 | 0 | result 1 | lifetime s 4 | epoch 4 | 0 12
 *                        the same 36 bytes, with what was given
 *
 * IPv4 addresses of PCP are written ::ffff:a.b.c.d. A lifetime of 0 gives the port back. An answer counts only
 * for the request that it names: by nonce in PCP, by internal port in NAT-PMP; its source is the caller's to
 * check.
 *
 * Source: RFC 6886 3.2 to 3.5; RFC 6887 7, 11.
 */

import { fromMapped, IPV4_BYTES, IPV4_MAPPED, toMapped } from '../../base/ip.ts';

export const PORT_MAP_PORT = 5351;
export const PCP_NONCE_BYTES = 12;

const ANSWER = 0x80;
const PMP_MAP_UDP = 1;
const PCP_VERSION = 2;
const PCP_MAP = 1;
const UDP = 17;
const PCP_BYTES = 60;

export interface MapRequest {
  readonly internalPort: number;
  /** What is hoped for. */
  readonly externalPort: number;
  /** 0 gives the mapping back. */
  readonly lifetimeSeconds: number;
}

export type PortMapAnswer =
  | { readonly kind: 'pmp-address'; readonly address: Uint8Array }
  | {
      readonly kind: 'pmp-map';
      readonly internalPort: number;
      readonly externalPort: number;
      readonly lifetimeSeconds: number;
    }
  | {
      readonly kind: 'pcp-map';
      readonly nonce: Uint8Array;
      readonly internalPort: number;
      readonly externalPort: number;
      readonly lifetimeSeconds: number;
      /** 4 bytes. */
      readonly address: Uint8Array;
    }
  /** The gateway speaks the protocol and says no. */
  | { readonly kind: 'refused'; readonly protocol: 'pmp' | 'pcp'; readonly result: number };

export type PortMapDrop = 'port-map: malformed' | 'port-map: unknown';

export const encodePmpAddress = (): Uint8Array => Uint8Array.of(0, 0);

export function encodePmpMap({
  internalPort,
  externalPort,
  lifetimeSeconds,
}: MapRequest): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = viewOf(bytes);
  bytes[1] = PMP_MAP_UDP;
  view.setUint16(4, internalPort);
  // RFC 6886 3.4: to give a mapping back, ask for port 0 with lifetime 0.
  view.setUint16(6, lifetimeSeconds === 0 ? 0 : externalPort);
  view.setUint32(8, lifetimeSeconds);
  return bytes;
}

/** @param own the IPv4 address that the request is sent from @param nonce kept for all requests of a mapping */
export function encodePcpMap(request: MapRequest, own: Uint8Array, nonce: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PCP_BYTES);
  const view = viewOf(bytes);
  bytes[0] = PCP_VERSION;
  bytes[1] = PCP_MAP;
  view.setUint32(4, request.lifetimeSeconds);
  bytes.set(toMapped(own), 8);
  bytes.set(nonce, 24);
  bytes[36] = UDP;
  view.setUint16(40, request.internalPort);
  view.setUint16(42, request.externalPort);
  bytes.set(IPV4_MAPPED, 44);
  return bytes;
}

/** What a gateway says, or why it is dropped. Never throws. */
export function decodePortMap(datagram: Uint8Array): PortMapAnswer | PortMapDrop {
  if (datagram.length < 4) return 'port-map: malformed';
  if (datagram[0] === PCP_VERSION) return decodePcp(datagram);
  return datagram[0] === 0 ? decodePmp(datagram) : 'port-map: unknown';
}

function decodePmp(datagram: Uint8Array): PortMapAnswer | PortMapDrop {
  const view = viewOf(datagram);
  const result = view.getUint16(2);
  // Whatever was asked, a gateway that speaks another version says so in this form.
  if (((datagram[1] as number) & ANSWER) === 0) return 'port-map: unknown';
  if (result !== 0) return { kind: 'refused', protocol: 'pmp', result };
  switch (datagram[1]) {
    case ANSWER:
      if (datagram.length < 12) return 'port-map: malformed';
      return { kind: 'pmp-address', address: datagram.slice(8, 12) };
    case ANSWER | PMP_MAP_UDP:
      if (datagram.length < 16) return 'port-map: malformed';
      return {
        kind: 'pmp-map',
        internalPort: view.getUint16(8),
        externalPort: view.getUint16(10),
        lifetimeSeconds: view.getUint32(12),
      };
    default:
      return 'port-map: unknown';
  }
}

function decodePcp(datagram: Uint8Array): PortMapAnswer | PortMapDrop {
  if (datagram[1] !== (ANSWER | PCP_MAP)) return 'port-map: unknown';
  const result = datagram[3] as number;
  if (result !== 0) return { kind: 'refused', protocol: 'pcp', result };
  if (datagram.length < PCP_BYTES || datagram[36] !== UDP) return 'port-map: malformed';
  const address = fromMapped(datagram.slice(44, 60));
  if (address.length !== IPV4_BYTES) return 'port-map: malformed';
  const view = viewOf(datagram);
  return {
    kind: 'pcp-map',
    nonce: datagram.slice(24, 24 + PCP_NONCE_BYTES),
    internalPort: view.getUint16(40),
    externalPort: view.getUint16(42),
    lifetimeSeconds: view.getUint32(4),
    address,
  };
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
