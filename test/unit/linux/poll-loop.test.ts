import type { Test } from 'tap';
import t from 'tap';
import { BugError } from '../../../src/base/errors.ts';
import { ERRNO } from '../../../src/linux/abi.ts';
import type { Descriptor } from '../../../src/linux/descriptor.ts';
import { loadNative } from '../../../src/linux/ffi.ts';
import { PollLoop } from '../../../src/linux/poll-loop.ts';
import { openWake, Wake } from '../../../src/linux/wake.ts';

const native = loadNative();
/** Above any that a process of ours opens. */
const NO_DESCRIPTOR = 900_000;

const nothing = (): void => {};

interface Signal {
  readonly fd: number;
  readonly wake: Wake;
}

function signal(t: Test): Signal {
  const descriptor: Descriptor = openWake(native);
  t.teardown(() => descriptor.close());
  return { fd: descriptor.fd, wake: new Wake(native, descriptor.fd) };
}

t.test('poll: who has something is called, again until it is taken', async (t) => {
  const loop = new PollLoop(native, 3);
  const [quiet, patient, end] = [signal(t), signal(t), signal(t)];
  const called: string[] = [];
  loop.add(quiet.fd, () => called.push('quiet'));
  loop.add(patient.fd, () => {
    if (called.push('patient') < 3) return;
    patient.wake.take();
    end.wake.signal();
  });
  loop.add(end.fd, () => loop.end());
  patient.wake.signal();
  patient.wake.signal();
  loop.run(nothing);
  t.same(called, ['patient', 'patient', 'patient']);
});

t.test(
  'poll: one that is closed in its turn is not called, nor who comes in its place',
  async (t) => {
    const loop = new PollLoop(native, 2);
    const [first, second, third] = [signal(t), signal(t), signal(t)];
    const called: string[] = [];
    loop.add(first.fd, () => {
      called.push('first');
      first.wake.take();
      closed.close();
      loop.add(third.fd, () => {
        called.push('third');
        loop.end();
      });
      closed.close();
      third.wake.signal();
    });
    const closed = loop.add(second.fd, () => called.push('second'));
    first.wake.signal();
    second.wake.signal();
    loop.run(nothing);
    t.same(called, ['first', 'third']);
  },
);

t.test('poll: a descriptor that is always in error is called sixteen times', async (t) => {
  const loop = new PollLoop(native, 2);
  const end = signal(t);
  let [errors, turns] = [0, 0];
  loop.add(NO_DESCRIPTOR, () => {
    errors++;
  });
  loop.add(end.fd, () => {
    if (++turns === 40) loop.end();
  });
  end.wake.signal();
  loop.run(nothing);
  t.equal(errors, 16);
});

t.test(
  'poll: an interrupted wait goes on, any other refusal and any exception ends it',
  async (t) => {
    const results = [-ERRNO.EINTR, -ERRNO.EINTR, -ERRNO.EINVAL];
    const refusing = { ...native, poll: () => results.shift() ?? 0 };
    t.throws(() => new PollLoop(refusing, 1).run(nothing), new BugError('poll: EINVAL'));
    t.same(results, []);

    const loop = new PollLoop(native, 1);
    const one = signal(t);
    loop.add(one.fd, () => {
      throw new Error('from the action');
    });
    one.wake.signal();
    t.throws(() => loop.run(nothing), new Error('from the action'));
    t.throws(() => loop.add(one.fd, () => {}), BugError, 'there is one place');
  },
);
