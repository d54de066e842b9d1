/** The lab judged by itself: what it makes works at once, and nothing of it stays. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Child, run, until } from './child.ts';
import { cannotRun } from './implementations.ts';
import { Lab } from './lab.ts';
import { NODE } from './pair.ts';

const options = { skip: cannotRun() };

async function namespaces(): Promise<string> {
  return (await run(['ip', 'netns', 'list'])).stdout;
}

t.test('lab: a cable carries both families at once, and counters count', options, async (t) => {
  await using lab = await Lab.create('cable');
  const [a, b] = [await lab.host('a'), await lab.host('b')];
  await lab.link(a, b, { a: ['10.0.0.1/24', 'fd00::1/64'], b: ['10.0.0.2/24', 'fd00::2/64'] });
  const counter = await b.count('input', 'meta l4proto { icmp, icmpv6 } meta length 84-104');
  for (const address of ['10.0.0.2', 'fd00::2'])
    await a.run(['ping', '-n', '-c', '2', '-i', '0.01', address]);
  t.same(await counter.read(), { packets: 4, bytes: 2 * 84 + 2 * 104 });
});

t.test('lab: a host that is unplugged from a bridge is alone', options, async (t) => {
  await using lab = await Lab.create('bridge');
  const [a, b, c] = [await lab.host('a'), await lab.host('b'), await lab.host('c')];
  const cables = await lab.bridge('switch', [
    [a, '10.0.0.1/24'],
    [b, '10.0.0.2/24'],
    [c, '10.0.0.3/24'],
  ]);
  const reaches = async (address: string): Promise<boolean> =>
    (await a.run(['ping', '-n', '-c', '1', '-W', '0.3', address], { check: false })).code === 0;
  t.same([await reaches('10.0.0.2'), await reaches('10.0.0.3')], [true, true]);
  const port = cables[1]?.b;
  await port?.host.ip(`link set ${port.interface} down`);
  t.same([await reaches('10.0.0.2'), await reaches('10.0.0.3')], [false, true]);
});

t.test('lab: processes and namespaces end with it, daemons too', options, async (t) => {
  const lab = await Lab.create('end');
  const host = await lab.host('a');
  const child = host.start(['sleep', '1000']);
  await host.run(['setsid', '--fork', 'sleep', '1000']);
  const pids = await until('both run', async () => {
    const pids = await host.pids();
    return pids.length === 2 && pids;
  });
  await lab.close();
  t.match(child.ending, { signal: 'SIGTERM' });
  t.notMatch(await namespaces(), host.namespace);
  for (const pid of pids) await until(`${pid} is gone`, () => !existsSync(`/proc/${pid}`));
});

for (const signal of ['SIGTERM', 'SIGKILL'] as const)
  t.test(`lab: nothing stays of a run that ended by ${signal}`, options, async (t) => {
    const module = join(import.meta.dirname, 'lab.ts');
    const program = `import { Lab } from ${JSON.stringify(module)};
      const host = await (await Lab.create('killed')).host('a');
      host.start(['sleep', '1000']);
      console.log('made', host.namespace);
      setInterval(() => {}, 1000);`;
    const child = new Child([NODE, '--input-type=module', '-e', program]);
    const [, namespace = ''] = await child.says(/^made (\S+)$/m);
    t.match(await namespaces(), namespace);
    child.signal(signal);
    t.match(await child.exited, { signal });
    if (signal === 'SIGKILL') await (await Lab.create('next')).close();
    t.notMatch(await namespaces(), namespace);
  });

t.test('run: a failure quotes what the program has said', options, async (t) => {
  await t.rejects(run(['ls', '/no/such/file']), /ended with 2\n.*No such file/);
  await t.rejects(run(['sleep', '10'], { timeoutMs: 50 }), /sleep 10 took more than 50 ms/);
  await t.rejects(run(['/no/such/program']), /ENOENT/);
  t.match(await run(['cat', '/dev/stdin'], { input: 'said' }), { code: 0, stdout: 'said' });
});
