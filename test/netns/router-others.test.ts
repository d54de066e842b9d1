/** The router beside other programs that change routes, rules and filters of the same kernel (router-world.ts). */

import { until } from './child.ts';
import { MEMBER, makeWorld, stateOf } from './router-world.ts';
import { labTest } from './suite.ts';

/** Filters are looked at every five seconds at most. */
const BACK_MS = 12_000;
const options = { timeoutMs: 60_000 };

labTest('router: what another program flushes comes back', options, async (t, lab) => {
  const world = await makeWorld(lab);
  const { box, far } = world;
  const child = await world.start({
    ...MEMBER,
    advertised: [{ prefix: '192.168.8.0/24', snat: true }],
  });
  const wanted = await stateOf(world);
  const back = async (): Promise<boolean> => (await stateOf(world)) === wanted;
  const times: string[] = [];
  for (const [what, lines] of [
    ['routes', ['route flush table 5200']],
    ['rules', ['rule del priority 5202']],
    ['addresses', ['addr del 100.64.0.1/32 dev eth0']],
  ] as const) {
    const began = performance.now();
    await box.ip(...lines);
    await until(`${what} are back`, back);
    times.push(`${what} ${Math.round(performance.now() - began)} ms`);
  }
  await box.nft('flush ruleset');
  await box.sysctl('net.ipv4.ip_forward', 0);
  await until('filter and switch are back', back, BACK_MS);
  t.ok(await world.pings(far, '192.168.8.20'), 'and work');
  t.match(child.output, /repaired after another program what="?packet filter/);
  t.comment(times.join(', '));
  const count = (): number =>
    child.output.split('\n').filter((line) => /repaired/.test(line)).length;
  const repairs = count();
  t.ok(repairs >= 4 && repairs <= 6, `${repairs} repairs, none without a cause`);
  await child.stop();
});

labTest(
  "router: another program's filter that drops what we forward is told",
  options,
  async (t, lab) => {
    const world = await makeWorld(lab);
    const { box, far } = world;
    const child = await world.start({
      ...MEMBER,
      advertised: [{ prefix: '192.168.8.0/24', snat: true }],
    });
    t.ok(await world.pings(far, '192.168.8.20'));
    // As Docker sets it up.
    await box.nft(
      'table ip filter {\n chain FORWARD {\n type filter hook forward priority 0; policy drop;\n }\n}',
    );
    await child.says(
      /warn health: router-forward-dropped .*table ip filter, chain FORWARD/,
      BACK_MS,
    );
    t.notOk(await world.pings(far, '192.168.8.20'), 'for so it is');
    const remedy = /nft insert rule [^;&"]*accept/g;
    const commands = [...new Set(child.output.match(remedy))];
    t.equal(commands.length, 2);
    for (const command of commands) await box.run(command.split(' '));
    await child.says(/health: router-forward-dropped is over/, BACK_MS);
    t.ok(await world.pings(far, '192.168.8.20'), 'after what was said to do');
    await child.stop();
    t.match(
      await world.show('nft', 'list', 'ruleset'),
      /policy drop/,
      "theirs stays, and is nobody's business",
    );
  },
);

labTest("router: it stands beside wg-quick's rules in either order", options, async (t, lab) => {
  const world = await makeWorld(lab);
  const { box } = world;
  const quickUp = ['-4', '-6'].flatMap((family) => [
    ['ip', family, 'route', 'add', 'default', 'dev', 'eth1', 'table', '51820'],
    ['ip', family, 'rule', 'add', 'not', 'fwmark', '51820', 'table', '51820'],
    ['ip', family, 'rule', 'add', 'table', 'main', 'suppress_prefixlength', '0'],
  ]);
  const quickDown = ['-4', '-6'].flatMap((family) => [
    ['ip', family, 'rule', 'delete', 'table', '51820'],
    ['ip', family, 'rule', 'delete', 'table', 'main', 'suppress_prefixlength', '0'],
    ['ip', family, 'route', 'flush', 'table', '51820'],
  ]);
  const run = async (commands: string[][]): Promise<void> => {
    for (const argv of commands) await box.run(argv);
  };
  const before = await stateOf(world);
  const reached = (): Promise<boolean> => world.pings(box, '100.64.0.2');
  await run(quickUp);
  const child = await world.start(MEMBER);
  t.ok(await reached(), 'after wg-quick');
  await run(quickDown);
  t.ok(await reached(), 'when it is gone');
  await run(quickUp);
  await until('the peer is reached again, with its rules before ours', reached);
  t.match(
    await world.show('ip', 'route', 'get', '203.0.113.9'),
    'table 51820',
    'which still take the rest',
  );
  t.match(
    await world.show('ip', 'route', 'get', '203.0.113.9', 'mark', '0x50000000'),
    'table 51820',
    "our packets too, as everyone's",
  );
  await run(quickDown);
  await until('our rules are where they were', async () =>
    /5202:\tnot/.test(await world.show('ip', 'rule')),
  );
  t.ok(await reached());
  await child.stop();
  t.equal(await stateOf(world), before, 'the machine is as it was');
});
