/**
 * The relay's worker: TLS, DERP and STUN beside the main thread, so that neither holds the other's event loop
 * back. It gets `RelayStart` as worker data; see commands.ts for what is said afterwards.
 *
 * A worker's entry: the clock and the chance of the system are joined to the rooms here.
 */

import { randomBytes } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { BugError } from '../../base/errors.ts';
import { millis } from '../../base/time.ts';
import { MemoryAtRest } from '../upkeep/memory.ts';
import { threadMemory } from '../upkeep/thread-memory.ts';
import type { RelayCommand, RelayEvent, RelayStart } from './commands.ts';
import { RelayService } from './service.ts';

if (parentPort === null) throw new BugError('this file is the entry of a worker');
const port = parentPort;

const service = new RelayService({
  start: workerData as RelayStart,
  notify: (event: RelayEvent) => {
    port.postMessage(event);
    // Nothing is left to wait for: the thread ends by itself.
    if (event.type === 'stopped') port.close();
  },
  now: () => millis(performance.now()),
  random: (lengthBytes) => randomBytes(lengthBytes),
});
port.on('message', (command: RelayCommand) => service.apply(command));
void service.open();

const now = () => millis(performance.now());
new MemoryAtRest(
  {
    now,
    setTimer: (at, action) => {
      // It keeps no thread alive that has nothing else to do.
      const timer = setTimeout(action, Math.max(0, at - now())).unref();
      return () => clearTimeout(timer);
    },
  },
  // What malloc holds free is the whole process's: main gives it back.
  threadMemory(() => {}),
);
