import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { NodeOptions } from '../../../src/cli/node.ts';
import type { Actions } from '../../../src/cli/program.ts';
import type { PingReport } from '../../../src/protocol/localapi/node-reports.ts';
import { served } from '../node-api/fake-node.ts';
import { STATUS } from '../node-api/fake-status.ts';
import { postern, start } from './run-verb.ts';

const DIRECT: PingReport = {
  IP: '100.64.0.2',
  NodeIP: '100.64.0.2',
  NodeName: 'laptop',
  Err: '',
  LatencySeconds: 0.0042,
  Endpoint: '203.0.113.7:41641',
  PeerRelay: '',
  DERPRegionID: 0,
  DERPRegionCode: '',
};
const RELAYED: PingReport = {
  ...DIRECT,
  LatencySeconds: 0.0417,
  Endpoint: '',
  DERPRegionID: 900,
  DERPRegionCode: 'fra',
};
t.test('ping: it ends with the first direct path, and the exit code says what came', async (t) => {
  const place = await served(t);
  const { node } = place;
  node.pongs = [undefined, RELAYED, DIRECT];
  const pong = 'pong from laptop (100.64.0.2) via';
  t.same(await postern(place, 'ping laptop --interval 1ms'), {
    code: 0,
    out: `${pong} DERP(fra) in 42ms\n${pong} 203.0.113.7:41641 in 4.2ms\n`,
    err: 'laptop (100.64.0.2) did not answer in 5 s\n',
  });
  for (const [pongs, flags, code, err] of [
    [[RELAYED, RELAYED], '-c 2', 1, /no direct path was found/],
    [[RELAYED, RELAYED], '--c 2 --until-direct=false', 0, /^$/],
    [[RELAYED], '-c 5 --tsmp', 0, /^$/],
    [[], '-c 2', 1, /no answer from laptop/],
  ] as const) {
    node.pongs = [...pongs];
    t.match(await postern(place, `ping laptop --interval 1ms ${flags}`), { code, err }, flags);
  }
  t.match(await postern(place, 'ping nobody'), { code: 1, err: /there is no nobody/ });
  t.match(await postern(place, 'ping box'), { code: 0, err: /address of this machine/ });
  node.pongs = [RELAYED];
  const { out } = await postern(place, 'ping laptop -c 1 --json --no-until-direct');
  t.same(JSON.parse(out), RELAYED);
});

t.test('ip: one address a line, and none is a failure', async (t) => {
  const place = await served(t);
  for (const [line, code, out] of [
    ['ip', 0, '100.64.0.1\nfd7a::1\n'],
    ['ip -4', 0, '100.64.0.1\n'],
    ['ip -6', 0, 'fd7a::1\n'],
    ['ip -1 laptop', 0, '100.64.0.2\n'],
    ['ip --4 cam', 0, '100.64.9.9\n'],
    ['ip -6 cam', 1, ''],
    ['ip -4 -6', 2, ''],
    ['ip --assert 100.64.0.1', 0, ''],
    ['ip --assert 100.64.0.2', 1, ''],
  ] as const) {
    const ran = await postern(place, line);
    t.match(ran, { code, out }, line);
    t.equal(ran.err === '', code === 0, line);
  }
  place.node.change({ Self: { ...STATUS.Self, TailscaleIPs: [] }, BackendState: 'NeedsLogin' });
  t.match(await postern(place, 'ip'), {
    code: 1,
    err: /no address yet \(NeedsLogin\).*postern up/,
  });
});

t.test('socket: before the verb, behind it, and from the environment', async (t) => {
  const { path } = await served(t);
  const before = process.env['POSTERN_SOCKET'];
  t.teardown(() => {
    if (before === undefined) delete process.env['POSTERN_SOCKET'];
    else process.env['POSTERN_SOCKET'] = before;
  });
  process.env['POSTERN_SOCKET'] = '/nowhere/node.sock';
  for (const words of [
    ['--socket', path, 'ip', '-4'],
    ['ip', '-4', '--socket', path],
    ['--socket', '/nowhere', 'ip', '-4', '--socket', path],
  ])
    t.match(await start(words).ended, { code: 0, out: '100.64.0.1\n' }, words.join(' '));
  t.match(await start(['--socket', path, 'dns', 'status']).ended, { out: /by file/ });
  t.match(await start(['dns', '--socket', path, 'status']).ended, { out: /by file/ });
  process.env['POSTERN_SOCKET'] = path;
  for (const words of [
    ['ip', '-4'],
    ['dns', 'query', 'cam'],
    ['lan', 'list'],
  ])
    t.match(await start(words).ended, { code: 0 }, words.join(' '));
  const asked: string[] = [];
  const ask: Actions['ask'] = async (socket) => {
    asked.push(socket);
    throw new Error('seen');
  };
  await start(['users', 'list'], { ask }).ended;
  await start(['--socket', '/a', 'users', 'list'], { ask }).ended;
  await start(['users', 'list', '--socket', '/b'], { ask }).ended;
  t.same(asked, ['/run/postern/control.sock', '/a', '/b'], "the server's is another");
});

t.test('socket: nobody there, and somebody else there', async (t) => {
  // Of a length that does not depend on where the tree lies: a socket's path is short.
  const folder = mkdtempSync(join(tmpdir(), 'postern-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'file'), '');
  const none = await start(['--socket', `${folder}/none`, 'ip']).ended;
  t.match(none, { code: 1, err: /no node answers at .*none; start it: systemctl start postern/ });
  t.match(await start(['--socket', `${folder}/file`, 'ip']).ended, { code: 1, err: /start it/ });
  const long = `/run/${'x'.repeat(99)}`;
  t.match(await start(['--socket', long, 'ip']).ended, { code: 1, err: /104 bytes.*103 at most/ });
});

t.test('lan: a device is noted, shared, listed and forgotten', async (t) => {
  const place = await served(t);
  t.match(await postern(place, 'lan add cam 192.168.8.20'), { code: 0, err: /lan share cam/ });
  t.match(await postern(place, 'lan share cam'), { err: 'cam.mesh.example is 100.64.9.9 now\n' });
  t.same(JSON.parse((await postern(place, 'lan list --json')).out), {
    devices: [
      {
        name: 'cam',
        fqdn: 'cam.mesh.example',
        address: '192.168.8.20',
        meshAddress: '100.64.9.9',
        mode: 'route',
        sshPort: 22,
        shared: true,
      },
    ],
  });
  t.match(await postern(place, 'lan list'), {
    out: /^NAME .*\ncam +192\.168\.8\.20 +100\.64\.9\.9 /,
  });
  t.match(await postern(place, 'lan remove cam'), { code: 0, err: 'cam is forgotten\n' });
  t.match(await postern(place, 'lan share cam'), { code: 1, err: /postern lan add cam ADDRESS/ });
});

t.test('looks: whois, netcheck, names and drops say what a person wants first', async (t) => {
  const place = await served(t);
  for (const [line, code, out] of [
    ['whois 100.64.9.9:22', 0, /name +nas\.mesh\.example\n.*LAN device +cam.*tags +tag:store\n$/s],
    ['whois 100.64.0.2', 0, /user\n +name +alice@example\.org/],
    ['netcheck', 0, /NAT +hard.*mapping +NAT-PMP: 203\.0\.113\.5:7000.*relays +12\.4 ms {2}fra/s],
    ['netcheck --format=json-line', 0, /^\{"Now".*\}\n$/],
    ['dns status --all', 0, /split +corp: 10\.0\.0\.1.*cam\.mesh\.example\. +A +100\.64\.9\.9/s],
    ['dns query cam', 0, /cam +600 +INET +A +100\.64\.9\.9/],
    ['dns query none.example', 3, /NameError.*no records/s],
    ['debug drops', 0, /^PACKETS {2}REASON\n7 +in: filtered\n\n.*100\.64\.0\.1:22/s],
    ['debug netmap', 0, /"domain": "mesh"/],
    ['set --shields-up --key-rotation=30d --hostname=', 0, /shields up +yes/],
    ['key rotate', 0, /^nodekey:0+1\n$/],
  ] as const)
    t.match(await postern(place, line), { code, out }, line);
});

t.test('netcheck: where UDP is blocked nothing is claimed of the families', async (t) => {
  const place = await served(t);
  const { node } = place;
  const report = await node.netcheck(new AbortController().signal);
  const blocked = { ...report, UDP: false, IPv4: false, GlobalV4: '' };
  node.netcheck = async () => blocked;
  t.match(await postern(place, 'netcheck'), { out: /UDP +blocked.*IPv4 +unknown.*IPv6 +unknown/s });
  node.netcheck = async () => ({ ...blocked, OSHasIPv6: false });
  t.match(await postern(place, 'netcheck'), { out: /IPv6 +no, and this machine has none/ });
});

t.test(
  'command line: what the node does not understand is exit 2, before it is asked',
  async (t) => {
    for (const line of [
      'up --advertise-routes 192.168.8.1/24',
      'up --advertise-routes 192.168.8.1',
      'up --login-server mesh.example',
      'up --timeout soon',
      'set --key-rotation 5s',
      'set --advertise-tags tag:a,b!',
      'ping',
      'ping a b',
      'ping a -c many',
      'dns query a NAPTR',
      'netcheck --format yaml',
      'lan add cam',
      'key',
      'node --port 70000',
      'node --tun ../x',
    ]) {
      const { code, err } = await start(line.split(' ')).ended;
      t.equal(code, 2, line);
      t.match(err, /--help|Usage/, line);
    }
    t.match(await start(['up', '--advertise-routes', '192.168.8.1/24']).ended, {
      err: /has host bits; wanted 192\.168\.8\.0\/24/,
    });
  },
);

t.test('node: its options are read, --socket on either side', async (t) => {
  const given: NodeOptions[] = [];
  const node = async (options: NodeOptions): Promise<void> => void given.push(options);
  const rest = '--state /s --tun pn0 --port 7 --log-level debug'.split(' ');
  await start(['node', ...rest, '--socket', '/run/a.sock'], { node }).ended;
  await start(['--socket', '/run/a.sock', 'node', ...rest], { node }).ended;
  const options = {
    stateFolder: '/s',
    socket: '/run/a.sock',
    tun: 'pn0',
    port: 7,
    metrics: 'off',
    logLevel: 'debug',
  };
  t.same(given, [options, options]);
});
