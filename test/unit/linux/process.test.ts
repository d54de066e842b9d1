import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import t from 'tap';
import { bootClock } from '../../../src/linux/clock.ts';
import { Descriptor } from '../../../src/linux/descriptor.ts';
import { errnoText, systemError } from '../../../src/linux/errno.ts';
import { loadNative } from '../../../src/linux/ffi.ts';

const native = loadNative();
const SOURCE = new URL('../../../src/linux', import.meta.url).href;

t.test('wait: promises of the action go on at once, without another event', async (t) => {
  const { status, stdout, stderr } = child(`
    import { loadNative } from '${SOURCE}/ffi.ts';
    import { onReadable } from '${SOURCE}/wait.ts';
    setTimeout(() => process.exit(2), 5000);
    const waiting = onReadable(loadNative(), 0, () => {
      waiting.close();
      waiting.close();
      Promise.resolve().then(() => process.exit(0));
    });
  `);
  t.equal(status, 0, `${stdout}${stderr}`);
});

t.test('wait: an exception of the action ends the program as any other does', async (t) => {
  const { status, stderr } = child(`
    import { loadNative } from '${SOURCE}/ffi.ts';
    import { onReadable } from '${SOURCE}/wait.ts';
    onReadable(loadNative(), 0, () => { throw new Error('from the action'); });
  `);
  t.equal(status, 1);
  t.match(stderr, /from the action/);
});

t.test('ffi: the bare native file gives the same functions, also to a worker', async (t) => {
  const npm = createRequire(import.meta.url).resolve('koffi');
  const bare = createRequire(npm).resolve(`@koromix/koffi-linux-${process.arch}`);
  const file = `${dirname(bare)}/linux_${process.arch}/koffi.node`;
  const { status, stdout, stderr } = child(`
    import { Worker } from 'node:worker_threads';
    import { loadNative } from '${SOURCE}/ffi.ts';
    import { bootClock } from '${SOURCE}/clock.ts';
    const now = bootClock(loadNative('${file}'))();
    console.log(now > 0, loadNative().self.find('ChaCha20_ctr32', 'void', []) !== undefined);
    new Worker(\`import('${SOURCE}/ffi.ts').then(({ loadNative }) =>
        console.log(typeof loadNative('${file}').poller))\`, { eval: true });
  `);
  t.equal(status, 0, stderr);
  t.equal(stdout, 'true true\nfunction\n');
  const absent = child(`
    import { loadNative } from '${SOURCE}/ffi.ts';
    loadNative('/nowhere/koffi.node');
  `);
  t.match(absent.stderr, /ConfigError: cannot load \/nowhere\/koffi.node/);
});

t.test('clock: agrees with the kernel in its own words, and does not go back', async (t) => {
  const now = bootClock(native);
  let last = now();
  for (let round = 0; round < 100_000; round++) {
    const next = now();
    if (next < last) return t.ok(next >= last, `round ${round}`);
    last = next;
  }
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
  return t.ok(Math.abs(uptime - now()) < 100, `${uptime} and ${now()}`);
});

t.test('descriptor: a second close spares whoever has the number now', async (t) => {
  const closed: number[] = [];
  const counting = { ...native, close: (fd: number) => closed.push(fd) };
  using file = new Descriptor(counting, 1234);
  file.close();
  file.close();
  t.same(closed, [1234]);
  t.throws(() => file.fd, { name: 'BugError' });
});

/** A process of its own, with an open pipe that is readable at once as its input. */
function child(source: string): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
    input: 'x',
  });
}

t.test('errno: a refusal says what failed, by name, and is of the kind to act on', async (t) => {
  const taken = systemError('bind UDP port 51820', -98);
  t.equal(taken.code, 'EADDRINUSE');
  t.equal(taken.name, 'NetError');
  t.match(taken.message, /^cannot bind UDP port 51820: EADDRINUSE: .*in use/);
  t.equal(systemError('open it', -1, 'ask somebody').name, 'ConfigError');
  t.equal(
    systemError('open it', -1, 'ask somebody').message,
    'cannot open it: EPERM: ask somebody',
  );
  t.equal(systemError('open it', -4095).code, 'E4095');
  t.equal(errnoText(4095), 'E4095: see errno(3)');
});
