import t from 'tap';
import { parseIp } from '../../../src/base/ip.ts';
import type { Prefix } from '../../../src/base/prefix.ts';
import {
  contains,
  equalPrefix,
  formatPrefix,
  parsePrefix,
  prefixOf,
} from '../../../src/base/prefix.ts';
import {
  difference,
  holds,
  intersection,
  prefixesOf,
  prefixSet,
  union,
} from '../../../src/policy/address-set.ts';
import type { LocalFacts } from '../../../src/policy/local-targets.ts';
import { localTargets } from '../../../src/policy/local-targets.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

const ip = (text: string): Uint8Array => must(parseIp(text));
const prefix = (text: string): Prefix => must(parsePrefix(text));

const FACTS: LocalFacts = {
  addresses: [ip('100.64.0.1'), ip('fd7a:115c:a1e0::1')],
  devices: [ip('100.64.0.9')],
  routes: [],
  attached: [prefix('192.168.1.0/24'), prefix('203.0.113.0/24'), prefix('2001:db8:5::/64')],
  hosts: [ip('192.168.1.2'), ip('203.0.113.7'), ip('2001:db8:5::2')],
};

const among = (facts: LocalFacts, address: string): boolean =>
  localTargets(facts).some((one) => contains(one, ip(address)));

t.test(
  'local: our addresses, those of devices and the routes offered, and nothing else',
  async (t) => {
    const routes = [prefix('192.168.7.0/24')];
    t.same(localTargets({ ...FACTS, routes }).map(formatPrefix), [
      '100.64.0.1/32',
      '100.64.0.9/32',
      '192.168.7.0/24',
      'fd7a:115c:a1e0::1/128',
    ]);
    t.notOk(among(FACTS, '192.168.1.2'), 'the machine in its LAN');
  },
);

t.test('local: an exit node is a way to the Internet, not into its own networks', async (t) => {
  const exit = { ...FACTS, routes: [prefix('0.0.0.0/0'), prefix('::/0')] };
  for (const [address, wanted] of [
    ['8.8.8.8', true],
    ['203.0.114.1', true],
    ['2606:4700::1111', true],
    ['64:ff9b::808:808', true],
    ['203.0.113.8', false],
    ['203.0.113.7', true],
    ['2001:db8:5::9', false],
    ['2001:db8:5::2', true],
    ['192.168.1.2', false],
    ['192.168.1.77', false],
    ['10.0.0.1', false],
    ['172.31.0.1', false],
    ['100.64.0.2', false],
    ['100.127.255.255', false],
    ['100.128.0.1', true],
    ['127.0.0.1', false],
    ['169.254.169.254', false],
    ['224.0.0.251', false],
    ['255.255.255.255', false],
    ['0.0.0.0', false],
    ['::1', false],
    ['fe80::1', false],
    ['ff02::1', false],
    ['fd00::1', false],
    ['fd7a:115c:a1e0::2', false],
    ['::ffff:10.0.0.1', false],
    ['100.64.0.1', true],
  ] as const)
    t.equal(among(exit, address), wanted, address);
  // Each is three rules for each source: some 400 of 4,096.
  t.ok(localTargets(exit).length < 150, `${localTargets(exit).length} prefixes`);
  const named = { ...exit, routes: [...exit.routes, prefix('192.168.1.0/24')] };
  t.ok(among(named, '192.168.1.77'), 'a route that names it does');
  t.notOk(among({ ...FACTS, routes: [prefix('0.0.0.0/0')] }, '2606:4700::1111'), 'one family');
});

t.test('sets: union, intersection and difference are what they are for each address', async (t) => {
  const random = seeded(23);
  const one = (): Prefix => {
    const bits = random.below(13);
    return prefixOf(Uint8Array.of(10, 0, random.below(16), random.below(256)), 20 + bits);
  };
  for (let round = 0; round < 1000; round++) {
    const [as, bs] = [
      [one(), one(), one()],
      [one(), one()],
    ];
    const [a, b] = [union(as.map(prefixSet)), union(bs.map(prefixSet))];
    const address = Uint8Array.of(10, 0, random.below(17), random.below(256));
    const inA = as.some((each) => contains(each, address));
    const inB = bs.some((each) => contains(each, address));
    const found = [union([a, b]), intersection(a, b), difference(a, b)].map((set) =>
      holds(set, address),
    );
    const wanted = [inA || inB, inA && inB, inA && !inB];
    if (found.join() !== wanted.join()) return t.same(found, wanted, `round ${round}`);
    const [here, there] = [prefixesOf(difference(a, b)), prefixesOf(intersection(a, b))];
    const again = union([...here, ...there].map(prefixSet));
    const same = prefixesOf(again).every((each, i) => equalPrefix(each, must(prefixesOf(a)[i])));
    if (!same) return t.fail(`round ${round}: the parts are not the whole`);
  }
  return t.pass('1,000 rounds');
});
