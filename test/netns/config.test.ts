/**
 * `--config`: a file alone makes a whole interface, and `status` tells how it is.
 *
 *     a  10.77.0.1  ======  10.77.0.2  b       both by a file: keys, addresses, MTU, routes, peers
 *        10.78.1.1  inner   10.78.2.1          no prefix of one covers the other: only routes lead there
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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
import type { Keys } from './pair.ts';
import { newKeys } from './pair.ts';
import { labTest } from './suite.ts';

const options = { skip: isMissing('ours'), timeoutMs: 40_000 };

interface Side {
  readonly host: Host;
  readonly keys: Keys;
  readonly iface: string;
  readonly file: string;
  /** Writes the file anew. */
  write(...lines: readonly string[]): void;
  start(): Child;
  run(...args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }>;
  pings(address: string): Promise<boolean>;
}

async function makeSide(lab: Lab, name: string): Promise<Side> {
  const host = await lab.host(name);
  const folder = mkdtempSync(join(tmpdir(), 'postern-config-'));
  const iface = uniqueInterface();
  lab.onClose(() => {
    rmSync(folder, { recursive: true });
    rmSync(socketPath(iface), { force: true });
  });
  const { env } = IMPLEMENTATIONS.ours;
  const file = join(folder, `${iface}.conf`);
  return {
    host,
    keys: newKeys(),
    iface,
    file,
    write: (...lines) => writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 }),
    start: () =>
      host.start([...OURS, 'wireguard', iface, '-f', '--config', file], { name: iface, env }),
    // As a person runs it: without the stacks that debug shows.
    run: (...args) =>
      host.run([...OURS, ...args], { check: false, env: { ...env, POSTERN_LOG: 'info' } }),
    pings: async (address) =>
      (await host.run(['ping', '-n', '-c', '1', '-W', '0.5', address], { check: false })).code ===
      0,
  };
}

/** The lines of a file for side 1 or 2 with the other as its peer. */
function lines(side: Side, number: number, other: Side): string[] {
  const far = 3 - number;
  return [
    '[Interface]',
    `PrivateKey = ${side.keys.privateKey}`,
    `ListenPort = ${51_000 + number}`,
    `Address = 10.78.${number}.1/24, fd78:${number}::1/64`,
    'MTU = 1400',
    '[Peer]',
    `PublicKey = ${other.keys.publicKey}`,
    `Endpoint = 10.77.0.${far}:${51_000 + far}`,
    `AllowedIPs = 10.78.${far}.0/24, fd78:${far}::/64`,
  ];
}

async function twoByFile(lab: Lab): Promise<readonly [Side, Side, Child, Child]> {
  const [a, b] = [await makeSide(lab, 'a'), await makeSide(lab, 'b')];
  await lab.link(a.host, b.host, { a: ['10.77.0.1/24'], b: ['10.77.0.2/24'] });
  a.write(...lines(a, 1, b));
  b.write(...lines(b, 2, a));
  const started = [a.start(), b.start()] as const;
  for (const child of started) await child.says(/wireguard: ready/, 10_000);
  return [a, b, ...started];
}

labTest('config: two hosts by their files alone reach each other', options, async (t, lab) => {
  const [a, b, child] = await twoByFile(lab);
  for (const address of ['10.78.2.1', 'fd78:2::1'])
    await until(`a ping from ${address}`, () => a.pings(address));
  t.match((await a.host.run(['ip', 'link', 'show', a.iface])).stdout, 'mtu 1400');
  const who = (side: Side): string => side.keys.publicKey.slice(0, 8);
  t.ok(child.output.includes(`debug handshake: our initiation was answered peer=${who(b)}`));

  const { code, stdout } = await a.run('status', a.iface);
  t.equal(code, 0);
  t.match(stdout, new RegExp(`^${a.iface}: up, port 51001, MTU 1400, running for \\d+ s\n`));
  t.match(stdout, `peer ${b.keys.publicKey}\n  endpoint    10.77.0.2:51002\n`);
  t.match(stdout, /health: all well\n$/);
  t.notMatch(stdout, a.keys.privateKey);
  t.comment(stdout);
  const { interfaces } = JSON.parse((await a.run('status', '--json')).stdout) as {
    interfaces: { name: string; pid: number; aead: { name: string }; peers: unknown[] }[];
  };
  const found = interfaces.find(({ name }) => name === a.iface);
  t.match(found, { pid: child.pid, aead: { name: 'openssl-batch' }, peers: [{}] });

  t.same(await child.stop(), { code: 0, signal: null });
  t.notMatch((await a.host.run(['ip', 'route'])).stdout, '10.78', 'routes went with the device');
  t.match(await a.run('status', a.iface), {
    code: 1,
    stderr: /no interface .*; start it: postern/,
  });
});

labTest('config: a second start is refused, and harms nothing', options, async (t, lab) => {
  const [a] = await twoByFile(lab);
  await until('a ping', () => a.pings('10.78.2.1'));
  const second = await a.run('wireguard', a.iface, '-f', '--config', a.file);
  t.match(second, { code: 1, stderr: /^postern: cannot make the interface .*stop that one/ });
  t.equal(await a.pings('10.78.2.1'), true);
});

labTest('config: a wrong file starts nothing', options, async (t, lab) => {
  const a = await makeSide(lab, 'a');
  a.write('[Interface]', 'Address = 10.78.1.1/33');
  const wrong = await a.run('wireguard', a.iface, '-f', '--config', a.file);
  t.match(wrong, { code: 1, stderr: /\.conf:2: Address: wanted .*found '10\.78\.1\.1\/33'\n$/ });
  t.not((await a.host.run(['ip', 'link', 'show', a.iface], { check: false })).code, 0);
});

labTest('config: Table rules the routes, a default route is left', options, async (t, lab) => {
  const a = await makeSide(lab, 'a');
  const peer = ['[Peer]', `PublicKey = ${newKeys().publicKey}`];
  const allowed = 'AllowedIPs = 0.0.0.0/0, 10.99.0.0/16, fd99::/48';
  const routes = async (...table: readonly string[]): Promise<string> =>
    (await a.host.run(['ip', 'route', 'show', ...table])).stdout;
  a.write('[Interface]', ...peer, allowed);
  const child = a.start();
  await child.says(
    /warn wireguard: no default route .*allowedIps=0\.0\.0\.0\/0 .*wg-quick/,
    10_000,
  );
  await child.says(/wireguard: ready/);
  t.match(await routes(), `10.99.0.0/16 dev ${a.iface}`);
  t.notMatch(await routes(), 'default');
  t.match((await a.host.run(['ip', '-6', 'route'])).stdout, `fd99::/48 dev ${a.iface}`);

  a.write('[Interface]', 'Table = 77', ...peer, allowed);
  child.signal('SIGHUP');
  await child.says(/wireguard: file read again/);
  t.notMatch(await routes(), '10.99', 'taken out of the main table');
  t.match(await routes('table', '77'), /^default dev .*\n10\.99\.0\.0\/16 dev /);

  a.write('[Interface]', 'Table = off', ...peer, allowed);
  child.signal('SIGHUP');
  await child.says(/(file read again.*){2}/s);
  t.equal(await routes('table', '77'), '');
});

labTest('config: SIGHUP applies what changed, and a session goes on', options, async (t, lab) => {
  const [a, b, child] = await twoByFile(lab);
  await until('a ping', () => a.pings('10.78.2.1'));
  const initiations = await b.host.count('input', 'udp dport 51002 udp length 156');
  const newcomer = newKeys().publicKey;
  const changed = lines(a, 1, b).map((line) =>
    line.replace('10.78.1.1/24', '10.78.1.9/24').replace(/^(AllowedIPs.*)/, '$1, 10.78.3.0/24'),
  );
  a.write(...changed, '[Peer]', `PublicKey = ${newcomer}`, 'AllowedIPs = 10.78.4.0/24');
  child.signal('SIGHUP');
  await child.says(/wireguard: file read again/);
  const { stdout } = await a.host.run(['wg', 'show', a.iface, 'allowed-ips']);
  t.match(stdout, `${b.keys.publicKey}\t10.78.2.0/24 `);
  t.match(stdout, '10.78.3.0/24');
  t.match(stdout, `${newcomer}\t10.78.4.0/24`);
  const addresses = (await a.host.run(['ip', '-br', 'addr', 'show', a.iface])).stdout;
  t.match(addresses, '10.78.1.9/24');
  t.notMatch(addresses, '10.78.1.1/24');
  t.match((await a.host.run(['ip', 'route'])).stdout, '10.78.4.0/24');
  await until('a ping after it', () => a.pings('10.78.2.1'));
  t.equal(await initiations.packets(), 0, 'no new handshake');

  a.write('[Interface]', 'Address = everywhere');
  child.signal('SIGHUP');
  await child.says(/error wireguard: file not applied .*\.conf:2: Address/);
  t.equal(await a.pings('10.78.2.1'), true, 'a wrong file changes nothing');
});

labTest('config: a taken port is an error of health, until it is free', options, async (t, lab) => {
  const a = await makeSide(lab, 'a');
  const squatter = await makeSide(lab, 'squatter');
  a.write('[Interface]', `PrivateKey = ${a.keys.privateKey}`, 'ListenPort = 51001');
  const first = a.host.start([...OURS, 'wireguard', squatter.iface, '-f', '--config', a.file], {
    env: IMPLEMENTATIONS.ours.env,
  });
  await first.says(/tunnel: listening/, 10_000);
  const child = a.start();
  await child.says(/error health: listen-port .*EADDRINUSE/, 10_000);
  await child.says(/wireguard: ready/);
  const { code, stdout } = await a.run('status', a.iface);
  t.equal(code, 3);
  t.match(stdout, /^error: the tunnel is down: .*51001.*\n +-> end what holds the port/m);
  t.comment(stdout);
  await a.host.run(['wg', 'set', a.iface, 'listen-port', '51009']);
  await child.says(/health: listen-port is over/);
  t.match(await a.run('status', a.iface), { code: 0, stdout: /port 51009/ });
  await a.host.ip(`link set ${a.iface} down`);
  await child.says(/info health: interface-down/);
  t.match(await a.run('status', a.iface), { code: 0, stdout: /^\S+: down.*notice: the interf/s });
});

labTest('socket: who removes it ends the interface', options, async (t, lab) => {
  const a = await makeSide(lab, 'a');
  a.write('[Interface]', 'Address = 10.78.1.1/24');
  const child = a.start();
  await child.says(/wireguard: ready/, 10_000);
  rmSync(socketPath(a.iface));
  await child.says(/wireguard: ending .*reason="socket removed"/);
  t.same(await child.exited, { code: 0, signal: null });
});
