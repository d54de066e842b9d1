import t from 'tap';
import { toHex } from '../../../src/base/bytes.ts';
import { formatEndpoint } from '../../../src/base/endpoint.ts';
import { NodePrivate, nodePublic, PresharedKey } from '../../../src/base/keys.ts';
import { formatPrefix } from '../../../src/base/prefix.ts';
import { formatStatus } from '../../../src/node/uapi/answers.ts';
import type { Request } from '../../../src/node/uapi/protocol.ts';
import {
  ERRNO,
  MAX_REQUEST_BYTES,
  parseSet,
  RequestReader,
  withoutPeer,
} from '../../../src/node/uapi/protocol.ts';
import { seeded } from '../../seeded.ts';
import { FakeInterface } from './fake-interface.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const indexOf = (name: string): number | undefined => (name === 'eth0' ? 7 : undefined);
const KEY = 'ab'.repeat(32);
const ZERO = '00'.repeat(32);

function all(reader: RequestReader): Request[] {
  const requests: Request[] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next()) requests.push(next);
  return requests;
}

t.test('set: every key of the interface and of a peer is understood', async (t) => {
  const request = parseSet(
    [
      `private_key=${KEY}`,
      'listen_port=51820',
      'fwmark=4294967295',
      'replace_peers=true',
      `public_key=${KEY}`,
      'update_only=true',
      `preshared_key=${KEY}`,
      'endpoint=[fe80::1%eth0]:1',
      'persistent_keepalive_interval=25',
      'replace_allowed_ips=true',
      'allowed_ip=10.1.2.3/8',
      'allowed_ip=-fd00::/8',
      'protocol_version=1',
      `public_key=${'cd'.repeat(32)}`,
      'remove=true',
    ],
    indexOf,
  );
  if (request.type !== 'set') return t.fail(request.reason);
  const { change } = request;
  const [peer, gone] = change.peers;
  t.equal(change.privateKey?.equals(new NodePrivate(Buffer.from(KEY, 'hex'))), true);
  t.match(change, { listenPort: 51820, fwmark: 0xffff_ffff, replacePeers: true });
  t.equal(peer?.presharedKey?.equals(new PresharedKey(Buffer.from(KEY, 'hex'))), true);
  t.match(peer, { updateOnly: true, persistentKeepaliveSeconds: 25, replaceAllowedIps: true });
  t.equal(peer?.endpoint && formatEndpoint(peer.endpoint), '[fe80::1%7]:1', 'eth0 is index 7');
  t.same(
    peer?.allowedIps.map(({ prefix, remove }) => `${remove ? '-' : '+'}${formatPrefix(prefix)}`),
    ['+10.0.0.0/8', '-fd00::/8'],
  );
  return t.match(gone, { remove: true, allowedIps: [] });
});

t.test('set: keys of zeros mean none', async (t) => {
  const request = parseSet(
    [`private_key=${ZERO}`, `public_key=${KEY}`, `preshared_key=${ZERO}`],
    indexOf,
  );
  t.match(request, { change: { privateKey: null, peers: [{ presharedKey: null }] } });
});

t.test('set: one wrong line refuses the whole request', async (t) => {
  const peer = `public_key=${KEY}`;
  for (const [lines, errno] of [
    [['listen_port=65536'], ERRNO.invalid],
    [['listen_port=-1'], ERRNO.invalid],
    [['listen_port='], ERRNO.invalid],
    [['fwmark=4294967296'], ERRNO.invalid],
    [['fwmark=0x1'], ERRNO.invalid],
    [['replace_peers=false'], ERRNO.invalid],
    [[`private_key=${KEY}0`], ERRNO.invalid],
    [['private_key'], ERRNO.protocol],
    [['endpoint=1.2.3.4:5'], ERRNO.invalid],
    [['public_key='], ERRNO.invalid],
    [[peer, 'listen_port=1'], ERRNO.invalid],
    [[peer, 'endpoint=example.com:1'], ERRNO.invalid],
    [[peer, 'endpoint=[fe80::1%eth9]:1'], ERRNO.invalid],
    [[peer, 'allowed_ip=10.0.0.0/33'], ERRNO.invalid],
    [[peer, 'allowed_ip='], ERRNO.invalid],
    [[peer, 'persistent_keepalive_interval=65536'], ERRNO.invalid],
    [[peer, 'protocol_version=2'], ERRNO.invalid],
    [[peer, 'remove=1'], ERRNO.invalid],
    [[peer, ' remove=true'], ERRNO.invalid],
  ] as const)
    t.match(parseSet(['listen_port=1', ...lines], indexOf), { type: 'refused', errno }, `${lines}`);
});

t.test('set: a reason never shows what stood in a key', async (t) => {
  const request = parseSet(['private_key=c0ffee'], indexOf);
  t.equal(request.type, 'refused');
  t.notMatch(JSON.stringify(request), /c0ffee/);
});

t.test('reader: requests are found however the stream is cut', async (t) => {
  const random = seeded(11);
  const stream = bytes(`get=1\n\nset=1\nlisten_port=7\n\nset=1\nbad\n\nget=1\nx=1\n\nget=1\n\n`);
  const expected = ['get', 'set', 'refused', 'refused', 'get'];
  for (let round = 0; round < 2000; round++) {
    const reader = new RequestReader(indexOf);
    const found: string[] = [];
    for (let at = 0; at < stream.length; ) {
      const length = 1 + random.below(random.pick([2, 20, 80]));
      reader.push(stream.subarray(at, at + length));
      found.push(...all(reader).map(({ type }) => type));
      at += length;
    }
    if (found.join() !== expected.join() || reader.partial)
      return t.same(found, expected, `round ${round}`);
  }
  return t.pass('2,000 ways to cut it');
});

t.test('reader: what is no request, or too large, ends the connection', async (t) => {
  const peers = `public_key=${KEY}\n`.repeat(MAX_REQUEST_BYTES / 70);
  for (const [text, errno] of [
    ['GET / HTTP/1.1\r\n', ERRNO.protocol],
    ['\n', ERRNO.protocol],
    ['set=2\n', ERRNO.protocol],
    [`set=1\n${'x'.repeat(300)}`, ERRNO.tooBig],
    [`set=1\n${peers}`, ERRNO.tooBig],
  ] as const) {
    const reader = new RequestReader(indexOf);
    reader.push(bytes(text));
    t.match(all(reader), [{ type: 'refused', errno, close: true }], text.slice(0, 20));
    reader.push(bytes('get=1\n\n'));
    t.same(all(reader), [], 'nothing is read any more');
    t.equal(reader.partial, false);
  }
});

t.test('reader: random bytes give requests or refusals, never an exception', async (t) => {
  const random = seeded(12);
  const words = [
    'set=1',
    'get=1',
    '\n',
    '\n\n',
    '=',
    `public_key=${KEY}`,
    'allowed_ip=',
    '-',
    '::/0',
  ];
  for (let round = 0; round < 20_000; round++) {
    const reader = new RequestReader(indexOf);
    const parts = Array.from({ length: random.below(20) }, () =>
      random.below(4) === 0 ? random.bytes(random.below(9)) : bytes(random.pick(words)),
    );
    for (const part of ['set=1\n', ...parts, '\n\n'])
      reader.push(typeof part === 'string' ? bytes(part) : part);
    all(reader);
  }
  t.pass('20,000 streams');
});

t.test('status: what a status says can be set again', async (t) => {
  const random = seeded(13);
  for (let round = 0; round < 300; round++) {
    const from = new FakeInterface();
    from.privateKey = new NodePrivate(random.bytes(32));
    from.listenPort = random.below(65_536);
    from.fwmark = random.below(2 ** 32);
    const lines = Array.from({ length: random.below(5) }, (_, i) => [
      `public_key=${toHex(random.bytes(32))}`,
      `preshared_key=${random.pick([ZERO, toHex(random.bytes(32))])}`,
      ...random.pick([[], ['endpoint=192.0.2.1:9'], ['endpoint=[fe80::1%3]:65535']]),
      `persistent_keepalive_interval=${random.below(65_536)}`,
      `allowed_ip=10.${i}.0.0/16`,
      `allowed_ip=fd00:${i}::/32`,
    ]).flat();
    const set = parseSet(lines, indexOf);
    if (set.type !== 'set') return t.fail(`round ${round}: ${set.reason}`);
    from.configure(set.change);
    const text = formatStatus(from.status());
    const settable = text
      .split('\n')
      .filter((line) => line !== '' && !/^(last_handshake|tx_|rx_)/.test(line));
    const again = parseSet(settable, indexOf);
    if (again.type !== 'set') return t.fail(`round ${round}: ${again.reason}`);
    const to = new FakeInterface();
    to.configure(again.change);
    if (formatStatus(to.status()) !== text)
      return t.equal(formatStatus(to.status()), text, `round ${round}`);
  }
  return t.pass('300 interfaces');
});

t.test('set: the interface itself is taken out of its peers', async (t) => {
  const own = nodePublic(Buffer.from(KEY, 'hex'));
  const request = parseSet([`public_key=${KEY}`, `public_key=${ZERO}`], indexOf);
  if (request.type !== 'set') return t.fail(request.reason);
  return t.same(
    withoutPeer(request.change, own).peers.map(({ publicKey }) => toHex(publicKey)),
    [ZERO],
  );
});
