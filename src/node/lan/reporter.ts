/**
 * When the server is told of the LAN devices.
 *
 *     quiet --want--> telling --answered--> quiet
 *                       | ^ ^
 *           NetError    v | | want while telling: once more
 *                    waiting       1, 2, 4 … 60 s, with up to a half of it by chance
 *
 * What the server will not have is told again only when there is news: repeating it would change nothing. Then a
 * person must look, and a health item says so.
 */

import type { Env } from '../../base/env.ts';
import { NetError } from '../../base/errors.ts';
import type { HealthItem } from '../../base/health.ts';
import { after, millis } from '../../base/time.ts';

export interface ReporterPorts {
  report(): Promise<void>;
  readonly health: { raise(item: HealthItem): void; lower(code: string): void };
}

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 60_000;
const HEALTH_CODE = 'lan-report-refused';

export class Reporter {
  readonly #env: Env;
  readonly #ports: ReporterPorts;
  #telling = false;
  #again = false;
  #closed = false;
  #waitMs = FIRST_WAIT_MS;
  #cancel: (() => void) | undefined;

  constructor(env: Env, ports: ReporterPorts) {
    this.#env = env;
    this.#ports = ports;
  }

  /** There is news for the server, or the server is new. */
  want(): void {
    this.#waitMs = FIRST_WAIT_MS;
    this.#start();
  }

  /** The server is away; `want` says when it is back. */
  pause(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  close(): void {
    this.#closed = true;
    this.pause();
  }

  #start(): void {
    if (this.#closed) return;
    this.pause();
    if (this.#telling) {
      this.#again = true;
      return;
    }
    this.#telling = true;
    this.#again = false;
    this.#ports
      .report()
      .then(
        () => this.#answered(),
        (error: unknown) => this.#failed(error),
      )
      .finally(() => {
        this.#telling = false;
        if (this.#again) this.#start();
      });
  }

  #answered(): void {
    this.#waitMs = FIRST_WAIT_MS;
    this.#ports.health.lower(HEALTH_CODE);
  }

  #failed(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (!(error instanceof NetError)) {
      this.#ports.health.raise({
        code: HEALTH_CODE,
        severity: 'warning',
        text: `the server does not take the LAN devices of this node: ${reason}`,
        remedy: 'look at postern lan list; a server that is not Postern cannot share LAN devices',
      });
      return;
    }
    this.#env.log.debug('lan: the server was not told', { reason, waitMs: this.#waitMs });
    if (this.#closed || this.#again) return;
    const [chance = 0] = this.#env.random(1);
    const waitMs = this.#waitMs * (1 + chance / 512);
    this.#waitMs = Math.min(LONGEST_WAIT_MS, 2 * this.#waitMs);
    this.#cancel = this.#env.setTimer(after(this.#env.now(), millis(waitMs)), () => {
      this.#cancel = undefined;
      this.#start();
    });
  }
}
