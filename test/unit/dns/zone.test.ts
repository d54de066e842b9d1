import t from 'tap';
import { parseIp } from '../../../src/base/ip.ts';
import { RCODE, TYPE, typeText } from '../../../src/protocol/dns/constants.ts';
import { reverseName } from '../../../src/protocol/dns/name.ts';
import { answerFrom, NEGATIVE_TTL_SECONDS, zoneOf } from '../../../src/protocol/dns/zone.ts';
import { must } from '../../must.ts';

const ip = (text: string): Uint8Array => must(parseIp(text), text);

const zone = zoneOf({
  hosts: new Map([
    ['cam.mesh.example', [ip('100.64.0.1'), ip('fd7a:115c:a1e0::1')]],
    ['old.mesh.example', [ip('100.64.0.2')]],
    ['db.rack1.mesh.example', [ip('100.64.0.3')]],
    ['wiki.corp.test', [ip('100.64.0.1')]],
  ]),
  ownDomains: ['mesh.example', '64.100.in-addr.arpa'],
});

/** `NOERROR AAAA`, `NXDOMAIN +SOA`, or undefined where the name is not ours. */
function said(name: string, type: number): string | undefined {
  const answer = answerFrom(zone, { name, type, bytes: new Uint8Array(0) });
  if (answer === undefined) return undefined;
  const code = answer.rcode === RCODE.NXDOMAIN ? 'NXDOMAIN' : 'NOERROR';
  const answers = answer.answers.map((record) => ` ${typeText(record.type)}`);
  return (
    code + answers.join('') + answer.authority.map((one) => ` +${typeText(one.type)}`).join('')
  );
}

const TABLE: readonly [name: string, type: number, said: string | undefined][] = [
  ['cam.mesh.example', TYPE.A, 'NOERROR A'],
  ['cam.mesh.example', TYPE.AAAA, 'NOERROR AAAA'],
  ['cam.mesh.example', TYPE.ANY, 'NOERROR A AAAA'],
  ['cam.mesh.example', TYPE.HTTPS, 'NOERROR +SOA'],
  ['old.mesh.example', TYPE.AAAA, 'NOERROR +SOA'],
  ['none.mesh.example', TYPE.A, 'NXDOMAIN +SOA'],
  ['sub.cam.mesh.example', TYPE.A, 'NXDOMAIN +SOA'],
  ['rack1.mesh.example', TYPE.A, 'NOERROR +SOA'],
  ['mesh.example', TYPE.A, 'NOERROR +SOA'],
  ['mesh.example', TYPE.SOA, 'NOERROR SOA'],
  ['wiki.corp.test', TYPE.A, 'NOERROR A'],
  ['wiki.corp.test', TYPE.MX, 'NOERROR +SOA'],
  ['corp.test', TYPE.A, undefined],
  ['none.corp.test', TYPE.A, undefined],
  ['example', TYPE.A, undefined],
  ['xmesh.example', TYPE.A, undefined],
  ['', TYPE.NS, undefined],
  [reverseName(ip('100.64.0.1')), TYPE.PTR, 'NOERROR PTR'],
  [reverseName(ip('100.64.0.1')), TYPE.A, 'NOERROR +SOA'],
  [reverseName(ip('fd7a:115c:a1e0::1')), TYPE.PTR, 'NOERROR PTR'],
  [reverseName(ip('100.64.9.9')), TYPE.PTR, 'NXDOMAIN +SOA'],
  [reverseName(ip('192.0.2.1')), TYPE.PTR, undefined],
];

t.test('zone: what is said of each name', async (t) => {
  for (const [name, type, wanted] of TABLE)
    t.equal(said(name, type), wanted, `${name} ${typeText(type)}`);
});

t.test('zone: backwards is the first name that was given for an address', async (t) => {
  const question = { name: reverseName(ip('100.64.0.1')), type: TYPE.PTR, bytes: new Uint8Array() };
  const [record] = must(answerFrom(zone, question)).answers;
  t.equal(Buffer.from(must(record).data).toString('latin1'), '\x03cam\x04mesh\x07example\0');
});

t.test('zone: that a name does not exist may be believed for five seconds', async (t) => {
  const question = { name: 'no.mesh.example', type: TYPE.A, bytes: new Uint8Array() };
  const [soa] = must(answerFrom(zone, question)).authority;
  const { data, ttlSeconds } = must(soa);
  t.equal(ttlSeconds, NEGATIVE_TTL_SECONDS);
  t.equal(new DataView(data.buffer).getUint32(data.length - 4), 5);
});

t.test('zone: a hostile map takes no bare name and brings no odd one in', async (t) => {
  const names = [
    'localhost',
    'wpad',
    'a.localhost',
    '',
    'two words.mesh.example',
    'new\nline.mesh.example',
    '-option.mesh.example',
    `${'a'.repeat(64)}.mesh.example`,
    'ümlaut.mesh.example',
    '..',
  ];
  const hostile = zoneOf({
    hosts: new Map(names.map((name) => [name, [ip('100.64.0.9')]])),
    ownDomains: ['', '.', 'a b'],
  });
  t.equal(hostile.hosts.size, 0);
  t.equal(hostile.domains.size, 0);
  t.equal(hostile.refused.length, names.length + 3);
});
