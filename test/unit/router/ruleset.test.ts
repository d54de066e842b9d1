import t from 'tap';
import { parseIp } from '../../../src/base/ip.ts';
import type { Prefix } from '../../../src/base/prefix.ts';
import { parsePrefix } from '../../../src/base/prefix.ts';
import { ruleset } from '../../../src/node/router/ruleset.ts';
import { NOTHING } from '../../../src/node/router/setting.ts';
import { must } from '../../must.ts';

const prefix = (text: string): Prefix => must(parsePrefix(text), text);
const ip = (text: string): Uint8Array => must(parseIp(text), text);
const FACTS = {
  table: 'postern',
  device: 'tun0',
  meshInterfaces: [],
  uplinks: ['eth0'],
  guarded: [],
};

t.test('ruleset: nothing to do is no table', async (t) => {
  t.equal(ruleset(NOTHING, FACTS), undefined);
});

t.test('ruleset: a device, a subnet without SNAT inside one with it, and an exit', async (t) => {
  const setting = {
    ...NOTHING,
    advertised: [
      { prefix: prefix('0.0.0.0/0'), snat: true },
      { prefix: prefix('10.0.0.0/8'), snat: false },
      { prefix: prefix('10.1.0.0/16'), snat: true },
    ],
    lan: [{ mesh: ip('100.64.0.7'), lan: ip('10.1.0.20') }],
  };
  const script = must(ruleset(setting, FACTS));
  const lines = script.split('\n').map((line) => line.trim());
  t.same(lines.slice(0, 2), ['table inet postern', 'delete table inet postern'], 'replaced in one');
  t.same(
    lines.filter((line) => /^iifname.*(masquerade|return)$/.test(line)),
    [
      'iifname "tun0" oifname != "tun0" ip daddr 10.1.0.0/16 masquerade',
      'iifname "tun0" oifname != "tun0" ip daddr 10.0.0.0/8 return',
      'iifname "tun0" oifname != "tun0" meta nfproto ipv4 masquerade',
    ],
    'the longest first',
  );
  t.ok(lines.includes('iifname "tun0" dnat ip to ip daddr map { 100.64.0.7 : 10.1.0.20 }'));
  t.notMatch(script, 'chain pass', 'nothing is guarded where forwarding was on');
  t.match(
    must(ruleset(setting, { ...FACTS, guarded: [4] })),
    'iifname { "eth0" } oifname != "tun0" drop',
  );
});

t.test('ruleset: a name that is a pattern or ends a string is left out', async (t) => {
  const member = { ...NOTHING, addresses: [prefix('100.64.0.1')] };
  for (const name of ['eth*', 'a"b', 'a\\b']) {
    const script = must(ruleset(member, { ...FACTS, meshInterfaces: [name, 'wan0'] }));
    t.match(script, 'iifname { "wan0" } return', name);
    t.notOk(
      must(ruleset(member, { ...FACTS, meshInterfaces: [name] })).includes('{  }'),
      'no empty set',
    );
  }
});
