import t from 'tap';
import { fromHex, toHex } from '../../../src/base/bytes.ts';
import { parseIp } from '../../../src/base/ip.ts';
import { bareAnswer, fitAnswer, writeAnswer } from '../../../src/protocol/dns/answer.ts';
import { FLAG, RCODE, TYPE } from '../../../src/protocol/dns/constants.ts';
import {
  labelsOf,
  longestSuffix,
  nameBytes,
  readName,
  reverseName,
} from '../../../src/protocol/dns/name.ts';
import type { DnsQuery } from '../../../src/protocol/dns/query.ts';
import { readQuery } from '../../../src/protocol/dns/query.ts';
import { recordText } from '../../../src/protocol/dns/record-text.ts';
import { readRecords } from '../../../src/protocol/dns/records.ts';
import { formatResolver, parseResolver } from '../../../src/protocol/dns/resolver-address.ts';
import { frame, Unframer } from '../../../src/protocol/dns/stream.ts';
import { aged, readUpstream, upstreamQuery } from '../../../src/protocol/dns/upstream.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { ask, withEdns } from './asking.ts';

const bytes = (hex: string): Uint8Array => must(fromHex(hex.replaceAll(' ', '')));

const query = (message: Uint8Array): DnsQuery => {
  const reading = readQuery(message);
  if (reading.kind !== 'query') throw new Error(`a query, not a ${reading.kind}`);
  return reading.query;
};

t.test('query: id, flags, name in small letters, and the question as it came', async (t) => {
  const read = query(ask('CaM.Mesh.Example', TYPE.A, { id: 0x1234 }));
  t.equal(read.id, 0x1234);
  t.equal(read.flags, FLAG.RD);
  t.equal(read.question.name, 'cam.mesh.example');
  t.equal(Buffer.from(read.question.bytes).toString('latin1').slice(1, 4), 'CaM');
  t.equal(read.edns, undefined);
});

t.test('query: what the asker takes by UDP is held between 512 and 4096', async (t) => {
  const sizes = [0, 100, 512, 1232, 4096, 65_535].map(
    (size) => query(withEdns(ask('a.b', TYPE.A), { size })).edns?.udpBytes,
  );
  t.same(sizes, [512, 512, 512, 1232, 4096, 4096]);
  t.equal(query(withEdns(ask('a.b', TYPE.A), { dnssecOk: true })).edns?.dnssecOk, true);
});

const WRONG: readonly [what: string, message: Uint8Array, outcome: string | number][] = [
  ['nothing', new Uint8Array(0), 'dns: too short'],
  ['half a header', new Uint8Array(11), 'dns: too short'],
  ['an answer', bytes('0001 8180 0001 0000 0000 0000'), 'dns: an answer'],
  ['no question', bytes('0001 0100 0000 0000 0000 0000'), RCODE.FORMERR],
  ['a question that is not there', bytes('0001 0100 0001 0000 0000 0000'), RCODE.FORMERR],
  ['an update', ask('a.b', TYPE.A, { flags: 0x2800 }), RCODE.NOTIMP],
  ['a pointer to itself', bytes('0001 0100 0001 0000 0000 0000 c00c 0001 0001'), RCODE.FORMERR],
  [
    'a pointer into the header',
    bytes('0001 0100 0001 0000 0000 0000 c000 0001 0001'),
    RCODE.FORMERR,
  ],
  ['a label of the kind 01', bytes('0001 0100 0001 0000 0000 0000 4061 0001 0001'), RCODE.FORMERR],
  ['a transfer', ask('a.b', TYPE.AXFR), RCODE.REFUSED],
  ['another class', ask('a.b', TYPE.TXT, { class: 3 }), RCODE.REFUSED],
  ['two OPT records', withEdns(withEdns(ask('a.b', TYPE.A), {}), {}), RCODE.FORMERR],
  ['EDNS version 1', withEdns(ask('a.b', TYPE.A), { version: 1 }), RCODE.BADVERS],
];

t.test('query: what is wrong gets its code, or no word', async (t) => {
  for (const [what, message, outcome] of WRONG) {
    const reading = readQuery(message);
    const found =
      reading.kind === 'drop' ? reading.reason : reading.kind === 'refusal' && reading.rcode;
    t.equal(found, outcome, what);
    if (reading.kind === 'refusal') t.equal(toHex(reading.reply.subarray(0, 2)), '0001', what);
  }
});

t.test('names: text and wire are one another, whatever the bytes', async (t) => {
  const random = seeded(1);
  for (let round = 0; round < 1000; round++) {
    const labels = Array.from({ length: random.below(6) }, () =>
      random.bytes(1 + random.below(40)),
    );
    const wire = Uint8Array.from([...labels.flatMap((label) => [label.length, ...label]), 0]);
    const read = readName(wire, 0, 0);
    const back = read && nameBytes(read.text);
    if (!back || toHex(back) !== toHex(wire) || read.next !== wire.length)
      return t.fail(`round ${round}: ${toHex(wire)} became ${read?.text}`);
  }
  return t.pass('1,000 names');
});

t.test('names: limits of 63 and 255 bytes hold in both directions', async (t) => {
  t.ok(labelsOf('a'.repeat(63)));
  t.equal(labelsOf('a'.repeat(64)), undefined);
  const longest = `${'a'.repeat(63)}.`.repeat(3) + 'b'.repeat(61);
  t.equal(nameBytes(longest)?.length, 255);
  t.equal(nameBytes(`${longest}b`), undefined);
  t.same(['a..b', '.a', 'a b', 'ä', 'a\n', '\\25'].map(labelsOf), Array(6).fill(undefined));
});

t.test('names: the longest suffix wins, and the root fits all', async (t) => {
  const routes = new Map([
    ['', 'root'],
    ['example', 'short'],
    ['corp.example', 'long'],
  ]);
  t.equal(longestSuffix('a.corp.example', routes), 'long');
  t.equal(longestSuffix('xcorp.example', routes), 'short');
  t.equal(longestSuffix('elsewhere', routes), 'root');
});

t.test('names: backwards, as RFC 1035 and RFC 3596 write it', async (t) => {
  t.equal(reverseName(must(parseIp('100.64.0.7'))), '7.0.64.100.in-addr.arpa');
  t.equal(
    reverseName(must(parseIp('4321:0:1:2:3:4:567:89ab'))),
    'b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa',
  );
});

t.test('answer: owners are pointers, and the letter case is the asker’s', async (t) => {
  const asked = query(ask('CaM.mesh.example', TYPE.A));
  const record = (name: string) => ({
    name,
    type: TYPE.A,
    ttlSeconds: 60,
    data: Uint8Array.of(100, 64, 0, 1),
  });
  const message = writeAnswer(asked, {
    rcode: RCODE.NOERROR,
    authoritative: true,
    answers: [record('cam.mesh.example'), record('nas.mesh.example')],
    authority: [],
  });
  const records = must(readRecords(message, 12 + asked.question.bytes.length, 2));
  t.same(
    records.map(({ name }) => name),
    ['CaM.mesh.example', 'nas.mesh.example'],
  );
  t.equal(message.length, 12 + asked.question.bytes.length + 16 + 14 + 6);
});

t.test('answer: what is too large is empty with TC, and keeps the OPT record', async (t) => {
  const asked = query(withEdns(ask('many.mesh.example', TYPE.A), { size: 512 }));
  const answers = Array.from({ length: 40 }, (_, i) => ({
    name: 'many.mesh.example',
    type: TYPE.A,
    ttlSeconds: 60,
    data: Uint8Array.of(100, 64, 0, i),
  }));
  const answer = { rcode: RCODE.NOERROR, authoritative: true, answers, authority: [] } as const;
  const whole = writeAnswer(asked, answer);
  t.ok(whole.length > 512);
  for (const cut of [writeAnswer(asked, answer, 512), fitAnswer(asked, whole, 512)]) {
    const view = new DataView(cut.buffer);
    t.equal(view.getUint16(2) & FLAG.TC, FLAG.TC);
    t.same([view.getUint16(6), view.getUint16(10)], [0, 1]);
    t.equal(cut.length, 12 + asked.question.bytes.length + 11);
  }
});

t.test('upstream: an answer counts for its own id and question alone', async (t) => {
  const asked = query(ask('www.Example.com', TYPE.A));
  const own = bareAnswer({ ...asked, id: 7 }, RCODE.NXDOMAIN);
  t.match(readUpstream(own, 7, asked.question), { rcode: RCODE.NXDOMAIN, truncated: false });
  t.equal(readUpstream(own, 8, asked.question), 'dns: answer to another question');
  const other = query(ask('www.Example.org', TYPE.A));
  t.equal(readUpstream(own, 7, other.question), 'dns: answer to another question');
  t.equal(
    readUpstream(upstreamQuery(asked, 7), 7, asked.question),
    'dns: answer to another question',
  );
  for (let length = 0; length < own.length; length++)
    t.type(readUpstream(own.subarray(0, length), 7, asked.question), 'string', `${length} bytes`);
});

t.test('upstream: no option of the asker goes on, his DO bit and flags do', async (t) => {
  const asked = query(
    withEdns(ask('a.b', TYPE.A, { flags: FLAG.RD | FLAG.CD }), {
      dnssecOk: true,
      options: bytes('000a 0008 0102030405060708'),
    }),
  );
  const passed = query(upstreamQuery(asked, 99));
  t.match(passed, { id: 99, flags: FLAG.RD | FLAG.CD, edns: { udpBytes: 1232, dnssecOk: true } });
  t.equal(upstreamQuery(asked, 99).length, 12 + asked.question.bytes.length + 11);
});

t.test('upstream: a remembered answer ages, its OPT record does not', async (t) => {
  const asked = query(withEdns(ask('a.b', TYPE.A), { dnssecOk: true }));
  const message = writeAnswer(asked, {
    rcode: RCODE.NOERROR,
    authoritative: false,
    answers: [{ name: 'a.b', type: TYPE.A, ttlSeconds: 100, data: Uint8Array.of(1, 2, 3, 4) }],
    authority: [],
  });
  const answer = readUpstream(message, asked.id, asked.question);
  if (typeof answer === 'string') throw new Error(answer);
  t.equal(answer.keepSeconds, 100);
  const later = must(readRecords(aged(answer, 30), 12 + asked.question.bytes.length, 2));
  t.same(
    later.map(({ type, ttl }) => [type, ttl]),
    [
      [TYPE.A, 70],
      [TYPE.OPT, 0x8000],
    ],
  );
});

t.test('hostile bytes: every reader gives a value or a reason, never an exception', async (t) => {
  const random = seeded(2);
  const model = withEdns(ask('cam.mesh.example', TYPE.A), { dnssecOk: true });
  const { question } = query(model);
  let understood = 0;
  for (let round = 0; round < 50_000; round++) {
    const message = round % 2 === 0 ? random.bytes(random.below(120)) : model.slice();
    for (let hits = random.below(4); hits > 0 && message.length > 0; hits--)
      message[random.below(message.length)] = random.below(256);
    const reading = readQuery(message);
    if (reading.kind === 'query') {
      understood++;
      const passed = readQuery(upstreamQuery(reading.query, 1));
      if (passed.kind !== 'query') return t.fail(`round ${round}: ${toHex(message)}`);
    }
    readUpstream(message, ((message[0] ?? 0) << 8) | (message[1] ?? 0), question);
    for (const record of readRecords(message, 12, 3) ?? []) recordText(message, record);
  }
  return t.ok(understood > 1000, `50,000 messages, ${understood} of them queries`);
});

t.test('stream: messages come out whole, however their bytes come in', async (t) => {
  const random = seeded(3);
  const messages = Array.from({ length: 200 }, () => random.bytes(random.below(600)));
  const whole = Buffer.concat(messages.map(frame));
  const unframer = new Unframer();
  const out: Uint8Array[] = [];
  for (let at = 0; at < whole.length; ) {
    const length = 1 + random.below(700);
    out.push(...unframer.push(whole.subarray(at, at + length)));
    at += length;
  }
  t.equal(out.map(toHex).join(), messages.map(toHex).join());
});

t.test('resolver addresses: read as maps and resolv.conf write them', async (t) => {
  const texts = [
    '192.0.2.1',
    '192.0.2.1:5353',
    '2001:db8::1',
    '[2001:db8::1]:5353',
    'fe80::1%eth0',
  ];
  t.same(
    texts.map((text) => formatResolver(must(parseResolver(text), text))),
    texts,
  );
  const none = [
    '',
    'https://dns.example/q',
    'dns.example',
    '192.0.2.1:0',
    '1.1.1.1%eth0',
    '[::1]:99999',
  ];
  t.same(
    none.map(parseResolver),
    none.map(() => undefined),
  );
});
