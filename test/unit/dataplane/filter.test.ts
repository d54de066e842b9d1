import t from 'tap';
import { concat } from '../../../src/base/bytes.ts';
import { parseIp } from '../../../src/base/ip.ts';
import { prefixOf } from '../../../src/base/prefix.ts';
import { ALLOW_ALL, type Rule } from '../../../src/node/dataplane/rules.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { type IpFields, ipPacket, tcpPacket, udpPacket } from '../../twins/packet.ts';
import { filterOnArena } from './kernels-on-arena.ts';

const PASS = 0;
const RULES = 1;
const FRAGMENT = 2;
const MALFORMED = 3;

const us = must(parseIp('100.64.0.1'));
const them = must(parseIp('100.64.0.2'));
const theirs: IpFields = { source: them, target: us };
const ours: IpFields = { source: us, target: them };
const empty = new Uint8Array(0);
const ssh: Rule = { ...ALLOW_ALL, protocol: 6, firstPort: 22, lastPort: 22 };
const segment = (ip: IpFields, source: number, target: number): Uint8Array =>
  tcpPacket(ip, { ports: [source, target], sequence: 0 }, empty);

t.test('filter: without rules nothing comes in but answers', async (t) => {
  const f = await filterOnArena();
  t.equal(f.in(segment(theirs, 443, 50_000)), RULES);
  f.out(segment(ours, 50_000, 443));
  t.equal(f.in(segment(theirs, 443, 50_000)), PASS);
  t.equal(f.in(segment(theirs, 443, 50_001)), RULES);
  t.equal(f.in(segment(theirs, 444, 50_000)), RULES);
});

t.test(
  'filter: a rule taken away cuts its flows, and our answers do not revive them',
  async (t) => {
    const f = await filterOnArena();
    f.setRules([ssh]);
    t.equal(f.in(segment(theirs, 50_000, 22)), PASS);
    f.out(segment(ours, 22, 50_000));
    f.setRules([]);
    t.equal(f.in(segment(theirs, 50_000, 22)), RULES);
    f.out(segment(ours, 22, 50_000));
    t.equal(f.in(segment(theirs, 50_000, 22)), RULES);
    f.setRules([ssh]);
    t.equal(f.in(segment(theirs, 50_000, 22)), PASS, 'and a rule given back lets it go on');
  },
);

t.test('filter: leave to answer our ping is no leave to ping us', async (t) => {
  const f = await filterOnArena();
  const echo = (ip: IpFields, type: number): Uint8Array =>
    ipPacket(ip, 1, Uint8Array.of(type, 0, 0, 0, 7, 7, 0, 1));
  f.out(echo(ours, 0));
  t.equal(f.in(echo(theirs, 8)), RULES, 'an answer begins no flow');
  f.out(echo(ours, 8));
  t.equal(f.in(echo(theirs, 0)), PASS);
  t.equal(f.in(echo(theirs, 8)), RULES);
});

t.test(
  'filter: an error passes if it quotes a packet of a flow of ours, to its sender',
  async (t) => {
    const f = await filterOnArena();
    const sent = udpPacket(ours, [5000, 53], new Uint8Array(8));
    const error = (quoted: Uint8Array, ip = theirs): Uint8Array =>
      ipPacket(ip, 1, concat(Uint8Array.of(3, 4, 0, 0, 0, 0, 5, 0), quoted.subarray(0, 28)));
    t.equal(f.in(error(sent)), RULES, 'not ours yet');
    f.out(sent);
    t.equal(f.in(error(sent)), PASS);
    t.equal(f.in(error(sent, { ...theirs, source: Uint8Array.of(9, 9, 9, 9) })), PASS, 'a router');
    t.equal(f.in(error(sent, { ...theirs, target: them })), RULES, 'to somebody else');
    t.equal(f.in(error(udpPacket(ours, [5000, 54], empty))), RULES);
    t.equal(f.in(error(sent.subarray(0, 24))), RULES, 'ports cut off');
    f.setRules([{ ...ssh, protocol: 17, firstPort: 53, lastPort: 53 }]);
    f.in(udpPacket(theirs, [7, 53], empty));
    t.equal(f.in(error(udpPacket(ours, [53, 7], empty))), PASS, 'a flow that a rule let in');
    f.setRules([]);
    t.equal(f.in(error(udpPacket(ours, [53, 7], empty))), RULES, 'and no longer does');
  },
);

t.test('filter: a packet whose lengths lie is malformed, also within a run', async (t) => {
  const f = await filterOnArena();
  const payload = new Uint8Array(20);
  for (const [name, sent, answer, at, wrong] of [
    ['TCP offset', segment(ours, 1, 2), segment(theirs, 2, 1), 32, [0x40, 0x60, 0xf0]],
    [
      'UDP length',
      udpPacket(ours, [1, 2], payload),
      udpPacket(theirs, [2, 1], payload),
      25,
      [7, 29],
    ],
  ] as const) {
    f.out(sent);
    t.equal(f.in(answer), PASS, name);
    for (const value of wrong) {
      const lying = answer.slice();
      lying[at] = value;
      t.equal(f.in(lying), MALFORMED, `${name} ${value}`);
    }
    t.equal(f.in(answer.subarray(0, answer.length - 1)), MALFORMED, `${name}: cut short`);
  }
});

t.test('filter: fragments follow the first one, which must hold what is judged', async (t) => {
  const f = await filterOnArena();
  f.setRules([{ ...ALLOW_ALL, protocol: 17, firstPort: 53, lastPort: 53 }]);
  const transport = (port: number): Uint8Array =>
    udpPacket(theirs, [9, port], new Uint8Array(24)).slice(20);
  const piece = (id: number, position: number, bytes: Uint8Array): Uint8Array =>
    ipPacket({ ...theirs, id, position }, 17, bytes);
  t.equal(f.in(piece(1, 4, transport(53))), FRAGMENT, 'before the first');
  t.equal(f.in(piece(1, 0x2000, transport(53))), PASS);
  t.equal(f.in(piece(1, 4, transport(53))), PASS);
  t.equal(f.in(piece(1, 4, transport(53)), 1031), FRAGMENT, '31 seconds later');
  t.equal(f.in(piece(2, 4, transport(53))), FRAGMENT, 'of another packet');
  t.equal(f.in(piece(1, 1, transport(53))), FRAGMENT, 'over the ports');
  t.equal(f.in(piece(3, 0x2000, transport(53).subarray(0, 4))), FRAGMENT, 'too short');
  t.equal(f.in(piece(4, 0x2000, transport(54))), RULES);
  t.equal(f.in(piece(4, 4, transport(54))), FRAGMENT, 'its first one was refused');
  f.setRules([]);
  t.equal(f.in(piece(1, 4, transport(53))), FRAGMENT, 'the rules have changed since');
});

t.test('filter: flows are forgotten after their time', async (t) => {
  for (const [name, answered, packets, seconds] of [
    ['TCP', true, [segment(ours, 1, 2), segment(theirs, 2, 1)], 7200],
    ['TCP without an answer', false, [segment(ours, 1, 2), segment(theirs, 2, 1)], 300],
    ['UDP', true, [udpPacket(ours, [1, 2], empty), udpPacket(theirs, [2, 1], empty)], 180],
    ['other protocols', true, [ipPacket(ours, 47, empty), ipPacket(theirs, 47, empty)], 180],
  ] as const) {
    const f = await filterOnArena();
    f.out(packets[0], 5000);
    if (answered) t.equal(f.in(packets[1], 5000), PASS, name);
    t.equal(f.in(packets[1], 5000 + seconds + 1), RULES, `${name}: too late`);
    f.out(packets[0], 20_000);
    if (answered) f.in(packets[1], 20_000);
    t.equal(f.in(packets[1], 20_000 + seconds), PASS, `${name}: in time`);
  }
});

t.test(
  'filter: from a full bucket the longest silent flow goes, unanswered ones first',
  async (t) => {
    const f = await filterOnArena(8);
    f.out(segment(ours, 100, 1), 1000);
    f.in(segment(theirs, 1, 100), 1000);
    for (let port = 1; port < 8; port++) f.out(segment(ours, port, 1), 1000 + port);
    t.equal(f.evicted(), 0);
    f.out(segment(ours, 8, 1), 1100);
    t.equal(f.evicted(), 1);
    t.equal(f.in(segment(theirs, 1, 1), 1101), RULES, 'the oldest without an answer is gone');
    t.equal(f.in(segment(theirs, 1, 100), 1101), PASS, 'the answered one, older still, is not');
    t.equal(f.in(segment(theirs, 1, 2), 1101), PASS);
  },
);

t.test(
  'filter: IPv6 extension headers are walked, a chain that cannot be is refused',
  async (t) => {
    const f = await filterOnArena();
    f.setRules([ssh]);
    const ip6 = (first: number, bytes: Uint8Array): IpFields => ({
      source: must(parseIp('fd7a::2')),
      target: must(parseIp('fd7a::1')),
      extensions: { first, bytes },
    });
    const tcp = segment({ source: them, target: us }, 1, 22).slice(20);
    const chain = (n: number): Uint8Array =>
      concat(
        ...Array.from({ length: n }, (_, i) =>
          Uint8Array.of(i < n - 1 ? 60 : 6, 0, 1, 4, 0, 0, 0, 0),
        ),
      );
    t.equal(f.in(ipPacket(ip6(60, chain(8)), 6, tcp)), PASS, 'eight headers');
    t.equal(f.in(ipPacket(ip6(60, chain(9)), 6, tcp)), MALFORMED, 'nine');
    t.equal(
      f.in(ipPacket(ip6(60, Uint8Array.of(6, 200, 1, 4, 0, 0, 0, 0)), 6, tcp)),
      MALFORMED,
      'too long',
    );
    t.equal(f.in(ipPacket(ip6(135, chain(1)), 6, tcp)), MALFORMED, 'mobility');
    const atomic = Uint8Array.of(6, 0, 0, 0, 1, 2, 3, 4);
    t.equal(f.in(ipPacket(ip6(44, atomic), 6, tcp)), PASS, 'a fragment that is whole (RFC 6946)');
  },
);

t.test('filter: a prefix of every length matches its own addresses and no others', async (t) => {
  const random = seeded(7);
  const f = await filterOnArena();
  for (let round = 0; round < 2000; round++) {
    const v4 = random.below(2) === 0;
    const most = v4 ? 32 : 128;
    const address = random.bytes(most / 8);
    const bits = random.below(most + 1);
    f.setRules([{ ...ALLOW_ALL, source: prefixOf(address, bits) }]);
    const flipped = random.below(most);
    const other = address.slice();
    other[flipped >> 3] = must(other[flipped >> 3]) ^ (0x80 >> (flipped & 7));
    const target = random.bytes(most / 8);
    const verdict = f.in(ipPacket({ source: other, target }, 47, empty));
    if (verdict !== (flipped < bits ? RULES : PASS))
      return t.fail(`round ${round}: bit ${flipped} of ${bits}`);
  }
  return t.pass('2,000 prefixes');
});
