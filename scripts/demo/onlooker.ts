/**
 * Somebody who reads along on the Internet: tcpdump, and a search through everything that it has seen.
 *
 * A capture file is a header of 24 bytes, then for each packet a header of 16 (seconds, microseconds, bytes
 * kept, bytes there were: 32 bits each, in the byte order of the machine that wrote it) and the packet.
 */

import { readFileSync } from 'node:fs';
import type { Plug } from '../../test/netns/lab.ts';

const FILE_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;

export interface Sight {
  readonly packets: number;
  /** Packets with the searched text in them. */
  readonly found: number;
}

/**
 * Captures whole packets while `action` runs, then looks for a text in them.
 *
 * @param file for the capture; AppArmor lets tcpdump write only what ends in `.pcap`
 * @param text ASCII, short enough to lie within one packet
 */
export async function onlook(
  plug: Plug,
  file: string,
  text: string,
  action: () => Promise<void>,
): Promise<Sight> {
  // -Z root: it would otherwise become a user who may not write to our folder.
  const flags = ['-n', '-U', '-Z', 'root', '-s', '0', '--immediate-mode'];
  const tcpdump = plug.host.start(['tcpdump', ...flags, '-i', plug.interface, '-w', file]);
  await tcpdump.says(/listening on/);
  await action();
  await tcpdump.stop('SIGINT');
  return search(readFileSync(file), text);
}

function search(capture: Buffer, text: string): Sight {
  let packets = 0;
  let found = 0;
  for (let at = FILE_HEADER_BYTES; at + PACKET_HEADER_BYTES <= capture.length; ) {
    const start = at + PACKET_HEADER_BYTES;
    const end = start + readLength(capture, at + 8);
    packets++;
    if (capture.subarray(start, end).includes(text)) found++;
    at = end;
  }
  return { packets, found };
}

/** Debian runs Postern on little-endian machines only. */
function readLength(capture: Buffer, at: number): number {
  return capture.readUInt32LE(at);
}
