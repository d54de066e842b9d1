/**
 * Segmentation (GSO) in plain TypeScript: what the kernel makes of a super-packet. Also the judge of GRO:
 * a joined packet is right if this cuts it into the packets that were joined.
 */

import { concat } from '../../src/base/bytes.ts';
import { be16, complete, writeBe16 } from './checksum.ts';

export interface Cut {
  readonly ipBytes: number;
  readonly headerBytes: number;
  readonly segmentBytes: number;
  readonly protocol: number;
}

export function cut(
  whole: Uint8Array,
  { ipBytes, headerBytes, segmentBytes, protocol }: Cut,
): Uint8Array[] {
  const segments: Uint8Array[] = [];
  const payloadBytes = whole.length - headerBytes;
  for (let at = 0; at < payloadBytes; at += segmentBytes) {
    const payload = whole.slice(headerBytes + at, headerBytes + at + segmentBytes);
    const segment = concat(whole.slice(0, headerBytes), payload);
    const view = new DataView(segment.buffer, segment.byteOffset, segment.length);
    if (view.getUint8(0) >> 4 === 4) {
      writeBe16(segment, 2, segment.length);
      writeBe16(segment, 4, be16(whole, 4) + segments.length);
    } else writeBe16(segment, 4, segment.length - 40);
    if (protocol === 17) writeBe16(segment, ipBytes + 4, segment.length - ipBytes);
    else {
      view.setUint32(ipBytes + 4, view.getUint32(ipBytes + 4) + at);
      let flags = view.getUint8(ipBytes + 13);
      if (at > 0) flags &= 0x7f;
      if (at + segmentBytes < payloadBytes) flags &= 0xf6;
      view.setUint8(ipBytes + 13, flags);
    }
    complete(segment, ipBytes, protocol, ipBytes + (protocol === 17 ? 6 : 16));
    segments.push(segment);
  }
  return segments;
}
