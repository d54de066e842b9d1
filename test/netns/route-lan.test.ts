/**
 * `postern wireguard --route-lan`: a LAN host that knows nothing of the tunnel is reached through it.
 *
 *     a  10.78.1.1  ==tunnel==  box  10.78.2.1
 *     10.77.0.1    ----------   10.77.0.2 | 192.168.8.10 ---- 192.168.8.20  cam
 */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Child } from './child.ts';
import { until } from './child.ts';
import {
  IMPLEMENTATIONS,
  isMissing,
  OURS,
  socketPath,
  uniqueInterface,
} from './implementations.ts';
import type { Host, Lab } from './lab.ts';
import { newKeys } from './pair.ts';
import { labTest } from './suite.ts';

const options = { skip: isMissing('ours'), timeoutMs: 60_000 };

interface World {
  readonly a: Host;
  readonly box: Host;
  readonly cam: Host;
  /** Of the box. */
  readonly iface: string;
  startBox(...more: string[]): Promise<Child>;
}

async function makeWorld(lab: Lab): Promise<World> {
  const [a, box, cam] = [await lab.host('a'), await lab.host('box'), await lab.host('cam')];
  await lab.link(a, box, { a: ['10.77.0.1/24'], b: ['10.77.0.2/24'] });
  await lab.link(box, cam, {
    a: ['192.168.8.10/24', 'fd00:8::10/64'],
    b: ['192.168.8.20/24', 'fd00:8::20/64'],
  });
  await box.ip('route add default via 10.77.0.1');
  const folder = mkdtempSync(join(tmpdir(), 'postern-route-lan-'));
  const names = [uniqueInterface(), uniqueInterface()] as const;
  lab.onClose(() => {
    rmSync(folder, { recursive: true });
    for (const name of names) rmSync(socketPath(name), { force: true });
  });
  const keys = [newKeys(), newKeys()] as const;
  const file = (own: 0 | 1, allowed: string): string => {
    const path = join(folder, `${names[own]}.conf`);
    const lines = [
      '[Interface]',
      `PrivateKey = ${keys[own].privateKey}`,
      `ListenPort = ${51_001 + own}`,
      `Address = 10.78.${own + 1}.1/24, fd78:${own + 1}::1/64`,
      'MTU = 1400',
      '[Peer]',
      `PublicKey = ${keys[1 - own]?.publicKey}`,
      `Endpoint = 10.77.0.${2 - own}:${51_002 - own}`,
      `AllowedIPs = ${allowed}`,
    ];
    writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600 });
    return path;
  };
  const { env } = IMPLEMENTATIONS.ours;
  const start = async (host: Host, own: 0 | 1, conf: string, more: string[]): Promise<Child> => {
    const argv = [...OURS, 'wireguard', names[own], '-f', '--config', conf, ...more];
    const child = host.start(argv, { name: names[own], env });
    await child.says(/wireguard: ready/, 15_000);
    return child;
  };
  // Other networks too, which the box must not hand out.
  await start(
    a,
    0,
    file(0, '10.78.2.0/24, fd78:2::/64, 192.168.0.0/16, fd00:8::/64, 10.99.0.0/16'),
    [],
  );
  const conf = file(1, '10.78.1.0/24, fd78:1::/64');
  return { a, box, cam, iface: names[1], startBox: (...more) => start(box, 1, conf, more) };
}

const pings = async (from: Host, address: string): Promise<boolean> =>
  (await from.run(['ping', '-n', '-c', '1', '-W', '1', address], { check: false })).code === 0;

/** The filter and the switches; what ends with the device is not our concern here. */
async function stateOf(box: Host): Promise<string> {
  const { stdout } = await box.run(['nft', 'list', 'ruleset']);
  const keys =
    '^net.ipv[46].(ip_forward|conf.(all|default|eth.).(rp_filter|forwarding|accept_ra|accept_redirects))$';
  return stdout + (await box.run(['sysctl', '-a', '-r', keys])).stdout;
}

labTest(
  'route-lan: a LAN host is reached, and the end puts everything back',
  options,
  async (t, lab) => {
    const { a, box, cam, iface, startBox } = await makeWorld(lab);
    await box.nft('table inet other {\n chain c {\n type filter hook forward priority 0\n }\n}');
    await box.ip('addr add 10.99.0.1/32 dev lo');
    await a.ip('addr add 10.99.9.9/32 dev lo');
    const before = await stateOf(box);
    const child = await startBox('--route-lan', '192.168.8.0/24,fd00:8::/64');
    const seen = await cam.count('input', 'ip saddr 192.168.8.10 icmp type echo-request');
    await until('cam answers over IPv4', () => pings(a, '192.168.8.20'));
    t.ok(await pings(a, 'fd00:8::20'), 'and over IPv6');
    t.ok((await seen.packets()) > 0, "under the box's own address");
    t.notOk(await pings(a, '192.168.9.1'), 'no other network');
    const { stdout } = await box.run(['nft', 'list', 'table', 'inet', `postern-${iface}`]);
    t.match(stdout, 'tcp option maxseg size set 1360', 'segments for an MTU of 1400');
    await box.ip(`link set dev ${iface} mtu 1300`);
    await until('they follow the MTU', async () =>
      /maxseg size set 1260/.test((await box.run(['nft', 'list', 'ruleset'])).stdout),
    );
    t.same(await child.stop(), { code: 0, signal: null });
    t.equal(await stateOf(box), before, 'as before');
    t.notOk(existsSync(`/run/postern/${iface}.json`), 'no note is left');
  },
);

labTest('route-lan: what another program flushes comes back', options, async (t, lab) => {
  const { a, box, iface, startBox } = await makeWorld(lab);
  const child = await startBox('--route-lan', '192.168.8.0/24');
  await until('cam answers', () => pings(a, '192.168.8.20'));
  await box.nft('flush ruleset');
  const table = ['nft', 'list', 'table', 'inet', `postern-${iface}`];
  const isThere = async (): Promise<boolean> => (await box.run(table, { check: false })).code === 0;
  t.notOk(await isThere());
  // Filters are looked at every five seconds at most.
  await until('its table is back', isThere, 12_000);
  t.ok(await pings(a, '192.168.8.20'), 'and works');
  await child.stop();
});

labTest('route-lan: the start after a SIGKILL puts everything back', options, async (t, lab) => {
  const { a, box, startBox } = await makeWorld(lab);
  const before = await stateOf(box);
  const child = await startBox('--route-lan', '192.168.8.0/24');
  await until('cam answers', () => pings(a, '192.168.8.20'));
  child.signal('SIGKILL');
  await child.exited;
  t.not(await stateOf(box), before, 'it has left its table');
  const next = await startBox();
  t.equal(await stateOf(box), before, 'one without --route-lan does it too');
  t.match(next.output, 'put back what a killed process left');
  t.same(await next.stop(), { code: 0, signal: null });
});

labTest(
  'route-lan: forwarding that somebody else has switched on stays his',
  options,
  async (t, lab) => {
    const { a, box, cam, startBox } = await makeWorld(lab);
    await box.forward();
    await cam.ip('route add default via 192.168.8.10');
    const before = await stateOf(box);
    const child = await startBox('--route-lan', '192.168.8.0/24');
    await until('cam answers', () => pings(a, '192.168.8.20'));
    await a.ip(
      'route add 192.168.8.0/24 via 10.77.0.2 table 9',
      'rule add to 192.168.8.0/24 iif lo tos 0x10 lookup 9',
    );
    t.ok(
      (await a.run(['ping', '-c', '1', '-W', '1', '-Q', '0x10', '192.168.8.20'], { check: false }))
        .code === 0,
      'what passed the box before passes still',
    );
    await child.stop();
    t.equal(await stateOf(box), before, 'and forwarding is on');
  },
);
