/**
 * Processes of a lab, and waiting for what they do.
 *
 *     run    starts, feeds, waits, gives back what it said; a failure is an error that quotes it
 *     start  goes on in the background; its output is kept for the report, its end is a promise
 *     until  asks again and again, to a deadline; a test never sleeps for a time it has guessed
 *
 * A process is ended by its own pid, never by name. Programs are argument lists; no shell sees them.
 */

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

export interface Result {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** All of its standard input; a program may open it as /dev/stdin. */
  readonly input?: string;
  /** After this it is killed, and `run` rejects. Default 15,000. */
  readonly timeoutMs?: number;
  /** Reject unless the exit code is 0. Default true. */
  readonly check?: boolean;
  /** Added to this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface StartOptions {
  /** How the report calls it; default the program. */
  readonly name?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const RUN_TIMEOUT_MS = 15_000;
const STOP_GRACE_MS = 3000;
const POLL_MS = 20;
const LAST_WORDS_MS = 200;
/** An error quotes the last of it. */
const QUOTED_CHARACTERS = 4000;
/** The report shows the last of a child's output; a chatty one does not eat the machine. */
const KEPT_CHARACTERS = 64 * 1024;

/** @throws Error quoting the program's output: it could not be started, was too slow, or failed */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Result> {
  const { input = '', timeoutMs = RUN_TIMEOUT_MS, check = true, env = {} } = options;
  const stdin = fileOf(input);
  const child = spawn(argv[0] ?? '', argv.slice(1), {
    env: { ...process.env, ...env },
    stdio: [stdin, 'pipe', 'pipe'],
  });
  closeSync(stdin);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  // A daemon that a program leaves behind holds its pipes open for ever, so its exit is what counts; what
  // it wrote just before is read for a moment longer.
  const closed = ended(child, 'close');
  const { code, signal } = await ended(child, 'exit').finally(() => clearTimeout(timer));
  await Promise.race([closed, pause(LAST_WORDS_MS)]);
  child.stdout?.destroy();
  child.stderr?.destroy();
  if (late || (check && code !== 0)) {
    const how = late ? `took more than ${timeoutMs} ms` : `ended with ${signal ?? code}`;
    throw new Error(
      `${argv.join(' ')} ${how}\n${(stdout + stderr).slice(-QUOTED_CHARACTERS)}`.trimEnd(),
    );
  }
  return { code, stdout, stderr };
}

/** A process in the background. */
export class Child {
  readonly name: string;
  readonly pid: number;
  /** Fulfilled when it has ended; never rejected. */
  readonly exited: Promise<Ending>;
  #output = '';
  #ending: Ending | undefined;
  readonly #process: ChildProcess;
  readonly #listeners = new Set<() => void>();

  constructor(argv: readonly string[], options: StartOptions = {}) {
    this.name = options.name ?? argv[0] ?? '';
    const child = spawn(argv[0] ?? '', argv.slice(1), {
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    this.pid = child.pid ?? 0;
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => this.#keep(text));
    this.exited = ended(child, 'exit').then(
      (ending) => this.#end(ending),
      (error) => {
        this.#keep(String(error));
        return this.#end({ code: null, signal: null });
      },
    );
  }

  /** What it has said so far, both streams; the last 64 Ki characters. */
  get output(): string {
    return this.#output;
  }

  /** How it ended; undefined while it runs. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#ending && this.pid > 0) this.#process.kill(signal);
  }

  /** Asks it to end, and kills it where it has not within 3 s. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ending> {
    this.signal(signal);
    const timer = setTimeout(() => this.signal('SIGKILL'), STOP_GRACE_MS);
    return await this.exited.finally(() => clearTimeout(timer));
  }

  /** @throws Error with its output, where it has not said `wanted` in time or has ended before */
  async says(wanted: RegExp, timeoutMs = 5000): Promise<RegExpExecArray> {
    const found = Promise.withResolvers<RegExpExecArray>();
    const fail = (how: string): void =>
      found.reject(new Error(`${this.name} ${how} without saying ${wanted}\n${this.#output}`));
    const look = (): void => {
      const match = wanted.exec(this.#output);
      if (match) found.resolve(match);
      else if (this.#ending) fail('ended');
    };
    this.#listeners.add(look);
    const timer = setTimeout(() => fail(`ran ${timeoutMs} ms`), timeoutMs);
    look();
    return await found.promise.finally(() => {
      clearTimeout(timer);
      this.#listeners.delete(look);
    });
  }

  #keep(text: string): void {
    this.#output = (this.#output + text).slice(-KEPT_CHARACTERS);
    for (const listener of this.#listeners) listener();
  }

  #end(ending: Ending): Ending {
    this.#ending = ending;
    for (const listener of this.#listeners) listener();
    return ending;
  }
}

/**
 * Asks until the answer is neither undefined nor false, and gives it.
 *
 * @param what a sentence for the error: "the peer has shaken hands"
 * @throws Error naming `what`, the time and the last error of `condition`, at the deadline
 */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 5000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last = '';
  for (;;) {
    try {
      const answer = await condition();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      last = `: ${error instanceof Error ? error.message : error}`;
    }
    if (performance.now() >= deadline)
      throw new Error(`not within ${timeoutMs} ms: ${what}${last}`);
    await pause(POLL_MS);
  }
}

/**
 * A nameless file with `text`, for reading from its start. Not a pipe: those that Node makes are sockets, and
 * a program that opens /dev/stdin by its name, as `wg` is told to, cannot open a socket.
 */
function fileOf(text: string): number {
  const path = join(tmpdir(), `postern-input-${process.pid}-${files++}`);
  const file = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  // At a given place, so that the file's own position stays 0.
  writeSync(file, text, 0);
  return file;
}

let files = 0;

function ended(child: ChildProcess, event: 'exit' | 'close'): Promise<Ending> {
  const { promise, resolve, reject } = Promise.withResolvers<Ending>();
  child.once('error', reject);
  child.once(event, (code, signal) => resolve({ code, signal }));
  // Where nobody waits for this one any more, the other has told the error.
  promise.catch(() => {});
  return promise;
}
