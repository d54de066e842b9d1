import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { Worker } from 'node:worker_threads';
import type { Test } from 'tap';
import t from 'tap';
import { formatEndpoint } from '../../../src/base/endpoint.ts';
import type { NodePublic } from '../../../src/base/keys.ts';
import { nodePublic } from '../../../src/base/keys.ts';
import { certificateSha256 } from '../../../src/control/relay/certificate-files.ts';
import type { RelayEvent, RelayStart } from '../../../src/control/relay/commands.ts';
import { takeOrigin } from '../../../src/control/relay/origin.ts';
import { makeCertificate, ownCertificate } from '../../../src/control/relay/own-certificate.ts';
import { Relay } from '../../../src/control/relay/relay.ts';
import type { OwnKey } from '../../../src/crypto/x25519.ts';
import { ownKey } from '../../../src/crypto/x25519.ts';
import { FRAME } from '../../../src/protocol/derp/constants.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { RawClient } from '../derp/raw-client.ts';

const WORKER = new URL('../../../src/control/relay/worker.ts', import.meta.url);
const random = seeded(1);
const pair = await makeCertificate(['127.0.0.1', 'relay.test']);
const newKey = (): OwnKey => ownKey(random.bytes(32));
const nodeOf = (key: OwnKey): NodePublic => nodePublic(key.publicKey);

interface Started {
  readonly relay: Relay;
  readonly port: number;
  readonly sha256: string;
  readonly events: RelayEvent[];
  /** Joins with a new key that the relay admits. */
  readonly client: (key?: OwnKey, tls?: boolean) => Promise<RawClient>;
}

/** In a folder with a short name: a socket's path holds 107 bytes. */
function socketPath(t: Test): string {
  const folder = mkdtempSync(`${tmpdir()}/pt-`);
  t.teardown(() => rmSync(folder, { recursive: true }));
  return `${folder}/others.sock`;
}

async function started(t: Test, options: Partial<RelayStart> = {}): Promise<Started> {
  const events: RelayEvent[] = [];
  const relay = await Relay.start(
    (workerData) => new Worker(WORKER, { workerData }),
    {
      listen: [{ host: '127.0.0.1', port: 0 }],
      stun: [],
      certificate: { type: 'text', ...pair },
      privateKey: random.bytes(32),
      others: socketPath(t),
      ...options,
    },
    (event) => events.push(event),
  );
  t.teardown(() => relay.stop());
  const { listen, certificateSha256: sha256 } = relay.listening;
  const { port } = must(listen[0]);
  const client = async (key = newKey(), tls = true): Promise<RawClient> => {
    relay.admit([nodeOf(key)]);
    const joined = await RawClient.join({ port, key, tls });
    t.teardown(() => joined.close());
    return joined;
  };
  return { relay, port, sha256, events, client };
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await holds()) return;
    await sleep(20);
  }
  throw new Error(`in 10 s not: ${what}`);
}

t.test('relay: only admitted keys get in, and a forgotten one is cut off', async (t) => {
  const { relay, port, client } = await started(t);
  await t.rejects(RawClient.join({ port }), /closed/, 'a stranger');
  const [a, b] = [await client(), await client()];
  a.send(b.node, Buffer.from('one'));
  t.equal(Buffer.from((await b.next(FRAME.recvPacket)).subarray(37)).toString(), 'one');
  b.send(a.node, Buffer.from('two'));
  await a.next(FRAME.recvPacket);
  relay.forget([b.node]);
  await b.closed;
  t.equal((await a.next(FRAME.peerGone)).at(-1), 0, 'its peer is told');
  await t.rejects(RawClient.join({ port, key: b.key }), /closed/, 'and it does not come back');
  t.match((await relay.report()).refused, {
    'derp: not admitted': 2,
    'derp: no longer admitted': 1,
  });
});

t.test('relay: Derp-Fast-Start and plain TCP lead to the same switchboard', async (t) => {
  const { relay, port, client } = await started(t);
  const key = newKey();
  relay.admit([nodeOf(key)]);
  const fast = await RawClient.join({ port, key, fastStart: true });
  t.teardown(() => fast.close());
  const plain = await client(newKey(), false);
  fast.send(plain.node, random.bytes(65_536));
  t.equal((await plain.next(FRAME.recvPacket)).length, 65_573, 'the longest packet');
});

t.test('relay: its own paths answer, with TLS and without', async (t) => {
  const { port } = await started(t);
  const ask = async (head: string, tls: boolean): Promise<string> => {
    const socket = tls
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : connect(port, '127.0.0.1');
    socket.setEncoding('utf8').write(`${head}\r\nHost: x\r\n\r\n`);
    let got = '';
    for await (const piece of socket) got += piece;
    return got;
  };
  for (const tls of [true, false]) {
    t.match(await ask('GET /derp/probe HTTP/1.1', tls), /^HTTP\/1.1 200 /);
    t.match(await ask('HEAD /derp/latency-check HTTP/1.1', tls), /^HTTP\/1.1 200 /);
    t.match(await ask('GET /derp HTTP/1.1', tls), /^HTTP\/1.1 426 /);
    t.match(
      await ask('GET /generate_204 HTTP/1.1\r\nX-Tailscale-Challenge: ts_1.2', tls),
      /^HTTP\/1.1 204 .*\r\nX-Tailscale-Response: response ts_1.2\r\n/,
    );
    t.match(await ask('GET /key HTTP/1.1', tls), /^HTTP\/1.1 502 /, 'nobody behind');
  }
});

t.test('relay: everything else reaches the unix socket, the origin first', async (t) => {
  const others = socketPath(t);
  const { port } = await started(t, { others });
  const server = createServer(async (socket) => {
    const origin = must(await takeOrigin(socket));
    socket.on('data', (bytes: Buffer) => {
      socket.write(`${origin.tls} ${formatEndpoint(origin.remote)} `);
      socket.end(bytes);
    });
    socket.resume();
  });
  server.listen(others);
  t.teardown(() => server.close());
  await once(server, 'listening');
  for (const tls of [true, false]) {
    const socket: Socket = tls
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : connect(port, '127.0.0.1');
    await once(socket, tls ? 'secureConnect' : 'connect');
    const own = `127.0.0.1:${socket.localPort}`;
    socket.write('POST /ts2021 HTTP/1.1\r\n\r\n');
    let got = '';
    for await (const piece of socket) got += piece;
    t.equal(got, `${tls} ${own} POST /ts2021 HTTP/1.1\r\n\r\n`);
  }
});

t.test('relay: a slow reader loses its oldest packets, and others are unharmed', async (t) => {
  const { relay, client } = await started(t);
  const [fast, peer, slow] = [await client(), await client(), await client()];
  slow.socket.pause();
  const bulk = random.bytes(60_000);
  await until('packets to the slow one are dropped', async () => {
    for (let i = 0; i < 20; i++) fast.send(slow.node, bulk);
    return (await relay.report()).dropped > 0;
  });
  const waited: number[] = [];
  for (let i = 0; i < 100; i++) {
    for (let n = 0; n < 5; n++) fast.send(slow.node, bulk);
    const since = performance.now();
    peer.send(peer.node, bulk);
    await peer.next(FRAME.recvPacket);
    waited.push(performance.now() - since);
  }
  const p90 = must(waited.sort((a, b) => a - b)[90]);
  t.comment(`p90 beside a slow reader ${p90.toFixed(1)} ms`);
  t.ok(p90 < 100, `a packet takes ${p90} ms`);
});

t.test(
  'relay: a certificate changed on disk is shown to new clients, a bad one is not',
  async (t) => {
    const folder = t.testdir({ 'a.pem': pair.certificate, 'a.key': pair.key });
    const [certificate, key] = [`${folder}/a.pem`, `${folder}/a.key`];
    const { port, sha256, events } = await started(t, {
      certificate: { type: 'files', certificate, key },
    });
    const shown = async (): Promise<string> => {
      const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const { raw } = socket.getPeerCertificate();
      socket.destroy();
      return certificateSha256(
        `-----BEGIN CERTIFICATE-----\n${raw.toString('base64')}\n-----END CERTIFICATE-----`,
      );
    };
    t.equal(await shown(), sha256);
    const next = await makeCertificate(['relay.test']);
    writeFileSync(certificate, next.certificate);
    await until('the fault is told', () => events.some(({ type }) => type === 'fault'));
    t.equal(await shown(), sha256, "with another's key: the last good one");
    writeFileSync(`${key}.new`, next.key);
    renameSync(`${key}.new`, key);
    await until('the new one is told', () => events.some(({ type }) => type === 'certificate'));
    t.equal(await shown(), certificateSha256(next.certificate));
    t.ok(events.some(({ type }) => type === 'over'));
  },
);

t.test('relay: its own certificate is made once and kept, until it lacks a name', async (t) => {
  const folder = t.testdir({});
  const first = await ownCertificate(folder, ['10.0.0.1']);
  t.equal((await ownCertificate(folder, ['10.0.0.1'])).certificate, first.certificate);
  const second = await ownCertificate(folder, ['10.0.0.1', 'gate.test']);
  t.not(second.certificate, first.certificate);
  t.equal((await ownCertificate(folder, ['gate.test'])).certificate, second.certificate);
});

t.test('relay: hostile connections cost a counter, and the relay goes on', async (t) => {
  const { relay, port, client } = await started(t);
  const rng = seeded(5);
  for (let round = 0; round < 200; round++) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    const start = rng.pick([
      Buffer.of(0x16, 3, 1),
      Buffer.from('GET /derp HTTP/1.1\r\nUpgrade: DERP\r\n\r\n'),
      Buffer.from(
        'GET /derp HTTP/1.1\r\nUpgrade: DERP\r\nDerp-Fast-Start: 1\r\n\r\n\x02\0\0\0\x70',
      ),
    ]);
    socket.end(Buffer.concat([start, rng.bytes(rng.below(300))]));
    await once(socket.resume(), 'close');
  }
  const [a, b] = [await client(), await client()];
  a.send(b.node, Buffer.from('still here'));
  await b.next(FRAME.recvPacket);
  await until('they are all gone', async () => (await relay.report()).connections === 2);
  t.pass('200 connections');
});

t.test('relay: a port that is taken is a fault with its words', async (t) => {
  const { port } = await started(t);
  await t.rejects(started(t, { listen: [{ host: '127.0.0.1', port }] }), /EADDRINUSE/);
});

t.test('relay: HTTP through the front survives a long body both ways', async (t) => {
  const others = socketPath(t);
  const { port } = await started(t, { others });
  const { createServer: createHttp } = await import('node:http');
  const body = Buffer.from(random.bytes(200_000));
  const http = createHttp((_request, response) => response.end(body));
  const server = createServer(async (socket) => {
    if ((await takeOrigin(socket)) === undefined) return;
    http.emit('connection', socket);
    socket.resume();
  });
  server.listen(others);
  t.teardown(() => server.close());
  await once(server, 'listening');
  const got = await new Promise<Buffer>((done, fail) => {
    get({ host: '127.0.0.1', port, path: '/page', agent: false }, async (response) => {
      const pieces: Buffer[] = [];
      for await (const piece of response) pieces.push(piece as Buffer);
      done(Buffer.concat(pieces));
    }).on('error', fail);
  });
  t.ok(got.equals(body));
});
