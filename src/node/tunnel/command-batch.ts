/**
 * Commands on their way to the worker: those of one turn travel in one message. Messages were an eighth of the
 * main thread's time while it answered handshakes one by one.
 */

import type { Command } from '../dataplane/commands.ts';
import type { PlaneLink } from './ports.ts';

export class CommandBatch implements PlaneLink {
  readonly #post: (commands: readonly Command[]) => void;
  #waiting: Command[] = [];

  constructor(post: (commands: readonly Command[]) => void) {
    this.#post = post;
  }

  send(command: Command): void {
    if (this.#waiting.push(command) === 1) queueMicrotask(() => this.flush());
  }

  flush(): void {
    if (this.#waiting.length === 0) return;
    const commands = this.#waiting;
    this.#waiting = [];
    this.#post(commands);
  }
}
