import t from 'tap';
import { formatIp } from '../../../src/base/ip.ts';
import { decodeDescription } from '../../../src/protocol/disco/upnp/description.ts';
import { decodeSearchAnswer, encodeSearch } from '../../../src/protocol/disco/upnp/search.ts';
import {
  decodeDone,
  decodeExternalAddress,
  encodeAddMapping,
  encodeDeleteMapping,
  encodeExternalAddress,
} from '../../../src/protocol/disco/upnp/soap.ts';
import { parseXml } from '../../../src/protocol/disco/upnp/xml.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import {
  DEVICE,
  done,
  externalAddress,
  fault,
  longDescription,
  SERVICE,
  searchAnswer,
  shortDescription,
} from './upnp-documents.ts';

const GATEWAY = Uint8Array.of(192, 168, 1, 1);
const PLACE = { port: 5000, path: '/rootDesc.xml' };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array): string => new TextDecoder().decode(data);

t.test('upnp: a search asks for gateways of both versions', async (t) => {
  const [first, second] = encodeSearch().map(text);
  t.equal(
    first,
    'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\n' +
      `ST: ${DEVICE}InternetGatewayDevice:1\r\n\r\n`,
  );
  t.equal(second, first?.replace('Device:1', 'Device:2'));
});

t.test('upnp: an answer leads to the gateway itself, or nowhere', async (t) => {
  const location = (url: string): unknown => decodeSearchAnswer(searchAnswer(url), GATEWAY);
  t.same(location('http://192.168.1.1:5000/rootDesc.xml'), PLACE);
  t.same(location('http://192.168.1.1/a?b'), { port: 80, path: '/a?b' });
  for (const url of [
    'http://192.168.1.2:5000/rootDesc.xml',
    'http://router.lan:5000/rootDesc.xml',
    'https://192.168.1.1/rootDesc.xml',
    'http://192.168.1.1@198.51.100.1/',
    'http://a:b@192.168.1.1/',
    'http://192.168.1.1.example/',
    'http://[::ffff:192.168.1.1]/',
    'http://127.0.0.1:9090/',
    'http://192.168.1.1:0/',
    'file:///etc/passwd',
    '/rootDesc.xml',
    '',
    `http://192.168.1.1/${'a'.repeat(1100)}`,
  ])
    t.equal(location(url), 'upnp: location elsewhere', url);
});

t.test('upnp: what is no answer of a gateway is dropped by its reason', async (t) => {
  const decode = (answer: Uint8Array): unknown => decodeSearchAnswer(answer, GATEWAY);
  const good = text(searchAnswer('http://192.168.1.1/'));
  t.same(decode(bytes(good.replaceAll('\r\n', '\n'))), { port: 80, path: '/' });
  t.equal(decode(searchAnswer('http://192.168.1.1/', 'upnp:rootdevice')), OTHER);
  t.equal(decode(bytes(good.replace(/^ST:.*$/m, ''))), OTHER);
  for (const answer of [
    good.replace('200 OK', '404 Not Found'),
    good.replace('HTTP/1.1 200 OK', 'NOTIFY * HTTP/1.1'),
    good.replace(/^Location:.*$/m, ''),
    `${good}${'X: y\r\n'.repeat(400)}`,
    '',
  ])
    t.equal(decode(bytes(answer)), 'upnp: malformed answer');
});
const OTHER = 'upnp: answer of another device';

t.test('upnp: a description leads to the services that map ports', async (t) => {
  const decode = (document: string): unknown => decodeDescription(bytes(document), PLACE, GATEWAY);
  t.same(decode(shortDescription()), [
    { type: `${SERVICE}WANIPConnection:2`, control: { port: 5000, path: '/ctl/IPConn' } },
  ]);
  t.same(decode(longDescription()), [
    { type: `${SERVICE}WANPPPConnection:1`, control: { port: 49_000, path: '/upnp/control/ppp' } },
    {
      type: `${SERVICE}WANIPConnection:1`,
      control: { port: 49_000, path: '/upnp/control/ip?0&1' },
    },
  ]);
  t.same(decode(longDescription('')), [
    { type: `${SERVICE}WANPPPConnection:1`, control: { port: 5000, path: '/upnp/control/ppp' } },
    { type: `${SERVICE}WANIPConnection:1`, control: { port: 5000, path: '/upnp/control/ip?0&1' } },
  ]);
  const elsewhere = 'upnp: control elsewhere';
  t.equal(decode(longDescription('http://198.51.100.1/')), elsewhere);
  t.equal(decode(longDescription('http://router.lan/')), elsewhere);
  t.equal(decode(shortDescription('http://198.51.100.1/ctl')), elsewhere);
  t.equal(decode(shortDescription('//198.51.100.1/ctl')), elsewhere);
  t.equal(decode(shortDescription('/ctl', 'WANIPv6FirewallControl:1')), 'upnp: maps no ports');
  t.equal(decode(shortDescription('')), 'upnp: maps no ports');
  t.equal(decode('<html><body>login</body></html>'), 'upnp: maps no ports');
  t.equal(decode('<html><br></html>'), 'upnp: malformed XML');
});

t.test('upnp: hostile XML is a reason', async (t) => {
  const hostile = 'upnp: hostile XML';
  const bomb = `<!DOCTYPE a [<!ENTITY b "xx"><!ENTITY c "&b;&b;">]><a>&c;</a>`;
  t.equal(parseXml(bytes(bomb)), hostile, 'entities');
  t.equal(parseXml(bytes('<!DOCTYPE a SYSTEM "http://198.51.100.1/a.dtd"><a/>')), hostile);
  t.equal(parseXml(bytes('<a>'.repeat(10_000))), hostile, 'depth');
  t.equal(parseXml(bytes(`<a>${'<b/>'.repeat(5000)}</a>`)), hostile, 'elements');
  t.equal(parseXml(bytes(`<a>${' '.repeat(70_000)}</a>`)), hostile, 'size');
  for (const broken of ['', ' ', '<a>&b;</a>', '<a></b>', '<a/><b/>', '<a', '<a>&#0;</a>', '\0'])
    t.equal(parseXml(bytes(broken)), 'upnp: malformed XML', JSON.stringify(broken));
  const proto = parseXml(bytes('<__proto__><constructor>1</constructor></__proto__>'));
  t.match(proto, { name: '__proto__', children: [{ name: 'constructor', text: '1' }] });
});

t.test('upnp: whatever bytes come, there is an answer or a reason', async (t) => {
  const random = seeded(7);
  const samples = [shortDescription(), longDescription(), externalAddress('203.0.113.50')];
  for (let round = 0; round < 3000; round++) {
    const document = bytes(random.pick(samples));
    for (let flips = random.below(6); flips >= 0; flips--)
      document[random.below(document.length)] = random.below(256);
    const cut = document.subarray(0, random.below(2) * document.length || random.below(2000));
    decodeDescription(cut, PLACE, GATEWAY);
    decodeExternalAddress(cut);
    decodeDone(cut, 'AddPortMapping');
    decodeSearchAnswer(cut, GATEWAY);
  }
  t.pass('3,000 documents');
});

t.test('upnp: actions have the form that routers read', async (t) => {
  const type = `${SERVICE}WANIPConnection:1` as const;
  const mapping = {
    externalPort: 41_641,
    internalPort: 41_642,
    client: Uint8Array.of(192, 168, 1, 10),
    leaseSeconds: 7200,
  };
  const { action, body } = encodeAddMapping(type, mapping);
  t.equal(action, `"${type}#AddPortMapping"`);
  const root = must(parseXml(bytes(body)));
  if (typeof root === 'string') throw new Error(root);
  t.same(
    root.children[0]?.children[0]?.children.map(({ name, text }) => `${name}=${text}`),
    [
      'NewRemoteHost=',
      'NewExternalPort=41641',
      'NewProtocol=UDP',
      'NewInternalPort=41642',
      'NewInternalClient=192.168.1.10',
      'NewEnabled=1',
      'NewPortMappingDescription=postern',
      'NewLeaseDuration=7200',
    ],
  );
  t.match(encodeDeleteMapping(type, 41_641).body, /<NewExternalPort>41641<.*<NewProtocol>UDP</);
  t.match(
    encodeExternalAddress(type).body,
    new RegExp(`<u:GetExternalIPAddress xmlns:u="${type}">`),
  );
});

t.test('upnp: answers to actions are read, faults by their code', async (t) => {
  const address = decodeExternalAddress(bytes(externalAddress(' 203.0.113.50 ')));
  t.equal(address instanceof Uint8Array && formatIp(address), '203.0.113.50');
  const malformed = 'upnp: malformed answer';
  for (const wrong of ['', '2001:db8::1', '203.0.113.500', 'router', '203.0.113.50:1'])
    t.equal(decodeExternalAddress(bytes(externalAddress(wrong))), malformed, wrong);
  t.equal(decodeDone(bytes(done('AddPortMapping')), 'AddPortMapping'), 'done');
  t.equal(decodeDone(bytes(done('DeletePortMapping')), 'AddPortMapping'), malformed);
  t.same(decodeDone(must(fault(718).body), 'AddPortMapping'), { fault: 718 });
  t.same(decodeExternalAddress(must(fault(501).body)), { fault: 501 });
  t.equal(decodeDone(bytes('<html>500</html>'), 'AddPortMapping'), malformed);
  t.equal(decodeDone(must(fault(7.5).body), 'AddPortMapping'), malformed);
});
