import net from 'node:net';
import t from 'tap';
import { equalBytes } from '../../../src/base/bytes.ts';
import {
  formatEndpoint,
  parseEndpoint,
  readSockaddr,
  sockaddr,
} from '../../../src/base/endpoint.ts';
import { formatIp, fromMapped, parseIp, toMapped } from '../../../src/base/ip.ts';
import { contains, formatPrefix, parsePrefix } from '../../../src/base/prefix.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

t.test('ip: text is read and written in the canonical form', async (t) => {
  for (const [text, canonical] of [
    ['192.0.2.1', '192.0.2.1'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
  ] as const)
    t.equal(formatIp(parseIp(text) as Uint8Array), canonical, text);
});

t.test(
  'ip: an IPv4 address goes into 16 bytes and comes back; others stay as they are',
  async (t) => {
    const bytes = (text: string): Uint8Array => must(parseIp(text));
    t.same(toMapped(bytes('192.0.2.1')), bytes('::ffff:192.0.2.1'));
    t.same(fromMapped(bytes('::ffff:192.0.2.1')), bytes('192.0.2.1'));
    for (const text of ['2001:db8::1', '::192.0.2.1', '::fffe:192.0.2.1'])
      t.same(fromMapped(toMapped(bytes(text))), bytes(text), text);
    t.same(fromMapped(bytes('192.0.2.1')), bytes('192.0.2.1'));
  },
);

t.test('ip: what Node calls an address is one, and nothing else', async (t) => {
  const random = seeded(1);
  const alphabet = ['1', '0', 'f', '255', '256', '01', ':', '::', '.', '%', 'g', '12345', ''];
  for (let round = 0; round < 50_000; round++) {
    const parts = Array.from({ length: random.below(12) }, () => random.pick(alphabet));
    const text = parts.join(random.pick(['', '', ':', '.']));
    const expected = net.isIPv4(text) || (net.isIPv6(text) && !text.includes('%'));
    if ((parseIp(text) !== undefined) !== expected) return t.fail(`round ${round}: '${text}'`);
  }
  for (let round = 0; round < 10_000; round++) {
    const address = random.bytes(random.pick([4, 16]));
    for (let zeros = random.below(4); zeros > 0; zeros--) address[random.below(address.length)] = 0;
    if (!net.isIP(formatIp(address))) return t.fail(`round ${round}: ${formatIp(address)}`);
    if (!equalBytes(parseIp(formatIp(address)) ?? new Uint8Array(), address))
      return t.fail(`round ${round}: ${formatIp(address)} does not come back`);
  }
  return t.pass('50,000 texts and 10,000 addresses');
});

t.test('prefix: host bits are cleared, and families do not mix', async (t) => {
  t.equal(formatPrefix(must(parsePrefix('10.1.2.3/9'))), '10.0.0.0/9');
  t.equal(formatPrefix(must(parsePrefix('fd00::1'))), 'fd00::1/128');
  for (const bad of ['10.0.0.0/33', '10.0.0.0/', '::/129', '10.0.0.0/-1', 'x/8', '10.0.0.0/8/8'])
    t.equal(parsePrefix(bad), undefined, bad);
  const all = must(parsePrefix('0.0.0.0/0'));
  t.equal(contains(all, parseIp('10.9.9.9') as Uint8Array), true);
  t.equal(contains(all, parseIp('::') as Uint8Array), false);
});

t.test('endpoint: text and sockaddr forms come back as they were', async (t) => {
  for (const text of ['192.0.2.1:51820', '[2001:db8::1]:1', '[fe80::1%3]:65535']) {
    const endpoint = must(parseEndpoint(text));
    t.equal(formatEndpoint(must(readSockaddr(sockaddr(endpoint)))), text);
  }
  for (const bad of [
    '192.0.2.1',
    '192.0.2.1:0',
    '192.0.2.1:65536',
    '[192.0.2.1]:1',
    '::1:1',
    'a:1',
  ])
    t.equal(parseEndpoint(bad), undefined, bad);
  t.equal(readSockaddr(new Uint8Array(28)), undefined, 'an empty place holds no endpoint');
});
