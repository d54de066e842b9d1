import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import type { Env } from '../../../src/base/env.ts';
import type { Prefix } from '../../../src/base/prefix.ts';
import { formatPrefix, parsePrefix } from '../../../src/base/prefix.ts';
import type { Millis } from '../../../src/base/time.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import { OWN_MARK } from '../../../src/node/router/constants.ts';
import type {
  ForwardChain,
  KnownRule,
  RouterPorts,
  TableRoute,
} from '../../../src/node/router/ports.ts';
import { Router } from '../../../src/node/router/router.ts';
import type { RouterSetting } from '../../../src/node/router/setting.ts';
import { NOTHING } from '../../../src/node/router/setting.ts';
import { must } from '../../must.ts';

const prefix = (text: string): Prefix => must(parsePrefix(text), text);

const MEMBER: RouterSetting = {
  ...NOTHING,
  addresses: [prefix('100.64.0.1')],
  routes: [prefix('100.64.0.2')],
  advertised: [{ prefix: prefix('192.168.8.0/24'), snat: true }],
};

/** A machine in memory, with a clock that a test moves. */
function machine() {
  let now = 0;
  let timers: { at: Millis; action: () => void }[] = [];
  const listeners = new Set<() => void>();
  const calls: string[] = [];
  const switches = new Map<string, string>([
    ['net/ipv4/ip_forward', '0'],
    ['net/ipv4/conf/all/accept_redirects', '0'],
  ]);
  const state = {
    rules: [] as KnownRule[],
    table: [] as TableRoute[],
    filter: undefined as string | undefined,
    refuse: undefined as string | undefined,
    alive: new Set<string>(['1:1']),
    foreign: [] as ForwardChain[],
    named: new Set<string>(),
  };
  const env: Env = {
    now: () => millis(now),
    wall: () => unixMillis(0),
    random: (bytes) => new Uint8Array(bytes),
    setTimer: (at, action) => {
      const timer = { at, action };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  };
  const ports = (id: string): RouterPorts => ({
    env,
    ip: {
      configureLink: async () => void calls.push('link'),
      removeAddresses: async () => {},
      interfaceAddresses: async () => [
        { interface: 'tun0', address: prefix('100.64.0.1').address },
      ],
      policyRules: async () => state.rules,
      changeRules: async (add, remove) => {
        if (add.length + remove.length > 0) calls.push('rules');
        state.rules = state.rules.filter((one) => !remove.some((gone) => gone === one));
        state.rules.push(...add.map((rule) => ({ ...rule, more: false })));
      },
      tableRoutes: async (table) => (table === 5200 ? state.table : []),
      changeTable: async (_, put, remove) => {
        if (put.length + remove.length > 0) calls.push('routes');
        state.table = [...state.table.filter((one) => !remove.includes(one)), ...put];
      },
    },
    nft: {
      loadRules: async (script) => {
        calls.push('filter');
        if (state.refuse !== undefined) throw new Error(state.refuse);
        state.filter = script;
      },
      listTable: async () => state.filter,
      deleteTable: async () => {
        state.filter = undefined;
      },
      forwardChains: async () => state.foreign,
      namesInterface: async (table) => state.named.has(table),
    },
    sysctl: {
      readSysctl: async (key) => switches.get(key),
      writeSysctl: async (key, value) => {
        // As the kernel does it.
        if (key === 'net/ipv4/ip_forward')
          switches.set('net/ipv4/conf/all/accept_redirects', value === '1' ? '0' : '1');
        switches.set(key, value);
        return true;
      },
      listSysctl: async () => [],
    },
    process: { id, network: 'net:1', isAlive: (other) => state.alive.has(other) },
    watch: (onChange) => {
      const listener = (): void => onChange('rule');
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  });
  return {
    ...{ state, calls, switches, ports, listeners },
    timers: () => timers.length,
    happens: () => listeners.forEach((listener) => void listener()),
    /** Moves the clock, and lets what falls due finish. */
    advance: async (millis: number, router: Router): Promise<void> => {
      now += millis;
      const due = timers.filter(({ at }) => at <= now);
      timers = timers.filter(({ at }) => at > now);
      for (const { action } of due) action();
      await router.settled();
    },
  };
}

const OPTIONS = { interface: 'tun0', mark: OWN_MARK };

t.test('router: the same setting again costs nothing, and calls wait for each other', async (t) => {
  const { calls, state, ports } = machine();
  const router = new Router(ports('1:1'), { ...OPTIONS, stateFolder: t.testdir() });
  await Promise.all([router.set(MEMBER), router.set(MEMBER), router.set({ ...MEMBER })]);
  t.same(calls, ['filter', 'link', 'routes', 'rules']);
  await router.set({ ...MEMBER, routes: [prefix('100.64.0.4')] });
  t.same(
    state.table.map((route) => formatPrefix(route.prefix)),
    ['100.64.0.4/32'],
  );
  await router.close();
  t.match(state, { rules: [], table: [], filter: undefined });
});

t.test(
  'router: a part that fails is a health item, keeps no other, and is tried again',
  async (t) => {
    const { state, ports, advance } = machine();
    const router = new Router(ports('1:1'), { ...OPTIONS, stateFolder: t.testdir() });
    state.refuse = 'no nft here';
    await t.rejects(router.set(MEMBER), /no nft here/);
    t.match(router.health(), [{ code: 'router-filter', severity: 'error', text: /no nft here/ }]);
    t.equal(state.rules.length, 1, 'the rule is there');
    state.refuse = undefined;
    await advance(60_000, router);
    t.same(router.health(), [], 'a minute later');
    t.ok(state.filter);
    await router.close();
  },
);

t.test(
  'router: a flush is repaired after 100 ms, an endless fight is slowed and said',
  async (t) => {
    const { state, calls, ports, happens, advance } = machine();
    const router = new Router(ports('1:1'), { ...OPTIONS, stateFolder: t.testdir() });
    await router.set(MEMBER);
    state.rules = [];
    happens();
    await advance(99, router);
    t.equal(state.rules.length, 0);
    await advance(1, router);
    t.equal(state.rules.length, 1);
    for (let second = 0; second < 30; second++) {
      state.rules = [];
      happens();
      await advance(1000, router);
    }
    t.match(router.health(), [{ code: 'router-contested' }]);
    const repairs = calls.filter((call) => call === 'rules').length;
    t.ok(repairs > 10 && repairs < 16, `${repairs} repairs in 30 s`);
    await advance(30_000, router);
    happens();
    await advance(60_000, router);
    await advance(60_000, router);
    t.same(router.health(), [], 'it ends with the fight');
    await router.close();
  },
);

t.test('router: a filter of others that drops what is forwarded is a health item', async (t) => {
  const { state, ports } = machine();
  const router = new Router(ports('1:1'), { ...OPTIONS, stateFolder: t.testdir() });
  state.foreign = [
    { table: 'inet firewalld', name: 'filter_FORWARD', policy: 'accept' },
    { table: 'ip filter', name: 'FORWARD', policy: 'drop' },
  ];
  const dropped = [{ code: 'router-forward-dropped', text: /ip filter, chain FORWARD/ }];
  await router.set(MEMBER);
  t.match(router.health(), dropped);
  await router.set({ ...MEMBER, advertised: [] });
  t.same(router.health(), [], 'who forwards nothing is not concerned');
  await router.set(MEMBER);
  t.match(router.health(), dropped);
  state.named.add('ip filter');
  await router.check();
  t.same(router.health(), [], 'a rule there names the interface');
  await router.close();
});

t.test('router: close leaves no timer, no listener and no note', async (t) => {
  const { ports, timers, listeners, switches } = machine();
  const folder = t.testdir();
  const before = [...switches];
  const router = new Router(ports('1:1'), { ...OPTIONS, stateFolder: `${folder}/run` });
  await router.set(MEMBER);
  t.match(readFileSync(`${folder}/run/tun0.json`, 'utf8'), '"net/ipv4/ip_forward"');
  t.equal(switches.get('net/ipv4/ip_forward'), '1');
  await router.close();
  t.same([...switches], before, 'redirects, which the kernel turns over, too');
  t.equal(timers(), 0);
  t.equal(listeners.size, 0);
  t.notOk(existsSync(`${folder}/run/tun0.json`));
});

t.test('router: of two, the last that ends restores what both needed', async (t) => {
  for (const order of [
    [0, 1],
    [1, 0],
  ] as const) {
    const { ports, state, switches } = machine();
    state.alive.add('2:2');
    const stateFolder = t.testdir();
    const lan: RouterSetting = { ...NOTHING, advertised: MEMBER.advertised };
    const routers = [
      new Router(ports('1:1'), { ...OPTIONS, stateFolder }),
      new Router(ports('2:2'), { ...OPTIONS, stateFolder, interface: 'wg0', table: 'postern-wg0' }),
    ] as const;
    await routers[0].set(MEMBER);
    await routers[1].set(lan);
    await routers[order[0]].close();
    t.equal(switches.get('net/ipv4/ip_forward'), '1', `${order[0]} ends, the other goes on`);
    await routers[order[1]].close();
    t.equal(switches.get('net/ipv4/ip_forward'), '0', `${order[1]} ends`);
  }
});

t.test('router: a second node in one network is refused, a dead one is cleared away', async (t) => {
  const { ports, state, switches } = machine();
  const stateFolder = t.testdir();
  await new Router(ports('1:1'), { ...OPTIONS, stateFolder }).set(MEMBER);
  const second = (): Router =>
    new Router(ports('2:2'), { ...OPTIONS, stateFolder, interface: 'tun1' });
  await t.rejects(second().set(MEMBER), /another node routes on this machine already, .* tun0/);
  await Router.recover(ports('2:2'), { stateFolder });
  t.equal(state.rules.length, 1, 'nothing is taken from one that lives');
  state.alive.delete('1:1');
  await Router.recover(ports('2:2'), { stateFolder });
  t.match(state, { rules: [], table: [], filter: undefined });
  t.equal(switches.get('net/ipv4/ip_forward'), '0');
  await second().set(MEMBER);
});

t.test('router: notes that nobody of ours has written change nothing', async (t) => {
  const { ports, switches } = machine();
  const stateFolder = t.testdir();
  mkdirSync(`${stateFolder}/folder.json`);
  writeFileSync(`${stateFolder}/tun0.json`, '{"switches":[{"key":"net/ipv4/ip_forward"}]}');
  writeFileSync(`${stateFolder}/tun1.json.previous`, 'postern-state 1 2 00');
  await Router.recover(ports('2:2'), { stateFolder });
  t.equal(switches.get('net/ipv4/ip_forward'), '0');
});
