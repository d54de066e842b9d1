/**
 * Running programs from scripts: an argument list, never a shell; a failure carries what was printed.
 */

import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { ConfigError } from '../src/base/errors.ts';

/** A failure shows this much of the end of what the program printed. */
const SHOWN_BYTES = 4000;

export interface RunOptions {
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Written to its standard input, which is empty otherwise. */
  readonly input?: string;
}

/** A program that could not be started, or ended otherwise than by exit 0. */
export class RunError extends Error {
  override readonly name = 'RunError';
}

/**
 * What the program printed to standard output, once it has exited with 0.
 *
 * @throws RunError with the command line and both of its outputs
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, {
    env: { ...process.env, ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    stdio: 'pipe',
  });
  const out: Buffer[] = [];
  const both: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    out.push(chunk);
    both.push(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => both.push(chunk));
  // A program may exit without reading what it is sent; its exit status says what matters.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input);
  const { promise, resolve } = Promise.withResolvers<string>();
  child.on('error', (error) => resolve(error.message));
  child.on('close', (code, signal) => resolve(code === 0 ? '' : `ended with ${signal ?? code}`));
  const failure = await promise;
  if (failure === '') return Buffer.concat(out).toString();
  const printed = Buffer.concat(both).subarray(-SHOWN_BYTES).toString().trimEnd();
  throw new RunError(`${argv.join(' ')}: ${failure}\n${printed}`.trimEnd());
}

/**
 * Holds `file` locked until the result is closed or this process ends, however it ends: the kernel drops
 * the lock with the last descriptor, so a kill leaves nothing to clear away.
 *
 * @param waiting called if another process has the lock and we must wait
 */
export function lock(file: string, waiting: () => void): Disposable {
  mkdirSync(dirname(file), { recursive: true });
  // Close-on-exec, so that no program started later keeps the lock beyond our own life.
  const fd = openSync(file, 'a');
  // flock(1) locks the open file that it inherits from us, and leaves it locked as it exits.
  const flock = (...args: string[]): boolean =>
    spawnSync('flock', [...args, '3'], { stdio: ['ignore', 'ignore', 'inherit', fd] }).status === 0;
  if (!flock('--nonblock')) {
    waiting();
    if (!flock()) throw new RunError(`flock ${file}: could not be locked`);
  }
  return { [Symbol.dispose]: () => closeSync(fd) };
}

/** The body of a script: a failure is a line or two for a person, and exit 1. */
export async function main(body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    if (!(error instanceof RunError || error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
