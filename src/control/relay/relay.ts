/**
 * The main thread's hold on the relay's worker: commands as methods, events as a callback.
 */

import type { Worker } from 'node:worker_threads';
import { NetError } from '../../base/errors.ts';
import type { NodePublic } from '../../base/keys.ts';
import type { RelayCommand, RelayEvent, RelayReport, RelayStart } from './commands.ts';

export type Listening = Extract<RelayEvent, { type: 'listening' }>;

export class Relay {
  readonly #worker: Worker;
  readonly #reports: ((report: RelayReport) => void)[] = [];
  readonly #ended: Promise<void>;

  private constructor(worker: Worker) {
    this.#worker = worker;
    this.#ended = new Promise((done) => worker.once('exit', () => done()));
  }

  /**
   * @param startWorker starts the program's relay worker with this data
   * @param on is called for every event but reports, in order, from the first on
   * @throws NetError with the fault's words where it cannot listen
   */
  static async start(
    startWorker: (workerData: RelayStart) => Worker,
    start: RelayStart,
    on: (event: RelayEvent) => void,
  ): Promise<Relay & { readonly listening: Listening }> {
    const worker = startWorker(start);
    const relay = new Relay(worker);
    const listening = await new Promise<Listening>((done, fail) => {
      let fault = 'relay: the worker ended before it listened';
      worker.on('message', (event: RelayEvent) => {
        if (event.type === 'report') relay.#reports.shift()?.(event.report);
        else on(event);
        if (event.type === 'listening') done(event);
        if (event.type === 'fault') fault = event.text;
      });
      worker.once('error', fail);
      worker.once('exit', () => fail(new NetError(fault)));
    });
    return Object.assign(relay, { listening });
  }

  /** Resolves when the worker has ended, asked or not. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  admit(keys: readonly NodePublic[]): void {
    this.#post({ type: 'admit', keys });
  }

  forget(keys: readonly NodePublic[]): void {
    this.#post({ type: 'forget', keys });
  }

  report(): Promise<RelayReport> {
    return new Promise((done) => {
      this.#reports.push(done);
      this.#post({ type: 'report' });
    });
  }

  /** Resolves when the worker has ended. */
  async stop(): Promise<void> {
    this.#post({ type: 'stop' });
    await this.#ended;
  }

  #post(command: RelayCommand): void {
    this.#worker.postMessage(command);
  }
}
