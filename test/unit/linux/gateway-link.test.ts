import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Test } from 'tap';
import t from 'tap';
import type { Endpoint } from '../../../src/base/endpoint.ts';
import { loadNative } from '../../../src/linux/ffi.ts';
import { openGateway } from '../../../src/linux/gateway-link.ts';

const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const GET = { method: 'GET', path: '/a?b', headers: {}, body: '', maxBytes: 1000 } as const;
const PATIENCE_MS = 5000;
const native = loadNative();

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && new TextDecoder().decode(bytes);

/** Reads one question, and does as `answer` says. */
async function serve(
  t: Test,
  answer: (socket: Socket, question: string) => void,
): Promise<Endpoint> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.once('data', (data) => answer(socket, data.toString('latin1')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: LOOPBACK, port: (server.address() as AddressInfo).port, scope: 0 };
}

t.test('gateway: a question by HTTP, and its answer as it comes', async (t) => {
  const { ask } = openGateway(native, 0, () => {});
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const asked: string[] = [];
  const saying = (answer: string): Promise<Endpoint> =>
    serve(t, (socket, question) => {
      asked.push(question);
      socket.end(answer);
    });
  const plain = await saying('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody');
  const got = await ask(plain, GET, signal);
  t.same([got.status, text(got.body)], [200, 'body']);
  t.match(
    asked[0],
    /^GET \/a\?b HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\nConnection: close\r\n\r\n$/,
  );

  const old = await saying('HTTP/1.0 500 No\r\n\r\nas long as it lasts');
  const headers = { SOAPAction: '"x#y"' };
  const posted = await ask(old, { ...GET, method: 'POST', headers, body: '<é/>' }, signal);
  t.same([posted.status, text(posted.body)], [500, 'as long as it lasts']);
  t.match(asked[1], /^POST .*\r\nContent-Length: 5\r\nSOAPAction: "x#y"\r\n\r\n/s);

  const moved = await saying(
    `HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:${plain.port}/\r\nContent-Length: 0\r\n\r\n`,
  );
  t.same(await ask(moved, GET, signal), { status: 302, body: Buffer.alloc(0) });
  t.equal(asked.length, 3, 'nobody follows');
});

t.test('gateway: no more is read of an answer than was wished for', async (t) => {
  const { ask } = openGateway(native, 0, () => {});
  let sent = 0;
  const endless = await serve(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    const more = (): void => {
      sent += 65_536;
      if (!socket.destroyed && sent < 100_000_000) socket.write(Buffer.alloc(65_536), more);
    };
    more();
  });
  const answer = await ask(endless, GET, AbortSignal.timeout(PATIENCE_MS));
  t.same(answer, { status: 200, body: undefined });
  t.ok(sent < 50_000_000, `${sent} bytes`);
});

t.test('gateway: what is no answer is an error of the network', async (t) => {
  const { ask } = openGateway(native, 0, () => {});
  const silent = await serve(t, () => {});
  await t.rejects(ask(silent, GET, AbortSignal.timeout(50)), { name: 'NetError' });
  const stuck = await serve(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbo');
  });
  await t.rejects(ask(stuck, GET, AbortSignal.timeout(50)), { name: 'NetError' });
  const cut = await serve(t, (socket) => {
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbo');
  });
  await t.rejects(ask(cut, GET, AbortSignal.timeout(PATIENCE_MS)), { name: 'NetError' });
  const noise = await serve(t, (socket) => {
    socket.end('SSH-2.0-x\r\n');
  });
  await t.rejects(ask(noise, GET, AbortSignal.timeout(PATIENCE_MS)), { name: 'NetError' });
  const nobody = { address: LOOPBACK, port: 9, scope: 0 };
  await t.rejects(ask(nobody, GET, AbortSignal.timeout(PATIENCE_MS)), { name: 'NetError' });
});

t.test(
  'gateway: datagrams are heard from the one that was asked, and from nobody else',
  async (t) => {
    const heard: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const link = openGateway(native, 0, (datagram, { port }) => {
      heard.push(`${text(datagram)} ${port === asked ? 'asked' : port}`);
      resolve();
    });
    const [one, other] = [createSocket('udp4'), createSocket('udp4')];
    t.teardown(() => {
      link.close();
      for (const socket of [one, other]) socket.close();
    });
    one.bind(0, '127.0.0.1');
    other.bind(0, '127.0.0.1');
    await Promise.all([once(one, 'listening'), once(other, 'listening')]);
    const asked = one.address().port;
    link.send({ address: LOOPBACK, port: asked, scope: 0 }, new TextEncoder().encode('question'));
    const [question, from] = (await once(one, 'message')) as [Buffer, AddressInfo];
    t.equal(question.toString(), 'question');
    other.send('lie', from.port, from.address);
    one.send('truth', from.port, from.address);
    await promise;
    t.same(heard, ['truth asked']);
  },
);

t.test(
  'gateway: one that cannot be reached, or is let go of at once, ends nothing else',
  async (t) => {
    const gateway = createSocket('udp4').bind(0, '127.0.0.1');
    await once(gateway, 'listening');
    const link = openGateway(native, 0, () => {});
    t.teardown(() => {
      link.close();
      gateway.close();
    });
    // Nobody may send to all without asking for it: as refused as where there is no network.
    const unreachable = { address: Uint8Array.of(255, 255, 255, 255), port: 5351, scope: 0 };
    const reachable = { address: LOOPBACK, port: gateway.address().port, scope: 0 };
    const question = new TextEncoder().encode('question');
    for (let round = 0; round < 3; round++) {
      link.send(unreachable, question);
      await new Promise((done) => setTimeout(done, 20));
    }
    link.send(reachable, question);
    link.close();
    link.send(reachable, new TextEncoder().encode('once more'));
    const [heard] = (await once(gateway, 'message')) as [Buffer];
    t.equal(heard.toString(), 'once more');
  },
);
