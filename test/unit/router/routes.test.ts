import t from 'tap';
import { toHex } from '../../../src/base/bytes.ts';
import type { Prefix } from '../../../src/base/prefix.ts';
import { contains, formatPrefix, parsePrefix, prefixOf } from '../../../src/base/prefix.ts';
import { OWN_MARK } from '../../../src/node/router/constants.ts';
import type { KnownRule, TableRoute } from '../../../src/node/router/ports.ts';
import {
  collapse,
  firstPriority,
  isOurs,
  overriding,
  wantedRoutes,
  wantedRules,
} from '../../../src/node/router/routes.ts';
import type { RouterSetting } from '../../../src/node/router/setting.ts';
import { NOTHING } from '../../../src/node/router/setting.ts';
import { must } from '../../must.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';

const prefix = (text: string): Prefix => must(parsePrefix(text), text);
const DEVICE = 'tun0';

function main(...routes: string[]): TableRoute[] {
  return routes.map((text) => {
    const [to = '', device = 'eth0'] = text.split(' ');
    return { prefix: prefix(to), kind: 'unicast', device };
  });
}

function table(
  routes: string[],
  exit: boolean,
  inMain: TableRoute[],
  lan: string[] = [],
  more: Partial<RouterSetting> = {},
): string[] {
  const setting = {
    ...NOTHING,
    routes: routes.map(prefix),
    exit,
    lan: lan.map((text) => ({ mesh: prefix(text).address, lan: prefix('192.168.8.20').address })),
    ...more,
  };
  return wantedRoutes(setting, DEVICE, inMain, [4, 6]).table.map(
    ({ prefix, kind }) => `${kind === 'throw' ? 'throw ' : ''}${formatPrefix(prefix)}`,
  );
}

t.test('routes: what the main table has inside an accepted route stays there', async (t) => {
  const home = main('0.0.0.0/0', '10.1.0.0/16', '10.1.2.0/24', '172.16.0.0/12', '10.2.0.0/16 tun0');
  t.same(table(['10.0.0.0/8'], false, home), [
    'throw 10.1.0.0/16',
    'throw 10.1.2.0/24',
    '10.0.0.0/8',
  ]);
  t.same(table(['10.1.0.0/16'], false, home), [], 'the very LAN that we are in is not accepted');
  t.same(table(['10.1.2.128/25'], false, home), ['10.1.2.128/25'], 'the longer one wins');
  t.same(table(['0.0.0.0/0'], false, home), [], 'a default route is nothing without exit');
});

t.test("routes: a peer's address stands, whatever the main table has around it", async (t) => {
  const carrier = main('0.0.0.0/0', '100.64.0.0/10', '100.64.0.2/32');
  t.same(table(['100.64.0.2/32', '100.64.0.3/32'], false, carrier), ['100.64.0.2/31']);
  t.ok(table(['100.64.0.2/32'], true, carrier).includes('100.64.0.2/32'), 'with exit too');
  t.same(table([], false, [], ['100.64.0.9']), ['100.64.0.9/32'], 'a LAN device has its end here');
});

t.test('routes: with exit all goes by the tunnel but what is near', async (t) => {
  const routes = table([], true, main('0.0.0.0/0', '192.168.8.0/24', 'fd00:8::/64', '::/0'));
  for (const one of ['0.0.0.0/0', '::/0', 'throw 192.168.8.0/24', 'throw fd00:8::/64'])
    t.ok(routes.includes(one), one);
  for (const one of ['throw 224.0.0.0/4', 'throw ff00::/8', 'throw fe80::/10'])
    t.ok(routes.includes(one), one);
});

t.test('routes: with lanByExit what is near goes there too, but what we forward to', async (t) => {
  const near = main('0.0.0.0/0', '10.7.0.0/16', '192.168.8.0/24', '192.168.9.0/24', 'fd00:8::/64');
  const stay = (more: Partial<RouterSetting>): string[] =>
    table([], true, near, [], { lanByExit: true, ...more }).filter((one) =>
      /^throw (10|192|fd)/.test(one),
    );
  t.same(stay({}), []);
  const advertised = ['192.168.0.0/20', '10.7.3.0/24', '0.0.0.0/0'].map((text) => ({
    prefix: prefix(text),
    snat: true,
  }));
  t.same(stay({ advertised }), [
    'throw 10.7.0.0/16',
    'throw 192.168.8.0/24',
    'throw 192.168.9.0/24',
  ]);
  const lan = [{ mesh: prefix('100.64.0.9').address, lan: prefix('192.168.9.20').address }];
  t.same(stay({ lan }), ['throw 192.168.9.0/24']);
  t.same(table([], false, near, [], { lanByExit: true }), [], 'and without exit it is nothing');
});

/** Every packet goes as the longest prefix of all says: the peers' and accepted routes, and the main table. */
t.test('routes: any table sends any address as the longest prefix does', async (t) => {
  const random = seeded(20);
  for (let round = 0; round < 2000; round++) {
    const accepted = some(random, 5);
    const own = some(random, 5).map((one) => ({
      prefix: one,
      kind: 'unicast' as const,
      device: 'eth0',
    }));
    const { table } = wantedRoutes({ ...NOTHING, routes: accepted }, DEVICE, own, [4]);
    for (let i = 0; i < 20; i++) {
      const address = Uint8Array.of(10, 0, random.below(4), random.below(256));
      const best = longest(table.filter((route) => contains(route.prefix, address)));
      const found = best === undefined || best.kind === 'throw' ? 'main' : 'tunnel';
      const tunnel = longest(
        accepted.filter((one) => contains(one, address)).map((prefix) => ({ prefix })),
      );
      const there = longest(own.filter((route) => contains(route.prefix, address)));
      const host = tunnel?.prefix.bits === 32;
      const wanted =
        tunnel !== undefined && (host || tunnel.prefix.bits > (there?.prefix.bits ?? -1))
          ? 'tunnel'
          : 'main';
      if (found !== wanted) return t.equal(found, wanted, `round ${round}: ${address.join('.')}`);
    }
  }
  return t.pass('40,000 addresses');
});

t.test('collapse: the same addresses in the fewest prefixes', async (t) => {
  const random = seeded(21);
  for (let round = 0; round < 500; round++) {
    const hosts = new Set(Array.from({ length: random.below(64) }, () => random.below(64)));
    const prefixes = [...hosts].map((last) => prefixOf(Uint8Array.of(100, 64, 0, last), 32));
    const whole = collapse(prefixes);
    const held = Array.from({ length: 256 }, (_, last) => last).filter((last) =>
      whole.some((one) => contains(one, Uint8Array.of(100, 64, 0, last))),
    );
    const halves = new Set(
      whole.map(({ address, bits }) => `${toHex(prefixOf(address, bits - 1).address)}/${bits}`),
    );
    const good = held.length === hosts.size && held.every((last) => hosts.has(last));
    if (!good || halves.size !== whole.length)
      return t.same(whole.map(formatPrefix), [...hosts], `round ${round}`);
  }
  const thousands = Array.from({ length: 65_536 }, (_, i) =>
    prefixOf(Uint8Array.of(100, 64, i >> 8, i & 255), 32),
  );
  return t.same(collapse(thousands).map(formatPrefix), ['100.64.0.0/16']);
});

t.test('rules: without exit our packets meet none of ours; with it they cannot loop', async (t) => {
  const shape = (exit: boolean): unknown[] =>
    wantedRules(exit, OWN_MARK, [4], 5200).map(({ not, table }) => [
      not ? 'others' : 'ours',
      table,
    ]);
  t.same(shape(false), [['others', 5200]]);
  t.same(shape(true), [
    ['ours', 254],
    ['ours', undefined],
    ['others', 5200],
  ]);
});

t.test(
  "rules: another tunnel's rule that takes all is stepped over, but not by an exit",
  async (t) => {
    const quick: KnownRule = {
      ...{ family: 4, priority: 5199, not: true, table: 51_820, more: false },
      mark: { value: 0xca6c, mask: 0xffffffff },
    };
    const ours: KnownRule = { ...must(wantedRules(false, OWN_MARK, [4], 5200)[0]), more: false };
    t.ok(isOurs(ours, OWN_MARK));
    t.equal(overriding([quick, ours], OWN_MARK), quick);
    t.equal(firstPriority(quick, false), 5189);
    t.equal(firstPriority(quick, true), 5200);
    for (const [why, other] of [
      ['behind ours', { ...quick, priority: 5270 }],
      ['for its own mark only', { ...quick, not: false }],
      ['with a source', { ...quick, more: true }],
      ['the main table', { ...quick, table: 254 }],
      ['ours', ours],
    ] as const)
      t.equal(overriding([other], OWN_MARK), undefined, why);
  },
);

function some(random: Seeded, most: number): Prefix[] {
  return Array.from({ length: random.below(most) }, () =>
    prefixOf(
      Uint8Array.of(10, 0, random.below(4), random.below(256)),
      random.pick([8, 16, 23, 24, 25, 28, 32]),
    ),
  );
}

function longest<T extends { readonly prefix: Prefix }>(routes: readonly T[]): T | undefined {
  return [...routes].sort((a, b) => b.prefix.bits - a.prefix.bits)[0];
}
