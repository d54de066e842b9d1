/**
 * Going to the background: the program starts itself again in a session of its own, and the first process
 * ends when the second says that it is ready, or prints why it is not.
 *
 *     parent --spawn, IPC channel--> child
 *     parent <--{ ready: true }----- child      parent exits 0, child goes on without it
 *     parent <--{ failed: text }---- child      parent prints text, exits 1
 *     parent <--end of child--------            the same, with what is known of its end
 *     parent ends ---channel closes-> child     before ready, the child ends too
 */

import { spawn } from 'node:child_process';
import { ConfigError } from '../base/errors.ts';

/** Set for the child, which takes it out of its environment. */
const MARK = 'POSTERN_BACKGROUND';

type Message = { readonly ready: true } | { readonly failed: string };

export interface Respawn {
  readonly program: string;
  /** Node's own flags and the script, where there are such, then ours. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Starts the child and waits for it to be ready.
 *
 * @throws ConfigError with the child's own words where it fails
 */
export function startInBackground({ program, args, environment }: Respawn): Promise<void> {
  return new Promise((done, fail) => {
    const child = spawn(program, args, {
      detached: true,
      env: { ...environment, [MARK]: '1' },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    child.once('message', (message: Message) => {
      if ('failed' in message) {
        fail(new ConfigError(message.failed));
        return;
      }
      child.removeAllListeners('exit');
      child.disconnect();
      child.unref();
      done();
    });
    child.once('error', (error) => fail(error));
    child.once('exit', (code, signal) =>
      fail(
        new ConfigError(
          `the background process ended (${signal ?? `exit code ${code}`}) before it was ready; run with --foreground to see why`,
        ),
      ),
    );
  });
}

/** The child's side of it. */
export interface Parent {
  ready(): void;
  /** Resolves when the message is on its way. */
  failed(text: string): Promise<void>;
  /** The parent ended before we were ready. */
  readonly abandoned: Promise<void>;
}

/** The parent that waits for this process, or undefined where this process was not started by one. */
export function waitingParent(): Parent | undefined {
  const marked = process.env[MARK] === '1' && process.send !== undefined;
  delete process.env[MARK];
  if (!marked) return undefined;
  let ready = false;
  const send = (message: Message): Promise<void> =>
    new Promise((done) => {
      if (process.connected) process.send?.(message, undefined, undefined, () => done());
      else done();
    });
  return {
    ready: () => {
      ready = true;
      void send({ ready: true });
    },
    failed: (text) => send({ failed: text }),
    abandoned: new Promise((done) => {
      process.once('disconnect', () => {
        if (!ready) done();
      });
    }),
  };
}
