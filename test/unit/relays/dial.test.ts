import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Test } from 'tap';
import t from 'tap';
import { parseIp } from '../../../src/base/ip.ts';
import { ERRNO } from '../../../src/linux/abi.ts';
import { dialTcp } from '../../../src/linux/dial.ts';
import { loadNative } from '../../../src/linux/ffi.ts';
import { must } from '../../must.ts';
import { ownNetwork } from '../linux/own-network.ts';

const native = loadNative();
const skip = await ownNetwork(native);
const MARK = 0x1234_0000;
const FOUR = must(parseIp('127.0.0.1'));
const SIX = must(parseIp('::1'));

async function echo(t: Test, host: string): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).pipe(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as { port: number }).port;
}

function nft(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('nft', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`nft ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Open descriptors, after what is closing has closed. */
async function descriptors(): Promise<number> {
  for (let turn = 0; turn < 5; turn++) await new Promise((done) => setTimeout(done, 10));
  return readdirSync('/proc/self/fd').length;
}

t.test(
  'dial: data flows both ways over both families, and the end is seen',
  { skip },
  async (t) => {
    for (const [address, host] of [
      [FOUR, '127.0.0.1'],
      [SIX, '::1'],
    ] as const) {
      const socket = await dialTcp(native, address, await echo(t, host), MARK);
      const sent = Buffer.alloc(1_000_000, 'abc');
      let got = 0;
      let same = true;
      socket.on('data', (bytes: Buffer) => {
        same &&= bytes.equals(sent.subarray(got, got + bytes.length));
        got += bytes.length;
      });
      socket.end(sent);
      await once(socket, 'close');
      t.equal(got, sent.length, host);
      t.ok(same);
    }
  },
);

t.test('dial: the first packet bears the mark already', { skip }, async (t) => {
  nft('add', 'table', 'inet', 'dial');
  nft('add', 'chain', 'inet', 'dial', 'out', '{ type filter hook output priority 0; }');
  nft(
    'add',
    'rule',
    'inet',
    'dial',
    'out',
    'tcp',
    'flags',
    'syn',
    'tcp',
    'flags',
    '!=',
    'syn|ack',
    'mark',
    `${MARK}`,
    'counter',
  );
  const counted = (): number =>
    Number(must(/packets (\d+)/.exec(nft('list', 'table', 'inet', 'dial')))[1]);
  const port = await echo(t, '127.0.0.1');
  (await dialTcp(native, FOUR, port, 0)).destroy();
  t.equal(counted(), 0, 'without a mark none');
  (await dialTcp(native, FOUR, port, MARK)).destroy();
  t.equal(counted(), 1);
});

t.test(
  'dial: a refusal, an abort and a missing right leave no descriptor open',
  { skip },
  async (t) => {
    const taken = createServer();
    taken.listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    taken.close();
    await once(taken, 'close');
    const before = await descriptors();
    for (let round = 0; round < 20; round++)
      await t.rejects(
        dialTcp(native, FOUR, port, MARK),
        {
          name: 'NetError',
          code: 'ECONNREFUSED',
          message: /cannot connect to 127.0.0.1:\d+: ECONN/,
        },
        `refusal ${round}`,
      );
    // A SYN that is dropped is answered by nobody.
    nft('add', 'table', 'inet', 'hole');
    nft('add', 'chain', 'inet', 'hole', 'out', '{ type filter hook output priority 0; }');
    nft('add', 'rule', 'inet', 'hole', 'out', 'tcp', 'dport', '9', 'drop');
    for (let round = 0; round < 20; round++)
      await t.rejects(dialTcp(native, FOUR, 9, MARK, AbortSignal.timeout(10)), {
        code: 'ABORT_ERR',
      });
    await t.rejects(dialTcp(native, FOUR, port, MARK, AbortSignal.abort()), /stopped waiting/);
    const without = { ...native, setsockopt: () => -ERRNO.EPERM };
    await t.rejects(dialTcp(without, FOUR, port, MARK), {
      name: 'ConfigError',
      message: /mark a TCP socket: EPERM: the program needs CAP_NET_ADMIN/,
    });
    await t.rejects(dialTcp(native, must(parseIp('203.0.113.1')), 1, MARK), {
      code: 'ENETUNREACH',
    });
    t.equal(await descriptors(), before);
  },
);

t.test('dial: an abort after the connection is none', { skip }, async (t) => {
  const controller = new AbortController();
  const port = await echo(t, '127.0.0.1');
  const socket = await dialTcp(native, FOUR, port, MARK, controller.signal);
  controller.abort();
  socket.write('still here');
  t.equal(String((await once(socket, 'data'))[0]), 'still here');
  socket.destroy();
});
