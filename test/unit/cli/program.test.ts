import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import t from 'tap';
import { ConfigError } from '../../../src/base/errors.ts';
import { parsePrefix } from '../../../src/base/prefix.ts';
import { runProgram } from '../../../src/cli/program.ts';
import type { WireguardOptions } from '../../../src/cli/wireguard.ts';
import { UAPI_FOLDER } from '../../../src/node/uapi/server.ts';

const run = promisify(execFile);
const FAKE = fileURLToPath(new URL('fake-main.ts', import.meta.url));
const HAVE_WG = spawnSync('wg', ['--version']).status === 0;
// The socket's folder is fixed, and only root may make it.
const NEEDS = {
  skip:
    process.env['CI'] !== 'true' &&
    ((!HAVE_WG && 'wg(8) is not installed') || (process.getuid?.() !== 0 && 'not root')),
};
let named = 0;
const freshName = (): string => `pc${process.pid}x${named++}`;

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly options: WireguardOptions | undefined;
}

const neverAsked = (): never => {
  throw new Error('no server was to be asked');
};

async function program(calledAs: string, args: readonly string[], error?: Error): Promise<Ran> {
  const said = { out: '', err: '' };
  let options: WireguardOptions | undefined;
  const code = await runProgram(
    calledAs,
    args,
    {
      wireguard: async (given) => {
        options = given;
        if (error) throw error;
      },
      status: async () => [],
      control: async () => {},
      ask: neverAsked,
      node: async () => {},
      askNode: neverAsked,
      watchNode: neverAsked,
      qr: () => [],
      version: () => ({
        version: '1.2.3',
        node: '26',
        openssl: '3',
        koffi: '3.3.4',
        arch: 'arm64',
        platform: 'linux',
      }),
    },
    {
      out: (text) => {
        said.out += text;
      },
      err: (text) => {
        said.err += text;
      },
      debug: false,
    },
  );
  return { code, ...said, options };
}

t.test('command line: options of wireguard are read', async (t) => {
  const args =
    '--foreground --mtu 1280 --aead evp --no-offload --no-gso --active-peers 9 --flows 1024';
  const { code, options } = await program('/usr/bin/postern', [
    'wireguard',
    'wg0',
    ...args.split(' '),
    ...'--config /etc/wg0.conf --log-level debug --route-lan 192.168.8.0/24,fd00:8::/64'.split(' '),
  ]);
  t.equal(code, 0);
  t.same(options, {
    name: 'wg0',
    foreground: true,
    config: '/etc/wg0.conf',
    mtuBytes: 1280,
    aead: 'evp',
    offload: false,
    gso: false,
    activePeers: 9,
    flows: 1024,
    routeLan: ['192.168.8.0/24', 'fd00:8::/64'].map(parsePrefix),
    logLevel: 'debug',
  });
});

t.test('command line: postern-wireguard takes the interface as its one word', async (t) => {
  const { code, options } = await program('/opt/postern-wireguard', ['wg-home']);
  t.equal(code, 0);
  t.match(options, { name: 'wg-home', foreground: false, offload: true, gso: true });
});

t.test('command line: what is not understood is exit 2 and says how to go on', async (t) => {
  for (const args of [
    ['frobnicate'],
    ['wireguard'],
    ['wireguard', '../etc'],
    ['wireguard', '..'],
    ['wireguard', 'a-name-of-16-char'],
    ['wireguard', 'wg0', 'wg1'],
    ['wireguard', 'wg0', '--mtu', '10'],
    ['wireguard', 'wg0', '--flows', '1000'],
    ['wireguard', 'wg0', '--aead', 'rot13'],
    ['wireguard', 'wg0', '--colour'],
  ]) {
    const { code, err, options } = await program('postern', args);
    t.equal(code, 2, args.join(' '));
    t.match(err, /^postern: .+\n.*--help/s, args.join(' '));
    t.equal(options, undefined);
  }
});

t.test('command line: a failure is exit 1, with a stack only where it is our fault', async (t) => {
  const config = await program('postern', ['wireguard', 'wg0'], new ConfigError('do this'));
  t.match(config, { code: 1, err: 'postern: do this\n', out: '' });
  const bug = await program('postern', ['wireguard', 'wg0'], new TypeError('oh'));
  t.equal(bug.code, 1);
  t.match(bug.err, /^postern: TypeError: oh\n.*at /s);
});

t.test('version: as text and as JSON', async (t) => {
  t.match(await program('postern', ['version']), { code: 0, out: /^postern 1\.2\.3\n.*arm64/s });
  const { out } = await program('postern', ['version', '--json']);
  t.match(JSON.parse(out), { version: '1.2.3', koffi: '3.3.4', platform: 'linux' });
});

t.test('process: to the background and back, as wg-quick does it', NEEDS, async (t) => {
  const name = freshName();
  const { folder, device, environment } = place(t);
  await run(process.execPath, [FAKE, name], {
    env: { ...environment, POSTERN_CALLED_AS: 'postern-wireguard' },
  });
  // The starter has ended: device and socket must be there at once.
  const [pid, mtu] = readFileSync(device, 'utf8').split(' ');
  t.equal(mtu, '1420');
  t.equal(process.kill(Number(pid), 0), true, 'it lives on');
  t.equal((await run('wg', ['show', name, 'listen-port'])).stdout, '0\n');
  await run('wg', ['set', name, 'listen-port', '4242']);
  t.equal((await run('wg', ['show', name, 'listen-port'])).stdout, '4242\n');
  t.equal(existsSync(`${folder}/state/wireguard/${name}`), true);
  const second = await run(process.execPath, [FAKE, 'wireguard', name], {
    env: { ...environment, FAKE_DEVICE: `${device}2` },
  }).catch((error) => error);
  t.match(second, { code: 1, stderr: /^postern: interface \S+ is already served/ });
  rmSync(device);
  await ended(Number(pid));
  t.equal(existsSync(`${UAPI_FOLDER}/${name}.sock`), false, 'the socket went with the device');
});

t.test('process: in the background, names of files are those of the caller', NEEDS, async (t) => {
  const name = freshName();
  const { folder, device, environment } = place(t);
  writeFileSync(`${folder}/wg.conf`, '[Interface]\nListenPort = 78\n', { mode: 0o600 });
  await run(process.execPath, [FAKE, 'wireguard', name, '--config', 'wg.conf'], {
    cwd: folder,
    env: { ...environment, POSTERN_STATE: 'state', POSTERN_LOG_FILE: 'log' },
  });
  const [pid] = readFileSync(device, 'utf8').split(' ');
  t.equal((await run('wg', ['show', name, 'listen-port'])).stdout, '78\n');
  t.equal(readlinkSync(`/proc/${pid}/cwd`), '/');
  process.kill(Number(pid), 'SIGTERM');
  await ended(Number(pid));
  t.same(readdirSync(folder).sort(), ['log', 'state', 'wg.conf']);
  t.match(readFileSync(`${folder}/log`, 'utf8'), /reason=SIGTERM/);
});

t.test('process: a child that fails tells its starter why', NEEDS, async (t) => {
  const { environment } = place(t);
  for (const [failure, message] of [
    ['config', /^postern: interface \S+ exists; remove it: ip link del/],
    ['crash', /^postern: the background process ended \(exit code 77\)/],
  ] as const) {
    const args = [FAKE, 'wireguard', freshName()];
    const env = { ...environment, FAKE_FAILURE: failure };
    const error = await run(process.execPath, args, { env }).catch((error) => error);
    t.match(error, { code: 1, stderr: message });
    t.notMatch(error.stderr, /\n.*at /, 'no stack');
  }
});

t.test('process: in the foreground it applies a file and ends cleanly', NEEDS, async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const name = freshName();
    const { folder, device, environment } = place(t);
    const config = `${folder}/wg0.conf`;
    writeFileSync(
      config,
      '[Interface]\nListenPort = 77\nMTU = 1300\nPostUp = reboot\nAddress = 10.0.0.1/24\n',
      {
        mode: 0o600,
      },
    );
    const args = [FAKE, 'wireguard', name, '--foreground', '--config', config];
    const child = spawn(process.execPath, args, { env: environment });
    let log = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    while (!log.includes('wireguard: ready')) await once(child.stdout, 'data');
    t.match(log, /warn .*not honoured.*line=4 key=PostUp/);
    t.match(readFileSync(device, 'utf8'), / 1300 10\.0\.0\.1\/24$/, 'its network was set');
    const status = await run(process.execPath, [FAKE, 'status', name], { env: environment });
    t.match(status.stdout, new RegExp(`^${name}: up, .*health: all well\n$`, 's'));
    t.equal((await run('wg', ['show', name, 'listen-port'])).stdout, '77\n');
    child.kill(signal);
    t.same(await once(child, 'close'), [0, null], signal);
    t.match(log, new RegExp(`wireguard: ending .*reason=${signal}`));
    t.equal(existsSync(device), false);
    t.equal(existsSync(`${UAPI_FOLDER}/${name}.sock`), false);
  }
});

t.test('process: an unreadable or wrong file is said in one line', NEEDS, async (t) => {
  const { folder, environment } = place(t);
  writeFileSync(`${folder}/bad.conf`, '[Interface]\nListenPort = many\n', { mode: 0o600 });
  for (const [file, message] of [
    ['bad.conf', /^postern: \S+bad\.conf:2: ListenPort: wanted .* found 'many'\n$/],
    ['none.conf', /^postern: cannot read \S+none\.conf: .*ENOENT/],
  ] as const) {
    const args = [FAKE, 'wireguard', freshName(), '-f', '--config', `${folder}/${file}`];
    const error = await run(process.execPath, args, { env: environment }).catch((error) => error);
    t.match(error, { code: 1, stderr: message });
  }
  t.same(readdirSync(folder), ['bad.conf'], 'nothing was started');
});

function place(t: Test): {
  folder: string;
  device: string;
  environment: NodeJS.ProcessEnv;
} {
  const folder = t.testdir({});
  const device = `${folder}/device`;
  const environment = {
    PATH: process.env['PATH'],
    FAKE_DEVICE: device,
    POSTERN_STATE: `${folder}/state`,
  };
  return { folder, device, environment };
}

/** Until process `pid` is no more; nobody may be there to reap it. */
async function ended(pid: number): Promise<void> {
  const state = (): string | undefined => {
    try {
      return /\) (.)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
    } catch {
      return undefined;
    }
  };
  while (!['Z', 'X', undefined].includes(state())) await new Promise((done) => setTimeout(done, 5));
}
