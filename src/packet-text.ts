/** A packet in one line, for a person: `tcp 100.64.0.2:51000 -> 100.64.0.1:22`. */

import { formatIp } from './base/ip.ts';

const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmpv6',
  99: 'tsmp',
  132: 'sctp',
};
const WITH_PORTS: readonly number[] = [6, 17, 132];

/** @param head its first bytes; fragments and extension headers are shown by their number alone */
export function shownPacket(head: Uint8Array): string {
  const ipv4 = (head[0] ?? 0) >> 4 === 4;
  const least = ipv4 ? 20 : 40;
  if (head.length < least) return `${head.length} bytes, no packet`;
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const protocol = view.getUint8(ipv4 ? 9 : 6);
  const [source, target] = ipv4
    ? [head.subarray(12, 16), head.subarray(16, 20)]
    : [head.subarray(8, 24), head.subarray(24, 40)];
  const ports = ipv4 ? (view.getUint8(0) & 15) * 4 : 40;
  const fragment = ipv4 && (view.getUint16(6) & 0x1fff) !== 0;
  const withPorts = WITH_PORTS.includes(protocol) && !fragment && head.length >= ports + 4;
  const place = (address: Uint8Array, at: number): string => {
    const text = formatIp(address);
    if (!withPorts) return text;
    const port = view.getUint16(at);
    return address.length === 4 ? `${text}:${port}` : `[${text}]:${port}`;
  };
  const name = PROTOCOLS[protocol] ?? `protocol ${protocol}`;
  return `${name} ${place(source, ports)} -> ${place(target, ports + 2)}`;
}
