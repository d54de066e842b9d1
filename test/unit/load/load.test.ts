/** The load program, judged by Node's own HTTP/2 server behind our handshake; and the rules of the bench. */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { createServer as createHttp2 } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Duplex } from 'node:stream';
import { zstdCompressSync } from 'node:zlib';
import type { Test } from 'tap';
import t from 'tap';
import { judge } from '../../../scripts/bench/control/judge.ts';
import { ROWS } from '../../../scripts/bench/control/rows.ts';
import { concat, fromBase64 } from '../../../src/base/bytes.ts';
import { machinePublic } from '../../../src/base/keys.ts';
import { ownKey } from '../../../src/crypto/x25519.ts';
import { writeEarlyPayload } from '../../../src/protocol/tailcfg/early-payload.ts';
import type { ChallengePublic } from '../../../src/protocol/tailcfg/keys.ts';
import { formatMachinePublic } from '../../../src/protocol/tailcfg/keys.ts';
import type { Channel } from '../../../src/protocol/tailcfg/ts2021.ts';
import { createResponse, openInitiation } from '../../../src/protocol/tailcfg/ts2021.ts';
import { SimulatedNode, unpack } from '../../load/client.ts';
import { distribution } from '../../load/distribution.ts';
import { Netmap } from '../../load/netmap.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

const utf8 = new TextEncoder();
const json = (value: unknown): Uint8Array => utf8.encode(JSON.stringify(value));

type OnRequest = (stream: ServerHttp2Stream, path: string, body: Record<string, unknown>) => void;

t.test('client: registers, and hears what Node serves, in frames of any size', async (t) => {
  const random = seeded(11);
  const maps = Array.from({ length: 200 }, () => random.bytes(random.below(60_000)));
  const url = await startServer(t, (stream, path, body) => {
    if (path === '/machine/register') {
      t.match(body, {
        Version: 142,
        Auth: { AuthKey: 'secret' },
        Hostinfo: { Hostname: 'load-7' },
      });
      stream.respond({ ':status': 200 });
      stream.end(json({ MachineAuthorized: true }));
      return;
    }
    stream.respond({ ':status': 200 });
    if (body['Stream'] !== true) stream.end();
    else for (const map of maps) stream.write(framed(map));
  });
  const node = new SimulatedNode(url, 7);
  t.teardown(() => node.close());
  await node.connect();
  t.equal((await node.register('secret')).MachineAuthorized, true);
  const heard: Uint8Array[] = [];
  const all = Promise.withResolvers<void>();
  node.onFrame = (frame) => {
    if (heard.push(frame) === maps.length) all.resolve();
  };
  await node.openStream();
  await all.promise;
  t.equal(await node.update(), 200, 'a lite update while the stream is open');
  const wrong = maps.findIndex((map, i) => !Buffer.from(map).equals(unpack(must(heard[i]))));
  t.equal(wrong, -1, '200 frames, none different');
});

t.test('client: a refusal is told with its status, by table or in letters', async (t) => {
  for (const status of [400, 401, 404, 413, 429, 500, 503]) {
    const url = await startServer(t, (stream) => {
      stream.respond({ ':status': status });
      stream.end('no');
    });
    const node = new SimulatedNode(url, 1);
    t.teardown(() => node.close());
    await node.connect();
    await t.rejects(node.register(), { message: new RegExp(`^/machine/register: ${status} no`) });
    await t.rejects(node.openStream(), { message: `/machine/map: ${status}` });
  }
});

t.test('client: a stream that the server ends is noticed, one that we cut is not', async (t) => {
  let server: ServerHttp2Stream | undefined;
  const url = await startServer(t, (stream) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200 });
    stream.write(framed(json({ KeepAlive: true })));
    server = stream;
  });
  const node = new SimulatedNode(url, 1);
  await node.connect();
  await node.openStream();
  const ended = Promise.withResolvers<void>();
  node.onEnded = ended.resolve;
  server?.session?.destroy();
  await ended.promise;
  t.equal(node.endings, 1);
  await node.connect();
  await node.openStream();
  node.close();
  t.equal(node.isConnected, false);
  t.equal(node.endings, 1);
});

t.test('netmap: folds as a stock client does', async (t) => {
  const netmap = new Netmap();
  const peer = (ID: number, more: object = {}): object => ({
    ID,
    StableID: `n${ID}`,
    Name: `n${ID}.mesh.internal.`,
    User: 1,
    Key: `nodekey:${'ab'.repeat(32)}`,
    Addresses: [`100.64.0.${ID}/32`],
    Hostinfo: {},
    Online: true,
    ...more,
  });
  const fold = (map: object): void => netmap.fold(json(map));
  const users = [{ ID: 1, LoginName: 'alice', DisplayName: 'Alice' }];
  fold({ Node: peer(1), Peers: [peer(2), peer(3)], UserProfiles: users });
  t.equal(netmap.onlinePeers, 2);
  fold({ Peers: [] });
  t.equal(netmap.peers.size, 2, 'an empty list says nothing');
  fold({ PeersChanged: [peer(4, { Online: false })], PeersRemoved: [2] });
  t.same([...netmap.peers.keys()], [3, 4]);
  t.equal(netmap.onlinePeers, 1);
  fold({
    PeersChangedPatch: [
      { NodeID: 4, Online: true, DERPRegion: 900 },
      { NodeID: 9, Online: true },
    ],
  });
  t.equal(netmap.onlinePeers, 2, 'and nobody is made of a patch');
  t.equal(netmap.peers.get(4)?.HomeDERP, 900);
  fold({ OnlineChange: { 3: false } });
  t.equal(netmap.onlinePeers, 1);
  t.same(netmap.faults, []);
  fold({ PeersChanged: [peer(5, { Key: 5 })] });
  t.equal(netmap.faults.length, 1, 'a wrong type is a fault');
});

t.test('distribution: nearest rank', async (t) => {
  const values = Array.from({ length: 1000 }, (_, i) => 1000 - i);
  t.same(distribution(values), { count: 1000, median: 500, p99: 990, max: 1000 });
  t.same(distribution([]), { count: 0, median: 0, p99: 0, max: 0 });
});

t.test('judge: a spread of theirs is void only where it decides', async (t) => {
  const runs = (name: string, ...values: readonly number[]) =>
    values.map((value) => ({ load: 0, figures: { [name]: value } }));
  const both = ['ours', 'headscale'] as const;
  const verdict = (ours: number, ...theirs: readonly number[]) =>
    judge(ROWS.join, both, {
      ours: runs('joinSeconds', ours),
      headscale: runs('joinSeconds', ...theirs),
    });
  t.match(verdict(4, 10, 10.1, 10.2), { ok: true, void: null });
  t.match(verdict(6, 10, 10.1, 10.2), { ok: false, void: null });
  t.match(verdict(1, 10, 20, 30), { ok: true, void: null }, 'holds against each of them');
  t.match(verdict(7, 10, 20, 30), { ok: false, void: /differ by 100 %/ });
  t.match(judge(ROWS.join, ['ours'], { ours: runs('joinSeconds', 9) }), { ok: true, ratios: {} });
  t.match(judge(ROWS.change, ['ours'], { ours: runs('changeP99', 201) }), { ok: false });
  t.match(judge(ROWS.join, both, { ours: runs('joinSeconds', 1) }), {
    ok: false,
    reasons: ['headscale: no run'],
  });
  const alone = { ours: runs('anonymousMb', 100) };
  t.match(judge(ROWS['memory-1000'], both, alone), { ok: true }, 'no bound is beside them');
});

function framed(map: Uint8Array): Uint8Array {
  const body = zstdCompressSync(map);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, body.length, true);
  return concat(length, body);
}

/** `/key`, the upgrade with an early payload, and Node's HTTP/2 behind it. */
async function startServer(t: Test, onRequest: OnRequest): Promise<URL> {
  const machine = ownKey(randomBytes(32));
  const http2 = createHttp2();
  http2.on('stream', (stream, headers) => {
    let text = '';
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    stream.on('end', () =>
      onRequest(stream as ServerHttp2Stream, String(headers[':path']), JSON.parse(text)),
    );
  });
  const outer = createServer((_, response) => {
    response.end(
      JSON.stringify({ publicKey: formatMachinePublic(machinePublic(machine.publicKey)) }),
    );
  });
  outer.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    const initiation = must(fromBase64(String(request.headers['x-tailscale-handshake'])));
    const opened = openInitiation(machine, initiation);
    if (typeof opened === 'string') throw new Error(opened);
    const response = createResponse(opened, randomBytes(32));
    if (typeof response === 'string') throw new Error(response);
    const early = writeEarlyPayload(randomBytes(32) as Uint8Array as ChallengePublic);
    const { channel, message } = response;
    const head = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n';
    socket.write(concat(utf8.encode(head), message, channel.sealer.seal(early)));
    http2.emit('connection', inside(socket, channel));
  });
  outer.listen(0, '127.0.0.1');
  await once(outer, 'listening');
  t.teardown(() => {
    outer.close();
    outer.closeAllConnections();
  });
  return new URL(`http://127.0.0.1:${(outer.address() as AddressInfo).port}`);
}

function inside(socket: Duplex, { sealer, opener }: Channel): Duplex {
  const duplex = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Uint8Array, _encoding, done) => void socket.write(sealer.seal(chunk), done),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Uint8Array) => {
    const texts = opener.push(chunk);
    if (typeof texts === 'string') duplex.destroy(new Error(texts));
    else for (const text of texts) if (!duplex.push(text)) socket.pause();
  });
  socket.on('error', () => duplex.destroy());
  socket.on('close', () => duplex.destroy());
  return duplex;
}
