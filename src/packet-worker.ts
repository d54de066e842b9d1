/**
 * The worker of a data plane, as the main thread has it. It waits in the kernel for packets, in a loop of its own
 * (linux/poll-loop.ts), so each message to it is followed by a signal; and so it must be told of any end of the
 * process, which would else wait for it for ever.
 */

import type { Worker } from 'node:worker_threads';
import type { Assets } from './assets.ts';
import { BugError } from './base/errors.ts';
import type { Descriptor } from './linux/descriptor.ts';
import type { Native } from './linux/ffi.ts';
import { openWake, Wake } from './linux/wake.ts';
import type { Event } from './node/dataplane/commands.ts';
import type { WorkerSetup } from './node/dataplane/worker.ts';
import { CommandBatch } from './node/tunnel/command-batch.ts';

export interface PacketWorkerEvents {
  event(event: Event): void;
  /** It has thrown, or ended without having been told to. */
  failed(error: unknown): void;
}

export class PacketWorker {
  readonly link: CommandBatch;
  readonly #worker: Worker;
  readonly #wake: Descriptor;
  readonly #signal: Wake;
  #wakesSoon = false;
  readonly #ended = Promise.withResolvers<void>();
  readonly #tellEnd = (): void => {
    this.link.send({ type: 'stop' });
    this.link.flush();
    // No microtask comes any more where the process ends.
    if (!this.#wake.closed) this.#signal.signal();
  };
  #stopping = false;

  constructor(native: Native, assets: Assets, setup: Omit<WorkerSetup, 'wake'>) {
    this.#wake = openWake(native);
    this.#signal = new Wake(native, this.#wake.fd);
    this.#worker = assets.startWorker('dataplane', { ...setup, wake: this.#wake.fd });
    this.link = new CommandBatch((commands) => {
      // A tunnel that is taken apart has words for it to the end.
      if (this.#wake.closed) return;
      this.#worker.postMessage(commands);
      this.#wakeSoon();
    });
    process.once('exit', this.#tellEnd);
  }

  /** Once. */
  listen({ event, failed }: PacketWorkerEvents): void {
    this.#worker.on('message', (events: readonly Event[]) => events.forEach(event));
    this.#worker.on('error', failed);
    this.#worker.on('exit', () => {
      this.#ended.resolve();
      if (!this.#stopping) failed(new BugError('the data plane has ended'));
    });
  }

  /**
   * After what is left of this task. The answer to a handshake leaves before the worker takes the processor for the
   * keys; a packet that is sooner than the signal has it look for messages.
   */
  #wakeSoon(): void {
    if (this.#wakesSoon) return;
    this.#wakesSoon = true;
    queueMicrotask(() => {
      this.#wakesSoon = false;
      if (!this.#wake.closed) this.#signal.signal();
    });
  }

  /** It ends by itself: a thread that is terminated in a call from native code takes the process with it. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#tellEnd();
    await this.#ended.promise;
    process.removeListener('exit', this.#tellEnd);
    this.#wake.close();
  }
}
