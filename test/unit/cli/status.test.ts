import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import type { Test } from 'tap';
import t from 'tap';
import type { HealthItem } from '../../../src/base/health.ts';
import { NobodyThereError } from '../../../src/cli/ask-local.ts';
import { askStatus } from '../../../src/cli/ask-status.ts';
import { runProgram } from '../../../src/cli/program.ts';
import { statusText } from '../../../src/cli/status-text.ts';
import type { InterfaceReport } from '../../../src/protocol/localapi/status.ts';
import { writeStatusAnswer } from '../../../src/protocol/localapi/status.ts';
import { fakeReport } from '../uapi/fake-interface.ts';

const ERROR: HealthItem = { code: 'c', severity: 'error', text: 'broken', remedy: 'mend it' };
const NOW = Date.parse('2026-11-24T12:00:00Z');

function scratch(t: Test): string {
  const folder = mkdtempSync(`${tmpdir()}/ps-`);
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A socket where `answer` is what every request gets. */
async function serves(t: Test, path: string, answer: string): Promise<void> {
  const server: Server = createServer((socket) => socket.on('data', () => socket.end(answer)));
  await new Promise<void>((done) => server.listen(path, done));
  t.teardown(() => server.close());
}

const neverAsked = (): never => {
  throw new Error('no server was to be asked');
};

const noNode = async (): Promise<never> => {
  throw new NobodyThereError('no node answers');
};

async function status(
  args: readonly string[],
  reports: readonly InterfaceReport[],
): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const code = await runProgram(
    'postern',
    ['status', ...args],
    {
      status: async (name) =>
        name === undefined ? reports : reports.filter((report) => report.name === name),
      wireguard: async () => {},
      control: async () => {},
      ask: neverAsked,
      node: async () => {},
      askNode: noNode,
      watchNode: neverAsked,
      qr: () => [],
      version: () => {
        throw new Error('not asked for');
      },
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
  return { code, ...said };
}

t.test('status: the exit code says how it is', async (t) => {
  const well = fakeReport('wg0');
  const noticed = fakeReport('wg1', { health: [{ ...ERROR, severity: 'notice' }] });
  const unwell = fakeReport('wg2', { health: [ERROR] });
  t.match(await status([], [well, noticed]), { code: 0, out: /^wg0: up.*\nwg1: up/s, err: '' });
  t.match(await status([], [well, unwell]), { code: 3, out: /error: broken \(c\)\n.*mend it/ });
  t.match(await status(['wg0'], [well, unwell]), { code: 0 }, 'the other one does not count');
  t.match(await status([], []), {
    code: 1,
    out: '',
    err: /^postern: no node and no interface .* postern wire/,
  });
  const { code, out } = await status(['--json'], [well, unwell]);
  t.equal(code, 3);
  t.same(JSON.parse(out), { interfaces: [well, unwell] });
});

t.test('status: the screen has what happened, and leaves out what did not', async (t) => {
  const report = fakeReport('wg0', {
    peers: [
      {
        publicKey: 'A'.repeat(43),
        endpoint: '192.0.2.1:51820',
        lastHandshake: '2026-11-24T11:58:29.500Z',
        bytesReceived: 1536,
        bytesSent: 12,
        persistentKeepaliveSeconds: 25,
        allowedIps: ['10.0.0.2/32', 'fd00::2/128'],
      },
    ],
    activePeers: 1,
    counters: {
      ...fakeReport('').counters,
      packetsSent: 12_345,
      drops: { 'in: replayed': 2, 'in: forged': 0, 'out: no endpoint': 30 },
      handshakes: { 'initiation sent': 1 },
    },
  });
  t.equal(
    statusText(report, NOW),
    `wg0: up, port 51820, MTU 1420, running for 2 h 3 min
  public key  (none)
  sealed by   openssl-raw
  offload     TUN full (TCP and UDP super-packets), UDP GSO IPv4 on, IPv6 off
  peers       1, 1 active

peer ${'A'.repeat(43)}
  endpoint    192.0.2.1:51820
  handshake   1 min 30 s ago
  transfer    1.5 KiB received, 12 B sent
  allowed IPs 10.0.0.2/32, fd00::2/128
  keepalive   every 25 s

  packets     0 in, 12,345 out
  dropped     30 out: no endpoint
              2 in: replayed
  handshakes  1 initiation sent

health: all well
`,
  );
});

t.test('status: of many peers the ones heard of last are shown', async (t) => {
  const peers = Array.from({ length: 10_000 }, (_, i) => ({
    publicKey: `key${i}.`,
    endpoint: null,
    lastHandshake: i < 9990 ? null : new Date(NOW - i * 1000).toISOString(),
    bytesReceived: 0,
    bytesSent: 0,
    persistentKeepaliveSeconds: 0,
    allowedIps: [],
  }));
  const text = statusText(fakeReport('wg0', { peers }), NOW);
  t.ok(text.split('\n').length < 150, 'about a screen or two');
  t.match(text, /peer key9990\..*peer key9999\..*and 9,980 more/s);
});

t.test('ask: ours are found among dead sockets and those of others', async (t) => {
  const folder = scratch(t);
  t.same(await askStatus(`${folder}/none`, undefined), [], 'no folder, no interfaces');
  const [a, b] = [fakeReport('a'), fakeReport('b', { health: [ERROR] })];
  await serves(t, `${folder}/b.sock`, writeStatusAnswer(b));
  await serves(t, `${folder}/a.sock`, writeStatusAnswer(a));
  await serves(t, `${folder}/go.sock`, 'errno=-71\n\n');
  await serves(t, `${folder}/mute.sock`, '');
  await serves(t, `${folder}/odd.sock`, 'not JSON\nerrno=0\n\n');
  writeFileSync(`${folder}/file.sock`, '');
  t.same(await askStatus(folder, undefined), [a, b]);
  t.same(await askStatus(folder, 'b'), [b]);
  await t.rejects(askStatus(folder, 'go'), /go belongs to another WireGuard.*wg show go/);
  await t.rejects(askStatus(folder, 'file'), /no interface file is running here; start it/);
  await t.rejects(askStatus(folder, 'none'), /no interface none .*postern wireguard none/);
  t.equal(existsSync(`${folder}/go.sock`), true, 'nothing was touched');
});
