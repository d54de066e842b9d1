import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { STRUCT } from '../../../src/linux/abi.ts';
import { loadNative } from '../../../src/linux/ffi.ts';
import { trimMalloc } from '../../../src/linux/malloc.ts';
import { serviceManager } from '../../../src/linux/sd-notify.ts';
import { timeConfirmed } from '../../../src/linux/time-sync.ts';
import { UnixDatagrams } from './unix-datagrams.ts';

const native = loadNative();
const folder = mkdtempSync(join(tmpdir(), 'postern-notify-'));
t.teardown(() => rmSync(folder, { recursive: true }));

t.test('notify: each state is a datagram, to a path or an abstract name', async (t) => {
  for (const name of [join(folder, 'notify'), `@postern-test-${process.pid}`]) {
    const manager = new UnixDatagrams(native, name);
    const { tell } = serviceManager(native, { NOTIFY_SOCKET: name }, 1);
    tell('READY=1');
    tell('STATUS=ünder way\nWATCHDOG=1');
    t.same(manager.take(), ['READY=1', 'STATUS=ünder way\nWATCHDOG=1'], name);
    manager.close();
    tell('STOPPING=1');
  }
});

t.test('notify: who has no manager, or no socket that can be, speaks to nobody', async (t) => {
  const before = readdirSync('/proc/self/fd').length;
  const long = `/${'x'.repeat(STRUCT.sockaddr_un.bytes - STRUCT.sockaddr_un.sun_path - 1)}`;
  let sockets = 0;
  const counting: typeof native = {
    ...native,
    socket: (...parameters) => {
      sockets++;
      return native.socket(...parameters);
    },
  };
  for (const path of [undefined, '', '/', 'vsock:2:1', 'relative', long]) {
    const environment = path === undefined ? {} : { NOTIFY_SOCKET: path };
    serviceManager(counting, environment, 1).tell('READY=1');
  }
  t.equal(sockets, 0);
  serviceManager(counting, { NOTIFY_SOCKET: join(folder, 'absent') }, 1).tell('READY=1');
  t.equal(sockets, 1);
  t.equal(readdirSync('/proc/self/fd').length, before, 'and leaves nothing open');
});

t.test('notify: the watchdog hears twice in its time, where it is ours', async (t) => {
  const every = (environment: Record<string, string>): number | undefined =>
    serviceManager(native, environment, 77).watchdogMillis;
  t.equal(every({ WATCHDOG_USEC: '30000000' }), 15_000);
  t.equal(every({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '77' }), 15_000);
  t.equal(every({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '78' }), undefined);
  for (const text of ['', '0', 'soon', '-1'])
    t.equal(every({ WATCHDOG_USEC: text }), undefined, text);
  t.equal(every({}), undefined);
});

t.test('time: the kernel says whether a time server has confirmed it', async (t) => {
  const asked: number[] = [];
  const answering = (state: number): typeof native => ({
    ...native,
    adjtimex: (timex) => {
      asked.push(timex);
      return state;
    },
  });
  // TIME_OK, TIME_INS and TIME_ERROR of adjtimex(2), and a refusal.
  const rows = [
    [0, true],
    [1, true],
    [5, false],
    [-1, false],
  ] as const;
  for (const [state, confirmed] of rows)
    t.equal(timeConfirmed(answering(state))(), confirmed, `${state}`);
  t.equal(asked.length, rows.length);
  const ask = timeConfirmed(native);
  t.equal(ask(), ask());
});

t.test(
  'malloc: what was freed goes back to the kernel, where there is a function for it',
  async (t) => {
    t.doesNotThrow(trimMalloc(native));
    const bare = { ...native, self: { find: () => undefined, addressOf: () => undefined } };
    t.doesNotThrow(trimMalloc(bare));
  },
);
