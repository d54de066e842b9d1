import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { parseIp } from '../../../src/base/ip.ts';
import type { Prefix } from '../../../src/base/prefix.ts';
import { formatPrefix, parsePrefix } from '../../../src/base/prefix.ts';
import type { FilterSetting, PacketFilter } from '../../../src/policy/packet-filter.ts';
import { compileFilter } from '../../../src/policy/packet-filter.ts';
import type { PacketRule } from '../../../src/policy/packet-rule.ts';
import type { FilterRule } from '../../../src/protocol/tailcfg/map-types.ts';
import { readMapResponse } from '../../../src/protocol/tailcfg/validate.ts';
import { must } from '../../must.ts';

const ALL = { First: 0, Last: 65_535 };
const OURS = ['100.64.0.1/32', 'fd7a:115c:a1e0::1/128'];

const ip = (text: string): Uint8Array => must(parseIp(text));
const prefixes = (texts: readonly string[]): Prefix[] =>
  texts.map((text) => must(parsePrefix(text)));

function filterOf(
  rules: readonly unknown[] | undefined,
  others: Partial<FilterSetting> = {},
): PacketFilter {
  return compileFilter({
    rules: rules as readonly FilterRule[],
    local: prefixes(OURS),
    shieldsUp: false,
    ...others,
  });
}

const rule = (
  SrcIPs: readonly string[],
  IP: string,
  Ports: { First: number; Last: number } = ALL,
  IPProto?: readonly number[],
): FilterRule => ({ SrcIPs, DstPorts: [{ IP, Ports }], ...(IPProto && { IPProto }) });

/** `6 100.64.0.2/32 > 100.64.0.1/32:22-22` */
const texts = (rules: readonly PacketRule[]): string[] =>
  rules.map(
    ({ source, target, protocol, firstPort, lastPort }) =>
      `${protocol} ${source ? formatPrefix(source) : '*'} > ${formatPrefix(target)}:${firstPort}-${lastPort}`,
  );

t.test('filter: a service is its port for TCP and UDP, and leave to ping its host', async (t) => {
  const { rules, skipped, left } = filterOf([rule(['100.64.0.2'], '*', { First: 22, Last: 22 })]);
  t.same(texts(rules).sort(), [
    '1 100.64.0.2/32 > 100.64.0.1/32:0-65535',
    '17 100.64.0.2/32 > 100.64.0.1/32:22-22',
    '6 100.64.0.2/32 > 100.64.0.1/32:22-22',
  ]);
  t.same([skipped.size, left], [0, 0]);
});

t.test('filter: a protocol without ports is let in only where all ports are', async (t) => {
  const gre = (ports: { First: number; Last: number }): string[] =>
    texts(filterOf([rule(['*'], '100.64.0.1', ports, [47])]).rules);
  t.same(gre(ALL).sort(), ['1 * > 100.64.0.1/32:0-65535', '47 * > 100.64.0.1/32:0-65535']);
  t.same(gre({ First: 1, Last: 65_535 }), ['1 * > 100.64.0.1/32:0-65535']);
});

t.test('filter: no map, an empty one, and shields up let nobody in', async (t) => {
  const all = rule(['*'], '*');
  t.same(filterOf(undefined).rules, []);
  t.same(filterOf([]).rules, []);
  t.same(filterOf([all], { shieldsUp: true }).rules, []);
  t.same(filterOf([all], { local: [] }).rules, [], 'nothing is ours');
  t.equal(filterOf([all]).rules.length, 6);
});

t.test(
  'filter: words that cannot be read are counted, and never widen what is let in',
  async (t) => {
    for (const [reason, word] of [
      ['filter: rule is none', null],
      ['filter: rule is none', { DstPorts: [{ IP: '*', Ports: ALL }] }],
      ['filter: rule is none', { SrcIPs: ['*'], DstPorts: { IP: '*' } }],
      ['filter: source unreadable', rule(['100.64.0.300'], '*')],
      ['filter: source unreadable', rule(['100.64.0.2/8'], '*')],
      ['filter: source unreadable', rule(['100.64.0.9-100.64.0.2'], '*')],
      ['filter: source unreadable', rule(['100.64.0.2-fd7a::1'], '*')],
      ['filter: source unreadable', rule([''], '*')],
      ['filter: source unreadable', { ...rule([], '*'), SrcIPs: [7] }],
      ['filter: capability that nobody has', rule(['cap:postern/x'], '*')],
      ['filter: target unreadable', rule(['*'], 'cap:postern/x')],
      ['filter: target unreadable', { SrcIPs: ['*'], DstPorts: [null] }],
      ['filter: absurd ports', rule(['*'], '*', { First: 22, Last: 70_000 })],
      ['filter: absurd ports', rule(['*'], '*', { First: 80, Last: 22 })],
      ['filter: absurd ports', rule(['*'], '*', { First: -1, Last: 22 })],
      ['filter: absurd ports', { SrcIPs: ['*'], DstPorts: [{ IP: '*' }] }],
      ['filter: absurd protocol', rule(['*'], '*', ALL, [0])],
      ['filter: absurd protocol', rule(['*'], '*', ALL, [256, -6, 6.5])],
      ['filter: absurd protocol', { ...rule(['*'], '*'), IPProto: 'tcp' }],
    ] as const) {
      const { rules, skipped } = filterOf([word]);
      t.same(rules, [], JSON.stringify(word));
      t.ok(must(skipped.get(reason)) > 0, `${reason}: ${[...skipped.keys()]}`);
    }
    const mixed = filterOf([rule(['junk', '100.64.0.2'], '100.64.0.1', ALL, [0, 6])]);
    t.same(texts(mixed.rules).sort(), [
      '1 100.64.0.2/32 > 100.64.0.1/32:0-65535',
      '6 100.64.0.2/32 > 100.64.0.1/32:0-65535',
    ]);
  },
);

t.test('filter: a capability stands for the nodes that hold it', async (t) => {
  const holders = new Map([['postern/x', prefixes(['100.64.0.7/32'])]]);
  const { rules } = filterOf([rule(['cap:postern/x'], '*', ALL, [6])], { holders });
  t.same(texts(rules).sort(), [
    '1 100.64.0.7/32 > 100.64.0.1/32:0-65535',
    '6 100.64.0.7/32 > 100.64.0.1/32:0-65535',
  ]);
});

t.test('filter: neighbours, repeated and contained rules become one', async (t) => {
  const one = (last: number): FilterRule => rule([`100.64.0.${last}`], '100.64.0.1', ALL, [6]);
  const tcp = (rules: readonly unknown[]): string[] =>
    texts(filterOf(rules).rules).filter((text) => text.startsWith('6 '));
  t.same(tcp([one(4), one(5), one(6), one(7), one(5)]), [
    '6 100.64.0.4/30 > 100.64.0.1/32:0-65535',
  ]);
  t.same(tcp([rule(['100.64.0.3-100.64.0.6'], '*', ALL, [6])]), [
    '6 100.64.0.3/32 > 100.64.0.1/32:0-65535',
    '6 100.64.0.4/31 > 100.64.0.1/32:0-65535',
    '6 100.64.0.6/32 > 100.64.0.1/32:0-65535',
  ]);
  const ssh = rule(['100.64.0.4'], '*', { First: 22, Last: 22 }, [6]);
  const next = rule(['100.64.0.4'], '*', { First: 23, Last: 25 }, [6]);
  t.same(tcp([ssh, next]), ['6 100.64.0.4/32 > 100.64.0.1/32:22-25']);
  t.same(tcp([ssh, one(4)]), ['6 100.64.0.4/32 > 100.64.0.1/32:0-65535']);
  t.same(tcp([ssh, rule(['*'], '*', ALL, [6])]).slice(0, 1), ['6 * > 100.64.0.1/32:0-65535']);
});

t.test('filter: 1,000 neighbours in chunks are a few rules, in little time', async (t) => {
  const chunks = Array.from({ length: 16 }, (_, block) => ({
    SrcIPs: Array.from({ length: 64 }, (_, i) => {
      const number = 64 * block + i;
      const hex = number.toString(16);
      return [`100.64.${number >> 8}.${number & 255}`, `fd7a:115c:a1e0::${hex}`];
    }).flat(),
    DstPorts: OURS.map((IP) => ({ IP: must(IP.split('/')[0]), Ports: ALL })),
  }));
  const { rules, left } = filterOf(chunks);
  t.same([rules.length, left], [6, 0]);
});

t.test('filter: what finds no room is not let in, and is told', async (t) => {
  const many = Array.from({ length: 100_000 }, (_, i) =>
    rule([`100.${64 + (i >> 15)}.${(i >> 7) & 255}.${2 * (i & 127)}`], '*', {
      First: i % 7,
      Last: 9,
    }),
  );
  const started = performance.now();
  const filter = filterOf(many);
  t.comment(`100,000 rules: ${Math.round(performance.now() - started)} ms`);
  t.equal(filter.rules.length, 4096);
  t.ok(filter.left > 0, `${filter.left} left`);
  const last = must(many.at(-1));
  t.match(
    filter.explain({
      source: ip(must(last.SrcIPs[0])),
      target: ip('100.64.0.1'),
      protocol: 6,
      port: 9,
    }),
    { allowed: false, why: /table/ },
  );
  t.equal(filterOf(many.slice(0, 3), { most: 4 }).rules.length, 4);
});

t.test('explain: names the rule that lets in, or what is missing', async (t) => {
  const rules = [
    rule(['100.64.0.2'], '100.64.0.1', { First: 22, Last: 22 }, [6]),
    rule(['100.64.0.3'], '100.64.0.1', ALL, [17]),
  ];
  const filter = filterOf(rules);
  const ask = (source: string, protocol: number, port?: number, target = '100.64.0.1') =>
    filter.explain({ source: ip(source), target: ip(target), protocol, ...(port && { port }) });
  t.same(ask('100.64.0.2', 6, 22), { allowed: true, rule: 0 });
  t.same(ask('100.64.0.3', 17, 53), { allowed: true, rule: 1 });
  t.same(ask('100.64.0.2', 1), { allowed: true, rule: 0 });
  t.match(ask('100.64.0.2', 6, 80), { allowed: false, why: /port/, rule: 0 });
  t.match(ask('100.64.0.3', 6, 80), { allowed: false, why: /protocol/, rule: 1 });
  t.match(ask('100.64.0.4', 6, 80), { allowed: false, why: /source/ });
  t.match(ask('100.64.0.2', 6, 22, '100.64.0.9'), { allowed: false, why: /not ours/ });
  t.match(
    filterOf(rules, { shieldsUp: true }).explain({
      source: ip('100.64.0.2'),
      target: ip('100.64.0.1'),
      protocol: 6,
      port: 22,
    }),
    { why: /shields/ },
  );
});

const MAP = `${process.env['POSTERN_VECTORS']}/map/map-first-full.json`;

t.test(
  'filter: a map that a real server sent lets its peers in, on addresses of the node alone',
  { skip: !existsSync(MAP) && 'POSTERN_VECTORS names no folder with map/map-first-full.json' },
  async (t) => {
    const map = readMapResponse(readFileSync(MAP));
    if (!('value' in map)) return t.fail(map.detail);
    const { Node: self, PacketFilters } = map.value;
    const list = Object.values(must(PacketFilters)).flatMap((chunk) => chunk ?? []);
    const local = prefixes(must(self).Addresses);
    const { rules, skipped, left } = filterOf(list, { local });
    t.same([rules.length, skipped.size, left], [6, 0, 0]);
    return t.ok(rules.every(({ target }) => must(self).Addresses.includes(formatPrefix(target))));
  },
);
