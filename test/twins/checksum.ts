/** The Internet checksum (RFC 1071), word by word in network order; slow and plain, to compare with. */

export const be16 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

export function writeBe16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = (value >> 8) & 0xff;
  bytes[at + 1] = value & 0xff;
}

/** One's complement sum in network order, folded. */
export function onesSum(bytes: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += be16(bytes, at);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

/** Sum of the pseudo-header for a packet whose transport starts at `ipBytes`. */
export function pseudoSum(packet: Uint8Array, ipBytes: number, protocol: number): number {
  const v4 = (packet[0] ?? 0) >> 4 === 4;
  const addresses = v4 ? packet.subarray(12, 20) : packet.subarray(8, 40);
  const rest = new Uint8Array([0, protocol, 0, 0]);
  writeBe16(rest, 2, packet.length - ipBytes);
  return onesSum(rest, onesSum(addresses));
}

/** Fills in the checksums of IPv4's header and of the transport (its field is at `fieldAt` of the packet). */
export function complete(
  packet: Uint8Array,
  ipBytes: number,
  protocol: number,
  fieldAt: number,
): void {
  if ((packet[0] ?? 0) >> 4 === 4) {
    writeBe16(packet, 10, 0);
    writeBe16(packet, 10, ~onesSum(packet.subarray(0, ipBytes)) & 0xffff);
  }
  writeBe16(packet, fieldAt, 0);
  const sum = onesSum(packet.subarray(ipBytes), pseudoSum(packet, ipBytes, protocol));
  const inverted = ~sum & 0xffff;
  writeBe16(packet, fieldAt, protocol === 17 && inverted === 0 ? 0xffff : inverted);
}
