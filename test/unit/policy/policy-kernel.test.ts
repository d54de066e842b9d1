import t from 'tap';
import { concat } from '../../../src/base/bytes.ts';
import { parseIp } from '../../../src/base/ip.ts';
import type { Prefix } from '../../../src/base/prefix.ts';
import { parsePrefix } from '../../../src/base/prefix.ts';
import { compileFilter } from '../../../src/policy/packet-filter.ts';
import type { FilterRule } from '../../../src/protocol/tailcfg/map-types.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import type { IpFields } from '../../twins/packet.ts';
import { ipPacket, tcpPacket, udpPacket } from '../../twins/packet.ts';
import { wordsAllow } from '../../twins/packet-filter.ts';
import type { FilterOnArena } from '../dataplane/kernels-on-arena.ts';
import { filterOnArena } from '../dataplane/kernels-on-arena.ts';

const PASS = 0;
const RULES = 1;
const FRAGMENT = 2;

const ALL = { First: 0, Last: 65_535 };
const LOCAL = ['100.64.0.1', 'fd7a:115c:a1e0::1', '192.168.7.0/24'];
const empty = new Uint8Array(0);

const ip = (text: string): Uint8Array => must(parseIp(text));
const prefixes = (texts: readonly string[]): Prefix[] =>
  texts.map((text) => must(parsePrefix(text)));

const them4: IpFields = { source: ip('100.64.0.2'), target: ip('100.64.0.1') };
const them6: IpFields = { source: ip('fd7a:115c:a1e0::2'), target: ip('fd7a:115c:a1e0::1') };
const back = ({ source, target }: IpFields): IpFields => ({ source: target, target: source });

async function kernelWith(rules: readonly FilterRule[]): Promise<FilterOnArena> {
  const f = await filterOnArena();
  f.setRules(compileFilter({ rules, local: prefixes(LOCAL), shieldsUp: false }).rules);
  return f;
}

/** Whoever may use SSH. */
const SSH: FilterRule = {
  SrcIPs: ['*'],
  DstPorts: [{ IP: '*', Ports: { First: 22, Last: 22 } }],
};

const tcp = (fields: IpFields, ports: readonly [number, number]): Uint8Array =>
  tcpPacket(fields, { ports, sequence: 0, flags: 2 }, empty);
const echo = (fields: IpFields, type: number): Uint8Array =>
  ipPacket(fields, fields.source.length === 4 ? 1 : 58, Uint8Array.of(type, 0, 0, 0, 7, 7, 0, 1));

function packetOf(protocol: number, fields: IpFields, port: number): Uint8Array {
  switch (protocol) {
    case 6:
      return tcp(fields, [5000, port]);
    case 17:
      return udpPacket(fields, [5000, port], empty);
    case 132:
      return ipPacket(fields, 132, Uint8Array.of(19, 136, 0, port, 0, 0, 0, 0, 0, 0, 0, 0));
    case 47:
      return ipPacket(fields, 47, new Uint8Array(8));
    default:
      return echo(fields, fields.source.length === 4 ? 8 : 128);
  }
}

t.test('kernel: compiled rules let in what the words of the map let in', async (t) => {
  const random = seeded(17);
  const rules: readonly FilterRule[] = [
    { ...SSH, SrcIPs: ['100.64.0.2-100.64.0.5', 'fd7a:115c:a1e0::2'] },
    { SrcIPs: ['100.64.0.4/30'], DstPorts: [{ IP: '192.168.7.9', Ports: ALL }], IPProto: [6, 47] },
    { SrcIPs: ['*'], DstPorts: [{ IP: '*', Ports: { First: 53, Last: 54 } }], IPProto: [17, 132] },
  ];
  const verdicts = { yes: 0, no: 0 };
  // A flow let in once passes by itself; each packet meets a kernel that knows none.
  const f = await kernelWith(rules);
  const table = compileFilter({ rules, local: prefixes(LOCAL), shieldsUp: false }).rules;
  for (let round = 0; round < 5000; round++) {
    const v4 = random.below(3) > 0;
    const fields: IpFields = v4
      ? {
          source: ip(`100.64.0.${random.below(9)}`),
          target: ip(random.pick(['100.64.0.1', '192.168.7.9', '192.168.8.9', '100.64.0.9'])),
        }
      : {
          source: ip(`fd7a:115c:a1e0::${random.below(4)}`),
          target: ip(`fd7a:115c:a1e0::${random.below(3)}`),
        };
    const protocol = random.pick([1, 58, 6, 6, 17, 132, 47]);
    const port = random.pick([21, 22, 22, 53, 54, 55]);
    const packet = packetOf(protocol, fields, port);
    const spoken = protocol === 58 || protocol === 1 ? (v4 ? 1 : 58) : protocol;
    const wanted = wordsAllow(rules, LOCAL, { ...fields, protocol: spoken, port });
    verdicts[wanted ? 'yes' : 'no']++;
    f.setRules([]);
    f.setRules(table);
    const found = f.in(packet) === PASS;
    if (found !== wanted) return t.fail(`round ${round}: ${found}: ${packet.toHex()}`);
  }
  return t.ok(verdicts.yes > 500 && verdicts.no > 500, JSON.stringify(verdicts));
});

t.test('kernel: who may use SSH may begin it, ping, and nothing else', async (t) => {
  const f = await kernelWith([SSH]);
  for (const fields of [them4, them6]) {
    const family = fields.source.length === 4 ? 'IPv4' : 'IPv6';
    t.equal(f.in(tcp(fields, [5000, 22])), PASS, family);
    t.equal(f.in(tcp(fields, [5000, 23])), RULES, family);
    t.equal(f.in(echo(fields, fields.source.length === 4 ? 8 : 128)), PASS, `${family} ping`);
    t.equal(f.in(ipPacket(fields, 47, empty)), RULES, `${family} GRE`);
    t.equal(f.in(ipPacket(fields, 99, Uint8Array.of(0x70))), RULES, `${family} TSMP ends before`);
  }
  t.equal(f.in(tcp({ ...them4, target: ip('192.168.8.1') }, [1, 22])), RULES, 'not ours');
});

t.test(
  'kernel: answers to what we began pass whatever the rules, ICMP errors about it too',
  async (t) => {
    const f = await kernelWith([]);
    const error = (type: number, code: number, quoted: Uint8Array, fields: IpFields): Uint8Array =>
      ipPacket(
        fields,
        fields.source.length === 4 ? 1 : 58,
        concat(Uint8Array.of(type, code, 0, 0, 0, 0, 5, 0), quoted.subarray(0, 128)),
      );
    for (const [fields, tooBig] of [
      [them4, [3, 4]],
      [them6, [2, 0]],
    ] as const) {
      const [type, code] = tooBig;
      const family = fields.source.length === 4 ? 'IPv4' : 'IPv6';
      const sent = tcp(back(fields), [40_000, 22]);
      const refused = error(type, code, sent, fields);
      t.equal(f.in(refused), RULES, `${family}: about a flow that is none`);
      f.out(sent);
      t.equal(
        f.in(tcpPacket(fields, { ports: [22, 40_000], sequence: 0, flags: 0x12 }, empty)),
        PASS,
      );
      t.equal(f.in(refused), PASS, `${family}: packet too big`);
      const ping = echo(back(fields), fields.source.length === 4 ? 8 : 128);
      f.out(ping);
      t.equal(f.in(error(type, code, ping, fields)), PASS, `${family}: about our ping`);
      t.equal(
        f.in(error(type, code, tcp(fields, [22, 40_000]), fields)),
        RULES,
        `${family}: theirs`,
      );
    }
  },
);

t.test(
  'kernel: IPv6 fragments are judged by the first, behind extension headers too',
  async (t) => {
    const f = await kernelWith([SSH]);
    const segment = tcp(them6, [5000, 22]).subarray(40);
    const other = tcp(them6, [5000, 23]).subarray(40);
    // next header | reserved | offset in eights, 1: more follow | identification
    const piece = (offset: number, more: number, id: number): Uint8Array =>
      Uint8Array.of(6, 0, (offset << 3) >> 8, ((offset << 3) & 0xff) | more, 0, 0, 0, id);
    const fragment = (header: Uint8Array, bytes: Uint8Array): Uint8Array =>
      ipPacket({ ...them6, extensions: { first: 44, bytes: header } }, 6, bytes);
    t.equal(f.in(fragment(piece(3, 0, 1), new Uint8Array(8))), FRAGMENT, 'before the first');
    t.equal(f.in(fragment(piece(0, 1, 1), concat(segment, new Uint8Array(4)))), PASS);
    t.equal(f.in(fragment(piece(3, 0, 1), new Uint8Array(8))), PASS);
    t.equal(f.in(fragment(piece(0, 1, 2), concat(other, new Uint8Array(4)))), RULES);
    t.equal(f.in(fragment(piece(3, 0, 2), new Uint8Array(8))), FRAGMENT, 'of a refused one');
    t.equal(f.in(fragment(piece(1, 0, 1), new Uint8Array(8))), FRAGMENT, 'over the flags');
    const hop = Uint8Array.of(44, 0, 1, 4, 0, 0, 0, 0);
    const chain = ipPacket(
      { ...them6, extensions: { first: 0, bytes: concat(hop, piece(0, 1, 3)) } },
      6,
      concat(other, new Uint8Array(4)),
    );
    t.equal(f.in(chain), RULES, 'the port behind hop-by-hop options and a fragment header');
  },
);

t.test('kernel: ICMP that gives orders to hosts is no ping', async (t) => {
  const f = await kernelWith([{ SrcIPs: ['*'], DstPorts: [{ IP: '*', Ports: ALL }] }]);
  for (const [fields, type, what] of [
    [them4, 5, 'IPv4 redirect'],
    [them4, 9, 'IPv4 router advertisement'],
    [them4, 10, 'IPv4 router solicitation'],
    [them6, 133, 'IPv6 router solicitation'],
    [them6, 134, 'IPv6 router advertisement'],
    [them6, 135, 'IPv6 neighbour solicitation'],
    [them6, 136, 'IPv6 neighbour advertisement'],
    [them6, 137, 'IPv6 redirect'],
  ] as const)
    t.equal(f.in(echo(fields, type)), RULES, what);
  t.equal(f.in(echo(them4, 13)), PASS, 'a question about the time, as stock receivers have it');
});

t.test('kernel: an answer of ours alone begins no flow that outlives its rule', async (t) => {
  const f = await kernelWith([]);
  // As after the flow table has lost it: our server goes on answering somebody whom the rules shut out.
  f.out(tcpPacket(back(them4), { ports: [22, 5000], sequence: 0, flags: 0x12 }, empty));
  t.equal(
    f.in(tcpPacket(them4, { ports: [5000, 22], sequence: 0, flags: 0x10 }, empty)),
    RULES,
    'SYN and ACK is an answer',
  );
});
