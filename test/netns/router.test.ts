/** The router in front of a real kernel (router-world.ts): real packets, what others have there, and what stays. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './child.ts';
import type { SettingText } from './router-process.ts';
import { MEMBER, makeWorld, stateOf, talk } from './router-world.ts';
import { labTest } from './suite.ts';

const options = { timeoutMs: 60_000 };

const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);

labTest('router: a member reaches peers, and leaves nothing', options, async (t, lab) => {
  const world = await makeWorld(lab);
  const { box, far } = world;
  await box.nft(
    'table inet other {\n chain c {\n type filter hook input priority 0\n counter\n }\n}',
  );
  await box.ip('route add 10.44.0.0/16 via 192.168.8.1 table 77', 'rule add fwmark 7 lookup 77');
  const before = (await stateOf(world)).replace(/packets \d+ bytes \d+/, '');
  const child = await world.start(MEMBER);
  t.ok(await world.pings(box, '100.64.0.2'), 'IPv4 by the tunnel');
  t.ok(await world.pings(box, 'fd7a:115c:a1e0::2'), 'IPv6 by the tunnel');
  t.ok(await world.pings(far, '100.64.0.1'), 'and back');
  t.match(
    await world.show('ip', 'route', 'show', 'table', '5200'),
    /100\.64\.0\.2\/31 dev eth0/,
    'collapsed',
  );
  t.match(
    await world.show('ip', 'rule'),
    /5202:\tnot from all fwmark 0x50000000\/0xff000000 lookup 5200/,
  );
  t.equal(await world.show('sysctl', '-n', 'net.ipv4.ip_forward'), '0\n', 'nothing is forwarded');
  t.match(await box.run(['nft', 'list', 'table', 'inet', 'other']), { code: 0 });
  t.same(await child.stop(), { code: 0, signal: null });
  const after = (await stateOf(world)).replace(/packets \d+ bytes \d+/, '');
  t.equal(hash(after), hash(before), 'the machine is as it was');
  if (after !== before) t.same(after.split('\n'), before.split('\n'));
});

labTest(
  'router: a mesh address that is not from the tunnel is dropped',
  options,
  async (t, lab) => {
    const world = await makeWorld(lab);
    const { box, cam, home } = world;
    await world.start(MEMBER);
    await cam.ip('addr add 100.64.0.2/32 dev eth0', 'addr add 100.64.9.9/32 dev eth0');
    await box.ip('route add 100.64.9.9/32 via 192.168.8.20');
    // Without the drop the box would answer by the tunnel, and the count would show it.
    const heard = await box.count('input', 'ip saddr 100.64.0.0/10 icmp type echo-request');
    for (const source of ['100.64.0.2', '100.64.9.9', '100.64.0.2'])
      t.notOk(await world.pings(cam, '192.168.8.10', '-I', source), `from ${source}`);
    t.equal(await heard.packets(), 0, 'none came in');
    t.ok(await world.pings(cam, '192.168.8.10'), 'from its own address it may');
    t.ok(await world.pings(box, '100.64.9.9'), 'an answer to our own question comes in');

    // A provider's line: the WAN interface has an address of the range itself.
    await box.ip('addr add 100.72.0.5/16 dev eth1');
    await home.ip('addr add 100.72.0.1/16 dev eth0');
    await until('a neighbour of that line is heard', () =>
      world.pings(home, '100.72.0.5', '-I', '100.72.0.1'),
    );
    t.notOk(await world.pings(cam, '192.168.8.10', '-I', '100.64.0.2'), 'but no peer there');
    t.notOk(
      await world.show('ip', 'route', 'get', '100.72.0.1').then((text) => /dev eth0/.test(text)),
    );
  },
);

labTest('router: subnet, SNAT and LAN devices, IPv4 and IPv6', options, async (t, lab) => {
  const world = await makeWorld(lab);
  const { box, far, cam, home } = world;
  const before = await stateOf(world);
  const setting: SettingText = {
    ...MEMBER,
    advertised: [
      { prefix: '192.168.8.0/24', snat: true },
      { prefix: 'fd00:8::/64', snat: true },
    ],
    lan: [
      { mesh: '100.64.0.77', lan: '192.168.8.20' },
      { mesh: 'fd7a:115c:a1e0::77', lan: 'fd00:8::20' },
    ],
  };
  const child = await world.start(setting);
  for (const address of ['192.168.8.20', 'fd00:8::20', '100.64.0.77', 'fd7a:115c:a1e0::77'])
    t.ok(await world.pings(far, address), `ping to ${address}`);
  t.ok(await world.pings(box, '100.64.0.77'), 'the box itself reaches its device by that name too');
  t.notOk(await world.pings(far, '203.0.113.1'), 'what is not advertised is not forwarded');
  await home.ip('route add 198.51.100.0/24 via 192.168.8.20');
  await cam.ip('route add default via 192.168.8.10');
  t.notOk(await world.pings(cam, '203.0.113.1'), 'the box is no gateway for its neighbours');
  await cam.ip('route del default');

  const segments = await cam.count('input', 'tcp flags syn tcp option maxseg size 1240');
  await talk(cam, far, '100.64.0.77');
  t.ok((await segments.packets()) > 0, 'with segments that fit');
  t.match(
    await world.show('sysctl', '-n', 'net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'),
    '1\n1\n',
  );
  t.match(
    await world.show('sysctl', '-n', 'net.ipv6.conf.eth1.accept_ra'),
    '2\n',
    'advertisements are still heeded',
  );

  await world.change(child, { ...setting, advertised: [{ prefix: '0.0.0.0/0', snat: true }] });
  t.ok(await world.pings(far, '203.0.113.1'), 'as an exit node it forwards to all');

  // Without SNAT the LAN host sees the peer, and needs a way back.
  await world.change(child, {
    ...setting,
    lan: [],
    advertised: [{ prefix: '192.168.8.0/24', snat: false }],
  });
  t.notOk(await world.pings(far, '192.168.8.20'), 'no way back');
  await cam.ip('route add 100.64.0.0/10 via 192.168.8.10');
  const seen = await cam.count('input', 'ip saddr 100.64.0.2');
  t.ok(await world.pings(far, '192.168.8.20'), 'with a route it comes back');
  t.ok((await seen.packets()) > 0, "from the peer's own address");
  await child.stop();
  t.equal(await stateOf(world), before, 'the machine is as it was');
});

labTest(
  'router: accepted routes and an exit node leave the LAN and our packets alone',
  options,
  async (t, lab) => {
    const world = await makeWorld(lab);
    const { box, far, cam, home } = world;
    await far.ip('addr add 203.0.113.1/32 dev eth0', 'addr add 192.168.9.1/32 dev eth0');
    for (const name of ['all', 'eth1']) await box.sysctl(`net.ipv4.conf.${name}.rp_filter`, 1);
    const before = await stateOf(world);
    const child = await world.start({
      ...MEMBER,
      routes: [...(MEMBER.routes ?? []), '192.168.0.0/16'],
    });
    t.ok(await world.pings(box, '192.168.9.1'), 'accepted');
    t.match(
      await world.show('ip', 'route', 'get', '192.168.8.20'),
      'dev eth1',
      'our LAN inside it is at home',
    );
    t.ok(await world.pings(box, '192.168.8.20'));

    await world.change(child, { ...MEMBER, exit: true });
    const by = async (...words: string[]): Promise<string | undefined> =>
      /dev (\S+)/.exec(await world.show('ip', 'route', 'get', ...words))?.[1];
    t.equal(await by('203.0.113.1'), 'eth0', 'the rest of the world by the tunnel');
    t.equal(await by('2001:db8::1'), 'eth0', 'of IPv6 too');
    t.equal(await by('203.0.113.1', 'mark', '0x50000000'), 'eth1', 'our own packets by the cable');
    t.equal(await by('192.168.8.20'), 'eth1', 'the LAN by the cable');
    t.equal(await by('224.0.0.251'), 'eth1', 'groups by the cable');
    await world.change(child, { ...MEMBER, exit: true, lanByExit: true });
    t.equal(await by('192.168.8.20'), 'eth0', 'the LAN by the tunnel, where that is wanted');
    t.equal(await by('192.168.8.20', 'mark', '0x50000000'), 'eth1', 'but not our own packets');
    const advertised = [{ prefix: '192.168.8.0/24', snat: true }];
    await world.change(child, { ...MEMBER, exit: true, lanByExit: true, advertised });
    t.equal(await by('192.168.8.20'), 'eth1', 'nor where we forward to');
    await world.change(child, { ...MEMBER, exit: true });
    const out = await far.count('input', 'ip daddr 203.0.113.1 icmp type echo-request');
    t.ok(await world.pings(box, '203.0.113.1'));
    t.equal(await out.packets(), 1, 'through the tunnel');
    const direct = await home.count('input', 'ip daddr 203.0.113.1 icmp type echo-request');
    t.ok(
      await world.pings(box, '203.0.113.1', '-m', String(0x50000000)),
      'an answer from outside comes in, though rp_filter was strict',
    );
    t.equal(await direct.packets(), 1);
    await box.ip('route del default');
    t.equal(
      await by('203.0.113.1', 'mark', '0x50000000'),
      undefined,
      'with no way out they do not loop',
    );
    t.equal(await by('203.0.113.1'), 'eth0');
    await box.ip('route add default via 192.168.8.1');
    t.notOk(cam.children.length, 'nobody else took part');
    await child.stop();
    t.equal(await stateOf(world), before, 'the machine is as it was');
  },
);

labTest('router: the start after a SIGKILL puts everything back', options, async (t, lab) => {
  const world = await makeWorld(lab);
  const { box, folder } = world;
  const before = await stateOf(world);
  const setting = { ...MEMBER, exit: true, advertised: [{ prefix: '192.168.8.0/24', snat: true }] };
  for (let round = 0; round < 3; round++) {
    const child = await world.start(setting);
    child.signal('SIGKILL');
    await child.exited;
    // As with a TUN device, its addresses end with its process.
    await box.ip('addr flush dev eth0 scope global');
  }
  t.not(await stateOf(world), before, 'much is left behind');
  const last = await world.start(setting);
  t.match(last.output, 'put back what a killed process left');
  await last.stop();
  t.equal(await stateOf(world), before, 'the machine is as it was before the first');
  t.notOk(existsSync(join(folder, 'run/eth0.json')), 'no note is left');
});
