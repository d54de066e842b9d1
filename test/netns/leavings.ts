/**
 * What labs leave behind, and how it is found: a namespace bears the pid of the process that made it.
 *
 *     postern-<pid>-<n>-<lab>-<host>
 *
 * Everything here is synchronous, because it has to run while the process ends.
 */

import { spawnSync } from 'node:child_process';

const PREFIX = 'postern-';

let made = 0;

/** A name that no other lab on this machine has. */
export function labName(name: string): string {
  return `${PREFIX}${process.pid}-${++made}-${name}`;
}

/** Removes the labs of processes that are no more. */
export function sweepDead(): void {
  sweep((pid) => !isAlive(pid));
}

let watching = false;

/** This process's labs go with it, also by SIGINT, SIGTERM and SIGHUP. */
export function sweepAtExit(): void {
  if (watching) return;
  watching = true;
  process.on('exit', () => sweep((pid) => pid === process.pid));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      sweep((pid) => pid === process.pid);
      process.kill(process.pid, signal);
    });
}

/** Removes the namespaces of the labs whose process is one of `which`. */
function sweep(which: (pid: number) => boolean): void {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  for (const line of stdout?.split('\n') ?? []) {
    const [namespace = ''] = line.split(' ');
    const pid = new RegExp(`^${PREFIX}(\\d+)-\\d+-`).exec(namespace)?.[1];
    if (pid !== undefined && which(Number(pid))) remove(namespace);
  }
}

/** Ends, by pid, whatever still runs in a namespace (daemons leave their parents), and removes it. */
export function remove(namespace: string): void {
  const { stdout } = spawnSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' });
  for (const pid of stdout?.split('\n').map(Number).filter(Boolean) ?? [])
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself meanwhile.
    }
  spawnSync('ip', ['netns', 'del', namespace]);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
