import t from 'tap';
import { toBase64 } from '../../../src/base/bytes.ts';
import { formatEndpoint } from '../../../src/base/endpoint.ts';
import { ConfigError } from '../../../src/base/errors.ts';
import { formatIp } from '../../../src/base/ip.ts';
import { formatPrefix } from '../../../src/base/prefix.ts';
import { parseWgConf } from '../../../src/node/uapi/wg-conf.ts';
import { seeded } from '../../seeded.ts';

const random = seeded(21);
const KEY = toBase64(random.bytes(32));
const PEER = toBase64(random.bytes(32));
const OTHER = toBase64(random.bytes(32));

t.test('wg.conf: a file of wg-quick is read', async (t) => {
  const conf = parseWgConf(
    [
      '\uFEFF# my tunnel',
      '[interface]',
      `PrivateKey=${KEY}  # secret`,
      'listenport = 51820',
      'FwMark = 0xCA6C',
      'Address = 10.0.0.2/24, fd00::2/64',
      'Address = 192.0.2.7',
      'MTU = 1380',
      'DNS = 10.0.0.1',
      'PostUp = iptables -A INPUT -i %i -j ACCEPT',
      'Table = off',
      '',
      '[Peer]',
      `PublicKey = ${PEER}`,
      `PresharedKey = ${KEY}`,
      'AllowedIPs = 0.0.0.0/0,::/0',
      'AllowedIPs = 10.1.2.3/16',
      'Endpoint = [2001:db8::1]:51820',
      'PersistentKeepalive = 25\r',
      '[Peer]',
      `PublicKey = ${OTHER}`,
      'Endpoint = vpn.example.com:1234',
      'PersistentKeepalive = off',
      'AllowedIPs =',
    ].join('\n'),
    'wg0.conf',
  );
  t.match(conf.change, { listenPort: 51820, fwmark: 0xca6c, replacePeers: true });
  t.equal(toBase64(conf.change.privateKey?.expose() ?? new Uint8Array()), KEY);
  t.same(
    conf.addresses.map(({ address, bits }) => `${formatIp(address)}/${bits}`),
    ['10.0.0.2/24', 'fd00::2/64', '192.0.2.7/32'],
  );
  t.equal(conf.mtuBytes, 1380);
  t.equal(conf.table, 'off');
  t.same(conf.ignored, [
    { line: 9, key: 'DNS' },
    { line: 10, key: 'PostUp' },
  ]);
  const [first, second] = conf.change.peers;
  t.equal(first?.endpoint && formatEndpoint(first.endpoint), '[2001:db8::1]:51820');
  t.match(first, { persistentKeepaliveSeconds: 25, replaceAllowedIps: true });
  t.same(
    first?.allowedIps.map(({ prefix }) => formatPrefix(prefix)),
    ['0.0.0.0/0', '::/0', '10.1.0.0/16'],
  );
  t.match(second, { presharedKey: null, persistentKeepaliveSeconds: 0, allowedIps: [] });
  t.equal(second?.endpoint, undefined);
  t.match(conf.unresolved, [{ host: 'vpn.example.com', port: 1234 }]);
  t.equal(toBase64(conf.unresolved[0]?.publicKey ?? new Uint8Array()), OTHER);
});

t.test('wg.conf: what the file does not say is removed', async (t) => {
  t.same(parseWgConf('[Interface]\n', 'f').change, {
    privateKey: null,
    listenPort: 0,
    fwmark: 0,
    replacePeers: true,
    peers: [],
  });
});

t.test('wg.conf: an error names line, key, what was found and what was wanted', async (t) => {
  const peer = `[Peer]\nPublicKey=${PEER}\n`;
  for (const [text, message] of [
    ['ListenPort = 1', /^f:1: ListenPort stands before \[Interface\]/],
    ['[Interface]\nListenPort = 70000', /^f:2: ListenPort: wanted .* 0 to 65535, found '70000'/],
    ['[Interface]\nMTU = 10', /^f:2: MTU: wanted .*576.*found '10'/],
    ['[Interface]\nFwMark = green', /^f:2: FwMark: .*found 'green'/],
    ['[Interface]\nAddress = 10.0.0.1/24,x', /^f:2: Address: .*found 'x'/],
    ['[Interface]\nColour = red', /^f:2: Colour is no key of \[Interface\]/],
    ['[Interface]\nPublicKey = x', /^f:2: PublicKey is no key of \[Interface\]/],
    ['[Peers]', /^f:1: wanted \[Interface\], \[Peer\] or Key = value/],
    ['[Peer]\nAllowedIPs = ::/0\n', /^f:1: this \[Peer\] has no PublicKey/],
    [`${peer}AllowedIPs = 10.0.0.0/33`, /^f:3: AllowedIPs: .*found '10.0.0.0\/33'/],
    [`${peer}Endpoint = 300.1.1.1:1`, /^f:3: Endpoint: .*found '300.1.1.1:1'/],
    [`${peer}Endpoint = host`, /^f:3: Endpoint: .*found 'host'/],
    [`${peer}Endpoint = host:0`, /^f:3: Endpoint: .*found 'host:0'/],
    [`${peer}Endpoint = 2001:db8::1:5`, /^f:3: Endpoint:/],
    [`${peer}PersistentKeepalive = 65536`, /^f:3: PersistentKeepalive: /],
    [`${peer}${peer}`, /^f:3: .*of the one in line 1/],
  ] as const) {
    const found = t.throws(() => parseWgConf(text, 'f'), ConfigError, text);
    t.match((found as Error | false) || {}, { message }, text);
  }
});

t.test('wg.conf: a wrong secret is not shown', async (t) => {
  for (const text of [`PrivateKey = ${KEY.slice(1)}`, KEY.replaceAll('=', '')])
    try {
      parseWgConf(`[Interface]\n${text}`, 'f');
      t.fail('was taken');
    } catch (error) {
      t.match((error as Error).message, /^f:2: /);
      t.notMatch((error as Error).message, KEY.slice(2, 20));
    }
});

t.test('wg.conf: any text is read or refused by a ConfigError', async (t) => {
  const words = [
    '[Interface]',
    '[Peer]',
    'PublicKey',
    '=',
    PEER,
    '\n',
    '\n',
    'Endpoint',
    'a:1',
    ',',
    '#',
  ];
  for (let round = 0; round < 20_000; round++) {
    const text = Array.from({ length: random.below(30) }, () => random.pick(words)).join('');
    try {
      parseWgConf(text, 'f');
    } catch (error) {
      if (!(error instanceof ConfigError)) return t.fail(`round ${round}: ${error}`);
    }
  }
  return t.pass('20,000 texts');
});
