/** Messages from node to node: read back as they were written, and nothing else is taken for one. */

import t from 'tap';
import { parseIp } from '../../../src/base/ip.ts';
import { readTsmp, writeTsmp } from '../../../src/protocol/tsmp/tsmp.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

const data = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

t.test('tsmp: what is written is read back, for both families', async (t) => {
  for (const [source, target] of [
    ['100.64.0.1', '100.64.0.2'],
    ['fd7a:115c:a1e0::1', 'fd7a:115c:a1e0::2'],
  ] as const)
    for (const type of ['ping', 'pong'] as const) {
      const message = { type, source: must(parseIp(source)), target: must(parseIp(target)), data };
      t.strictSame(readTsmp(writeTsmp(message)), message);
    }
});

t.test('tsmp: the IPv4 header has the bytes and the checksum that a receiver wants', async (t) => {
  const packet = writeTsmp({
    type: 'pong',
    source: must(parseIp('100.64.0.1')),
    target: must(parseIp('100.64.0.2')),
    data,
  });
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += ((packet[at] ?? 0) << 8) | (packet[at + 1] ?? 0);
  t.equal((sum & 0xffff) + (sum >>> 16), 0xffff, 'RFC 1071: all words together are ones');
  t.equal(packet.length, 31);
  t.equal(packet[9], 99);
});

t.test('tsmp: cut, changed and other packets are none, and nothing throws', async (t) => {
  const random = seeded(7);
  const ping = writeTsmp({
    type: 'ping',
    source: must(parseIp('100.64.0.1')),
    target: must(parseIp('100.64.0.2')),
    data,
  });
  for (let length = 0; length < ping.length; length++)
    t.equal(readTsmp(ping.subarray(0, length)), undefined, `${length} bytes`);
  let taken = 0;
  for (let round = 0; round < 1000; round++) {
    const other = Uint8Array.from(ping);
    other[9] = random.below(99);
    if (readTsmp(other) !== undefined) taken++;
  }
  t.equal(taken, 0);
});
