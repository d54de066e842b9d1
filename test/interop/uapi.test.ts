/**
 * `wg` and `wg-quick` of Debian as judges of the userspace interface.
 *
 * Source: wireguard.com/xplatform, wg(8), wg-quick(8).
 */

import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../netns/child.ts';
import type { Tunnel } from '../netns/implementations.ts';
import {
  cannotRun,
  isMissing,
  quickImplementation,
  socketPath,
  start,
  UNDER_TEST,
  uniqueInterface,
} from '../netns/implementations.ts';
import type { Lab } from '../netns/lab.ts';
import { answers, endpointOf, keysOf, makePair, newKeys, ping } from '../netns/pair.ts';
import { labTest } from '../netns/suite.ts';

const subject = { skip: isMissing(UNDER_TEST) };

async function alone(lab: Lab): Promise<Tunnel> {
  const tunnel = await start(UNDER_TEST, await lab.host('a'));
  await tunnel.host.ip(`link set ${tunnel.interface} up`);
  return tunnel;
}

/** `wg setconf`, `addconf` or `syncconf` with this text. */
async function conf(tunnel: Tunnel, verb: string, text: string): Promise<void> {
  await tunnel.host.run(['wg', verb, tunnel.interface, '/dev/stdin'], { input: text });
}

async function dumpOf(tunnel: Tunnel): Promise<string[][]> {
  return (await tunnel.show('dump')).split('\n').map((line) => line.split('\t'));
}

labTest('wg: what was set is what is shown', subject, async (t, lab) => {
  const tunnel = await alone(lab);
  const own = newKeys();
  const [first, second] = [newKeys().publicKey, newKeys().publicKey];
  const shared = randomBytes(32).toString('base64');
  t.match(await dumpOf(tunnel), [['(none)', '(none)', /^\d+$/, 'off']], 'nothing at first');
  await conf(
    tunnel,
    'setconf',
    `[Interface]
    PrivateKey = ${own.privateKey}
    ListenPort = 51999
    FwMark = 0x1234
    [Peer]
    PublicKey = ${first}
    PresharedKey = ${shared}
    Endpoint = 192.0.2.7:4242
    AllowedIPs = 10.1.2.3/32, 10.2.0.0/15, ::/0, fd00::5/128
    PersistentKeepalive = 25
    [Peer]
    PublicKey = ${second}
    Endpoint = [2001:db8::7]:65535
    AllowedIPs = 0.0.0.0/0`,
  );
  const dump = await dumpOf(tunnel);
  t.same(dump[0], [own.privateKey, own.publicKey, '51999', '0x1234']);
  const peers = new Map(dump.slice(1).map(([key = '', ...rest]) => [key, rest]));
  const [psk, endpoint, allowed = '', handshake, , , keepalive] = peers.get(first) ?? [];
  t.same([psk, endpoint, handshake, keepalive], [shared, '192.0.2.7:4242', '0', '25']);
  t.same(allowed.split(',').sort(), ['10.1.2.3/32', '10.2.0.0/15', '::/0', 'fd00::5/128']);
  t.match(peers.get(second), ['(none)', '[2001:db8::7]:65535', '0.0.0.0/0', '0', '0', '0', 'off']);

  const { stdout: shown } = await tunnel.host.run(['wg', 'showconf', tunnel.interface]);
  await conf(tunnel, 'setconf', shown);
  const again = await dumpOf(tunnel);
  const sorted = (lines: string[][]): string[] =>
    lines.map((line) => line.map((cell) => cell.split(',').sort().join()).join('\t')).sort();
  t.same(sorted(again), sorted(dump), 'showconf, setconf: the same again');
});

labTest('wg: a prefix belongs to the peer that got it last', subject, async (t, lab) => {
  const tunnel = await alone(lab);
  const [first, second] = [newKeys().publicKey, newKeys().publicKey];
  await tunnel.set('peer', first, 'allowed-ips', '10.0.0.0/8,10.1.0.0/16');
  await tunnel.set('peer', second, 'allowed-ips', '10.1.0.0/16');
  t.same(await tunnel.showOf(first, 'allowed-ips'), ['10.0.0.0/8']);
  t.same(await tunnel.showOf(second, 'allowed-ips'), ['10.1.0.0/16']);
  await tunnel.set('peer', first, 'remove');
  t.equal(await tunnel.show('peers'), second);
  await tunnel.set('peer', second, 'allowed-ips', '');
  t.same(await tunnel.showOf(second, 'allowed-ips'), ['(none)']);
});

labTest('wg: our own key is never a peer, and a new one ends that', subject, async (t, lab) => {
  const tunnel = await alone(lab);
  const [own, next] = [newKeys(), newKeys()];
  const setKey = (key: string): Promise<unknown> =>
    tunnel.host.run(['wg', 'set', tunnel.interface, 'private-key', '/dev/stdin'], { input: key });
  await setKey(own.privateKey);
  await tunnel.set('peer', next.publicKey, 'allowed-ips', '10.0.0.1/32');
  t.equal(await tunnel.show('peers'), next.publicKey);
  await setKey(next.privateKey);
  t.equal(await tunnel.show('public-key'), next.publicKey);
  t.equal(await tunnel.show('peers'), '', 'the peer that became ourselves is gone');
  await setKey(keysOf(new Uint8Array(32)).privateKey);
  t.equal(await tunnel.show('public-key'), '(none)', 'a key of zeros removes it');
});

labTest('wg: a taken port is an error, and the old one stays', subject, async (t, lab) => {
  const tunnel = await alone(lab);
  await tunnel.set('listen-port', '51990');
  const other = await start(UNDER_TEST, tunnel.host);
  await other.host.ip(`link set ${other.interface} up`);
  const argv = ['wg', 'set', other.interface, 'listen-port', '51990'];
  const { code, stderr } = await other.host.run(argv, { check: false });
  t.not(code, 0);
  t.match(stderr, /in use/i);
  t.equal(await tunnel.show('listen-port'), '51990');
  await other.set('listen-port', '51991');
  t.equal(await other.show('listen-port'), '51991', 'another one can be had afterwards');
});

labTest('wg: the mark is on what leaves', subject, async (t, lab) => {
  const { a, b } = await makePair(lab, [UNDER_TEST, UNDER_TEST]);
  const marked = await a.host.count('output', `meta mark 0x4242 udp sport ${a.port}`);
  t.equal((await ping(a, b.inner[0])).received, 3);
  t.equal(await marked.packets(), 0);
  await a.tunnel.set('fwmark', '0x4242');
  t.equal((await ping(a, b.inner[0])).received, 3);
  t.equal(await marked.packets(), 3);
  await a.tunnel.set('fwmark', '0');
  t.equal((await ping(a, b.inner[0])).received, 3);
  t.equal(await marked.packets(), 3);
});

labTest('wg: syncconf leaves the sessions of peers that stay', subject, async (t, lab) => {
  const { a, b } = await makePair(lab, [UNDER_TEST, UNDER_TEST]);
  t.equal((await ping(a, b.inner[0])).received, 3);
  const before = await a.tunnel.showOf(b.keys.publicKey, 'latest-handshakes');
  const initiations = await b.host.count('input', `udp dport ${b.port} udp length 156`);
  const newcomer = newKeys().publicKey;
  await conf(
    a.tunnel,
    'syncconf',
    `[Interface]
    PrivateKey = ${a.keys.privateKey}
    ListenPort = ${a.port}
    [Peer]
    PublicKey = ${b.keys.publicKey}
    AllowedIPs = ${b.inner[0]}/32, ${b.inner[1]}/128
    Endpoint = ${endpointOf(b)}
    [Peer]
    PublicKey = ${newcomer}
    AllowedIPs = 10.99.0.0/16`,
  );
  t.equal((await ping(a, b.inner[0])).received, 3);
  t.same(await a.tunnel.showOf(b.keys.publicKey, 'latest-handshakes'), before);
  t.equal(await initiations.packets(), 0, 'no new handshake');
  t.match((await a.tunnel.show('peers')).split('\n').sort(), [b.keys.publicKey, newcomer].sort());
});

labTest('wg: removing a stranger is no error and adds nobody', subject, async (t, lab) => {
  const tunnel = await alone(lab);
  const { code, stderr } = await tunnel.host.run(
    ['wg', 'set', tunnel.interface, 'peer', newKeys().publicKey, 'remove'],
    { check: false },
  );
  t.same([code, stderr], [0, '']);
  t.equal(await tunnel.show('peers'), '');
});

const quick = { skip: subject.skip || cannotRun('wg-quick') };

labTest('wg-quick: up and down, twice', quick, async (t, lab) => {
  const { b } = await makePair(lab, [UNDER_TEST, UNDER_TEST], { acquainted: false });
  const a = await lab.host('quick');
  await lab.link(a, b.host, { a: ['10.79.0.1/24'], b: ['10.79.0.2/24'] });
  const keys = newKeys();
  const iface = uniqueInterface();
  const folder = mkdtempSync(join(tmpdir(), 'postern-quick-'));
  lab.onClose(() => rmSync(folder, { recursive: true }));
  const file = join(folder, `${iface}.conf`);
  // A default route makes wg-quick use everything it has: mark, routing table, rules, firewall.
  writeFileSync(
    file,
    `[Interface]
Address = 10.78.0.50/24, fd78::50/64
PrivateKey = ${keys.privateKey}
MTU = 1400
[Peer]
PublicKey = ${b.keys.publicKey}
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = 10.79.0.2:${b.port}
PersistentKeepalive = 5
`,
    { mode: 0o600 },
  );
  await b.tunnel.set('peer', keys.publicKey, 'allowed-ips', '10.78.0.50/32,fd78::50/128');
  const env = { WG_QUICK_USERSPACE_IMPLEMENTATION: quickImplementation(UNDER_TEST) };
  const side = { ...b, host: a };
  for (const round of [1, 2]) {
    await a.run(['wg-quick', 'up', file], { env });
    t.match((await a.run(['ip', 'link', 'show', iface])).stdout, 'mtu 1400', `round ${round}`);
    for (const address of b.inner)
      await until(`a ping from ${address}`, () => answers(side, address), 8000);
    t.match((await a.run(['wg', 'show', iface, 'fwmark'])).stdout, /^0x/);
    await a.run(['wg-quick', 'down', file], { env });
    await until('the process ends', async () => (await a.pids()).length === 0);
    t.notOk(existsSync(socketPath(iface)), 'its socket is gone');
    t.not((await a.run(['ip', 'link', 'show', iface], { check: false })).code, 0);
  }
});
