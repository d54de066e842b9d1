/**
 * A Node program in a process group of its own, so that whatever it starts ends with it: at its own end, over
 * its time, or when we are told to end.
 *
 *     running --exit--> (pipes held open by a left-over: one second) --> ended, rest of the group killed
 *        |
 *        +--over time, or endAll--> SIGTERM --grace--> SIGKILL
 */

import { spawn } from 'node:child_process';
import { join } from 'node:path';

export interface Ended {
  readonly stdout: string;
  /** Both streams, in the order in which they came. */
  readonly output: string;
  /** What was wrong with the end of the process; undefined for exit status 0. */
  readonly ending: string | undefined;
}

/** From the polite signal to the certain one: time for a test to take its namespaces down. */
const GRACE_MS = 10_000;

const running = new Set<number>();

/**
 * Runs one of the tree's programs at the top of the tree, without standard input.
 *
 * @param show gets the output as it comes
 */
export function runNode(
  file: string,
  seconds: number,
  env: Readonly<Record<string, string>>,
  show: (text: string) => void = () => {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--enable-source-maps', file], {
      cwd: join(import.meta.dirname, '..'),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, ...env },
    });
    const { pid } = child;
    if (pid !== undefined) running.add(pid);
    let stdout = '';
    let output = '';
    let late = false;
    const take = (text: string): void => {
      output += text;
      show(text);
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      take(text);
    });
    child.stderr.setEncoding('utf8').on('data', take);
    const timer = setTimeout(() => {
      late = true;
      endGroup(pid);
    }, seconds * 1000);
    const done = (ending: string | undefined): void => {
      clearTimeout(timer);
      signalGroup(pid, 'SIGKILL');
      if (pid !== undefined) running.delete(pid);
      resolve({ stdout, output, ending: late ? `ran over its ${seconds} s` : ending });
    };
    child.on('error', (error) => done(`did not start: ${error.message}`));
    child.on('exit', (code, signal) => {
      const ending = signal ? `died of ${signal}` : code === 0 ? undefined : `exit status ${code}`;
      // A left-over may hold the pipes, even one that has left the group.
      const stuck = setTimeout(() => {
        signalGroup(pid, 'SIGKILL');
        setTimeout(() => {
          child.stdout.destroy();
          child.stderr.destroy();
        }, 1000);
      }, 1000);
      child.on('close', () => {
        clearTimeout(stuck);
        done(ending);
      });
    });
  });
}

/** Ends what runs, all of it. */
export function endAll(): void {
  for (const pid of running) endGroup(pid);
}

function endGroup(pid: number | undefined): void {
  signalGroup(pid, 'SIGTERM');
  setTimeout(() => {
    if (pid !== undefined && running.has(pid)) signalGroup(pid, 'SIGKILL');
  }, GRACE_MS).unref();
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The group has ended.
  }
}
