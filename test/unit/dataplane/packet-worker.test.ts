/** The worker's side of each message is judged by test/netns: here is what the main thread does, and when. */

import { EventEmitter } from 'node:events';
import t from 'tap';
import type { Assets } from '../../../src/assets.ts';
import { BugError } from '../../../src/base/errors.ts';
import { loadNative } from '../../../src/linux/ffi.ts';
import type { Event } from '../../../src/node/dataplane/commands.ts';
import type { WorkerSetup } from '../../../src/node/dataplane/worker.ts';
import { PacketWorker } from '../../../src/packet-worker.ts';

/** In order: messages that it was sent, and signals. */
class Stage extends EventEmitter {
  readonly done: string[] = [];
  readonly worker: PacketWorker;

  constructor() {
    super();
    const native = loadNative();
    const write = (): number => {
      this.done.push('signal');
      return 8;
    };
    const assets = { startWorker: () => this } as unknown as Assets;
    this.worker = new PacketWorker({ ...native, write }, assets, {} as WorkerSetup);
  }

  postMessage(commands: readonly { readonly type: string }[]): void {
    this.done.push(commands.map(({ type }) => type).join());
  }
}

const settled = (): Promise<void> => new Promise((done) => setImmediate(done));

t.test(
  'worker: the messages of a task are followed by one signal, after the rest of it',
  async (t) => {
    const stage = new Stage();
    const { link } = stage.worker;
    link.send({ type: 'report' });
    link.flush();
    link.send({ type: 'relayed' });
    link.send({ type: 'report' });
    stage.done.push('an answer is sent');
    await settled();
    t.same(stage.done, ['report', 'an answer is sent', 'relayed,report', 'signal']);
    await end(stage);
  },
);

t.test('worker: each of its events is told; an end that nobody asked for is a fault', async (t) => {
  const stage = new Stage();
  const heard: unknown[] = [];
  stage.worker.listen({
    event: (event: Event) => heard.push(event.type),
    failed: (error) => heard.push(error),
  });
  stage.emit('message', [{ type: 'relay' }, { type: 'gone' }]);
  const fault = new Error('planted');
  stage.emit('error', fault);
  stage.emit('exit');
  t.same(heard, ['relay', 'gone', fault, new BugError('the data plane has ended')]);
  await stage.worker.stop();
});

t.test('worker: the end of the process is told at once', async (t) => {
  const stage = new Stage();
  const before = process.listenerCount('exit');
  const listener = process.listeners('exit').at(-1) as (code: number) => void;
  listener(0);
  t.same(stage.done, ['stop', 'signal'], 'without a microtask');
  await end(stage);
  t.equal(process.listenerCount('exit'), before - 1, 'and not after its own end');
});

t.test('worker: nothing goes to the descriptor once it is closed', async (t) => {
  const stage = new Stage();
  await end(stage);
  t.same(stage.done.slice(0, 2), ['stop', 'signal']);
  const told = stage.done.length;
  stage.worker.link.send({ type: 'report' });
  stage.worker.link.flush();
  await settled();
  t.equal(stage.done.length, told);
});

async function end(stage: Stage): Promise<void> {
  stage.worker.listen({ event: () => {}, failed: () => {} });
  const stopped = stage.worker.stop();
  stage.emit('exit');
  await stopped;
}
