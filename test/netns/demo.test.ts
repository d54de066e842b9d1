/** The demo, as a person runs it: to its end, and after an earlier run that was killed half-way. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { PEERS_BIN } from '../../scripts/debian.ts';
import { Child, run } from './child.ts';
import { cannotRun } from './implementations.ts';

const HERE = join(import.meta.dirname, '../..');
const DEMO = [process.execPath, join(HERE, 'scripts/demo.ts')];
const skip = cannotRun('iperf3', 'ssh', 'tcpdump') || unbuilt();

t.test('demo: ends with ok, and cleans up after a run that was killed', { skip }, async (t) => {
  const killed = new Child(DEMO);
  t.teardown(() => killed.stop('SIGKILL'));
  await killed.says(/running as box/, 60_000);
  await killed.stop('SIGKILL');
  t.not((await leftBy(killed.pid)).length, 0, 'the killed run has left something');

  const { stdout } = await run(DEMO, { timeoutMs: 90_000 });
  t.equal(stdout.trimEnd().split('\n').at(-1), 'demo: ok');
  t.same(await leftBy(killed.pid), [], 'of the killed run nothing is left');
  t.same(await leftBy(), [], 'nor of the whole one');
});

function unbuilt(): string | false {
  const missing = ['tailscale', 'tailscaled'].filter((name) => !existsSync(join(PEERS_BIN, name)));
  return process.env['CI'] !== 'true' && missing.length > 0 && `not built: ${missing.join(' ')}`;
}

/** Namespaces and files of a run, or of any run whose process is gone. */
async function leftBy(pid?: number): Promise<string[]> {
  const { stdout } = await run(['ip', 'netns', 'list']);
  const list = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);
  const ofRun = /^(?:postern-(\d+)-\d+-demo-.*|(\d+))$/;
  return [
    ...stdout.split('\n').map((line) => line.split(' ')[0] ?? ''),
    ...list(join(HERE, '.cache/demo')),
  ].filter((name) => {
    const found = Number(ofRun.exec(name)?.slice(1).find(Boolean) ?? 0);
    return found > 0 && (pid === undefined ? !existsSync(`/proc/${found}`) : found === pid);
  });
}
