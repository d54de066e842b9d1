/**
 * What a person must know of the session, in plain words. A server that is away for a moment is no news; one that
 * is away for a minute is.
 *
 *     control-unreachable   no answer for a minute           login-needed    somebody must open a URL
 *     login-refused         the server's own words           key-rotation    a new key is not granted
 *     clock-untrusted       ours and the server's differ     server:NAME     the server's own messages
 */

import type { Env } from '../../base/env.ts';
import type { Health } from '../../base/health.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis } from '../../base/time.ts';
import type { DisplayMessage } from '../../protocol/tailcfg/map-types.ts';

const PATIENCE = millis(60_000);
const CLOCK_MILLIS = 300_000;

export class SessionHealth {
  readonly #env: Env;
  readonly #health: Pick<Health, 'raise' | 'lower'>;
  #cancel: (() => void) | undefined;
  #lastFailure = '';
  #messages: readonly string[] = [];

  constructor(env: Env, health: Pick<Health, 'raise' | 'lower'>) {
    this.#env = env;
    this.#health = health;
  }

  reached(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#lastFailure = '';
    this.#health.lower('control-unreachable');
    this.#health.lower('login-refused');
  }

  unreachable(url: string, error: Error): void {
    // One line for each way to fail: a server may be away for a week.
    if (error.message !== this.#lastFailure)
      this.#env.log.info('session: no connection to the server', { error: error.message });
    this.#lastFailure = error.message;
    this.#cancel ??= this.#env.setTimer(after(this.#env.now(), PATIENCE), () =>
      this.#health.raise({
        code: 'control-unreachable',
        severity: 'warning',
        text: `${url} does not answer: ${this.#lastFailure}; peers that are known are reached as before`,
        remedy: 'look at the way to the server; the node tries again by itself',
      }),
    );
  }

  refused(text: string): void {
    this.#health.raise({
      code: 'login-refused',
      severity: 'error',
      text,
      remedy: 'these are the words of the server; then log in again: postern up',
    });
  }

  wantsLogin(url: string | undefined): void {
    if (url === undefined) {
      this.#health.lower('login-needed');
      return;
    }
    this.#health.raise({
      code: 'login-needed',
      severity: 'warning',
      text: `somebody must log this node in at ${url}`,
      remedy: 'open the address in a browser',
    });
  }

  rotation(text: string | undefined): void {
    if (text === undefined) {
      this.#health.lower('key-rotation');
      return;
    }
    this.#health.raise({
      code: 'key-rotation',
      severity: 'notice',
      text: `the node keeps its key, which was to be changed: ${text}`,
      remedy: 'run: postern login; or switch it off: postern set --key-rotation 0',
    });
  }

  /** @param ahead of the server's clock */
  clock(ahead: Millis | undefined): void {
    if (ahead === undefined) return;
    if (Math.abs(ahead) < CLOCK_MILLIS) {
      this.#health.lower('clock-untrusted');
      return;
    }
    const minutes = Math.round(Math.abs(ahead) / 60_000);
    this.#health.raise({
      code: 'clock-untrusted',
      severity: 'notice',
      text: `the clock of this board is ${ahead > 0 ? 'ahead' : 'behind'} of the server's by ${minutes} minutes; keys expire by the server's`,
      remedy: 'let the board reach a time server',
    });
  }

  messages(messages: ReadonlyMap<string, DisplayMessage>): void {
    for (const code of this.#messages)
      if (!messages.has(code.slice('server:'.length))) this.#health.lower(code);
    this.#messages = [...messages.keys()].map((name) => `server:${name}`);
    for (const [name, { Title, Text, Severity, PrimaryAction }] of messages)
      this.#health.raise({
        code: `server:${name}`,
        severity: Severity === 'high' ? 'error' : Severity === 'medium' ? 'warning' : 'notice',
        text: `${Title}: ${Text}`,
        remedy: PrimaryAction === undefined ? 'ask who runs the server' : PrimaryAction.URL,
      });
  }

  close(): void {
    this.#cancel?.();
  }
}
