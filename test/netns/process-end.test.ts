/**
 * A process with a tunnel ends at once however it comes to its end: the packet thread waits in the kernel, and Node
 * waits for its threads. From source, whatever is under test: the fault comes in by NODE_OPTIONS, which an executable
 * does not take.
 */

import { join } from 'node:path';
import { until } from './child.ts';
import { labTest } from './suite.ts';

const SOURCE = join(import.meta.dirname, '../../src/main.ts');
const NODE = join(import.meta.dirname, '../../node_modules/.bin/node');
const END_MS = 3000;

for (const [what, statement, code] of [
  ['an exception that nobody expects', 'throw new Error("planted")', 1],
  ['an exit amid everything', 'process.exit(7)', 7],
] as const)
  labTest(`end: by ${what}`, {}, async (t, lab) => {
    const host = await lab.host('box');
    const fault = `process.argv.includes('wireguard') && process.on('SIGUSR2', () => { ${statement} })`;
    const tunnel = host.start([NODE, SOURCE, 'wireguard', 'pt-end', '--foreground'], {
      env: { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(fault)}` },
    });
    await tunnel.says(/dataplane: ready/);
    tunnel.signal('SIGUSR2');
    const ending = await until('the process ends', () => tunnel.ending, END_MS);
    t.same(ending, { code, signal: null });
  });
