/**
 * Names with the system's own libc as the judge: `getent` on a host whose resolv.conf we write.
 *
 *     board 192.0.2.2 -- 192.0.2.53 upstream, answers for `test` alone
 *
 * `ip netns exec` mounts the host's own file over /etc/resolv.conf, so that it can be written, not replaced.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NamesReport } from '../../src/node/names/report.ts';
import type { DaemonSetting } from '../unit/names/daemon.ts';
import type { Child } from './child.ts';
import { until } from './child.ts';
import type { Host, Lab } from './lab.ts';
import { labTest } from './suite.ts';

const DAEMON = join(import.meta.dirname, '../unit/names/daemon.ts');
const BEFORE = '# as the lab made it\nnameserver 192.0.2.53\nsearch lan\noptions timeout:1\n';

interface Scene {
  readonly board: Host;
  readonly upstream: Child;
  readonly start: () => Promise<Child>;
  readonly resolvConf: string;
}

async function scene(lab: Lab): Promise<Scene> {
  const [board, far] = [await lab.host('board'), await lab.host('far')];
  await lab.link(board, far, { a: ['192.0.2.2/24'], b: ['192.0.2.53/24', '192.0.2.54/24'] });
  await board.ip(
    'addr add 100.100.100.100/32 dev lo',
    'addr add fd7a:115c:a1e0::53/128 dev lo nodad',
  );
  const run = mkdtempSync(join(tmpdir(), 'postern-names-'));
  // The other host has a file of its own as well, so that nothing here can reach the machine's.
  const [resolvConf = '', farResolvConf = ''] = [board, far].map(({ namespace }) => {
    const etc = join('/etc/netns', namespace);
    lab.onClose(() => rmSync(etc, { recursive: true, force: true }));
    mkdirSync(etc, { recursive: true });
    return join(etc, 'resolv.conf');
  });
  lab.onClose(() => rmSync(run, { recursive: true, force: true }));
  writeFileSync(resolvConf, BEFORE);
  writeFileSync(farResolvConf, '');
  const start = async (host: Host, setting: DaemonSetting): Promise<Child> => {
    const child = host.start([process.execPath, DAEMON, JSON.stringify(setting)], {
      name: 'names',
    });
    await child.says(/ready/);
    return child;
  };
  const upstream = await start(far, {
    hosts: { 'www.test': ['198.51.100.7'] },
    own: ['test', 'lan'],
    search: [],
    listen: ['192.0.2.53', '192.0.2.54'],
    run: join(run, 'far'),
    manage: false,
    fallback: [],
  });
  return {
    board,
    upstream,
    resolvConf,
    start: () =>
      start(board, {
        hosts: { 'cam.mesh.example': ['100.64.0.1', 'fd7a:115c:a1e0::1'] },
        own: ['mesh.example', '64.100.in-addr.arpa'],
        search: ['mesh.example'],
        listen: ['100.100.100.100', 'fd7a:115c:a1e0::53'],
        run: join(run, 'board'),
        manage: true,
        fallback: [],
      }),
  };
}

/** The first line that getent prints, blanks made one; empty where it finds nothing. */
async function getent(host: Host, database: string, key: string): Promise<string> {
  const { stdout } = await host.run(['getent', database, key], { check: false });
  return (stdout.split('\n')[0] ?? '').replace(/\s+/g, ' ').trim();
}

async function status(child: Child): Promise<NamesReport> {
  const before = child.output.length;
  child.signal('SIGUSR2');
  await until('the status is told', () => child.output.slice(before).includes('}\n'));
  const line = child.output
    .slice(before)
    .split('\n')
    .find((one) => one.startsWith('{'));
  return JSON.parse(line ?? '') as NamesReport;
}

labTest(
  'names: getent finds ours, bare and backwards, and all others as before',
  {},
  async (t, lab) => {
    const { board, upstream, start, resolvConf } = await scene(lab);
    t.equal(await getent(board, 'ahostsv4', 'www.test'), '198.51.100.7 STREAM www.test');
    const ours = await start();
    t.equal(await getent(board, 'ahostsv4', 'cam'), '100.64.0.1 STREAM cam.mesh.example');
    t.equal(await getent(board, 'ahostsv6', 'cam'), 'fd7a:115c:a1e0::1 STREAM cam.mesh.example');
    t.equal(await getent(board, 'hosts', '100.64.0.1'), '100.64.0.1 cam.mesh.example');
    t.equal(await getent(board, 'ahostsv4', 'www.test'), '198.51.100.7 STREAM www.test');
    t.equal(await getent(board, 'ahosts', 'none.mesh.example'), '');
    const seen = await status(upstream);
    t.equal(seen.counters['dns: no resolver'], undefined, 'the upstream heard of no name of ours');
    await upstream.stop('SIGKILL');
    t.equal(await getent(board, 'ahostsv4', 'cam'), '100.64.0.1 STREAM cam.mesh.example');
    t.equal((await ours.stop()).code, 0);
    t.equal(readFileSync(resolvConf, 'utf8'), BEFORE);
  },
);

labTest(
  'names: kill -9 leaves what the next start takes over and puts back',
  {},
  async (t, lab) => {
    const { board, start, resolvConf } = await scene(lab);
    await (await start()).stop('SIGKILL');
    t.match(readFileSync(resolvConf, 'utf8'), /^nameserver 100\.100\.100\.100$/m);
    const second = await start();
    t.same((await status(second)).upstreams, ['192.0.2.53']);
    t.equal(await getent(board, 'ahostsv4', 'www.test'), '198.51.100.7 STREAM www.test');
    await second.stop();
    t.equal(readFileSync(resolvConf, 'utf8'), BEFORE);
  },
);

labTest('names: a DHCP client’s rewrite is noticed and taken over', {}, async (t, lab) => {
  const { board, start, resolvConf } = await scene(lab);
  const ours = await start();
  const theirs = 'nameserver 192.0.2.54\n';
  const started = Date.now();
  writeFileSync(resolvConf, theirs);
  await until('ours is back', () => /^nameserver 100\.100/m.test(readFileSync(resolvConf, 'utf8')));
  t.comment(`ours again after ${Date.now() - started} ms`);
  t.same((await status(ours)).upstreams, ['192.0.2.54']);
  t.equal(await getent(board, 'ahostsv4', 'www.test'), '198.51.100.7 STREAM www.test');
  await ours.stop();
  t.equal(readFileSync(resolvConf, 'utf8'), theirs);
});
