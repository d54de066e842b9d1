/** Our relay link at stock derper: greeting, packets, pings, who is not there, and its restart. */

import { spawn } from 'node:child_process';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import t from 'tap';
import { PEERS_BIN } from '../../../scripts/debian.ts';
import type { Env } from '../../../src/base/env.ts';
import { formatIp } from '../../../src/base/ip.ts';
import type { NodePublic } from '../../../src/base/keys.ts';
import { NodePrivate, nodePublic } from '../../../src/base/keys.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import { makeCertificate } from '../../../src/control/relay/own-certificate.ts';
import { ownKey } from '../../../src/crypto/x25519.ts';
import { Relays } from '../../../src/node/relays/relays.ts';
import { dialRelay } from '../../../src/node/relays/tls.ts';
import type { DERPMap } from '../../../src/protocol/tailcfg/types.ts';

const DERPER = join(PEERS_BIN, 'derper');
const REGION = 901;
const NAME = 'relay.test';
const skip = !existsSync(DERPER) && 'derper is not built (npm run test:interop builds it)';

const env: Env = {
  now: () => millis(performance.now()),
  wall: () => unixMillis(Date.now()),
  random: (lengthBytes) => randomBytes(lengthBytes),
  setTimer: (at, action) => {
    const timer = setTimeout(action, at - performance.now());
    return () => clearTimeout(timer);
  },
  log: { debug() {}, info() {}, warn() {}, error() {} },
};

t.test('derper: carries our packets, and is found again after a restart', { skip }, async (t) => {
  const folder = mkdtempSync(`${tmpdir()}/pt-`);
  t.teardown(() => rmSync(folder, { recursive: true }));
  const port = await freePort();
  const { certificate, key } = await makeCertificate([NAME]);
  writeFileSync(join(folder, `${NAME}.crt`), certificate);
  writeFileSync(join(folder, `${NAME}.key`), key);
  const start = () => derper(t, folder, port);
  const stop = await start();
  const map = mapOf(port, certificate);
  const [a, b] = [await joined(t, map), await joined(t, map)];

  const sent = Array.from({ length: 500 }, (_, i) => `${i} ${'x'.repeat(i)}`);
  // It keeps 32 packets for a client and drops what is more.
  for (let i = 0; i < sent.length; i += 25) {
    const some = sent.slice(i, i + 25);
    for (const text of some) a.relays.send(REGION, b.self, Buffer.from(text));
    await until('they are there', () => b.heard.length === i + some.length);
  }
  t.same(b.heard, sent);
  t.ok((await a.relays.measure(REGION)) < 500, 'a ping of DERP is answered');

  const nobody = nodePublic(randomBytes(32));
  const disco = Buffer.concat([Buffer.from('TS💬'), Buffer.alloc(60)]);
  a.relays.send(REGION, nobody, disco);
  await until('it is told', () => a.gone.length > 0);
  t.same(a.gone, ['not here']);

  await stop();
  await until('both have lost it', () => !a.connected() && !b.connected());
  await start();
  await until('both are back', () => a.connected() && b.connected());
  a.relays.send(REGION, b.self, Buffer.from('after'));
  await until('it arrives', () => b.heard.length === sent.length + 1);
  t.equal(b.heard.at(-1), 'after');
  t.equal(a.relays.counters().unknownFrames, 0, 'it says nothing that we do not know');
});

interface Joined {
  readonly relays: Relays;
  readonly self: NodePublic;
  readonly heard: string[];
  readonly gone: string[];
  readonly connected: () => boolean;
}

async function joined(t: Test, map: DERPMap): Promise<Joined> {
  const key = new NodePrivate(randomBytes(32));
  const heard: string[] = [];
  const gone: string[] = [];
  const relays = new Relays(env, {
    dial: (node) =>
      dialRelay(node, {
        connect: async (address, port) => {
          const socket = connect(port, formatIp(address));
          await once(socket, 'connect');
          return socket;
        },
        resolve: () => Promise.reject(new Error('no name is needed')),
      }),
    packet: (_region, _source, datagram) => heard.push(Buffer.from(datagram).toString()),
    batchEnd: () => {},
    gone: (_region, _peer, reason) => gone.push(reason),
    changed: () => {},
  });
  t.teardown(() => relays.close());
  relays.setIdentity(key);
  relays.setRegions(map);
  relays.setHome(REGION);
  const connected = (): boolean => relays.status()[0]?.state === 'connected';
  await until('connected', connected);
  return { relays, self: nodePublic(ownKey(key.expose()).publicKey), heard, gone, connected };
}

/** Starts it; the result ends it. */
async function derper(t: Test, folder: string, port: number): Promise<() => Promise<void>> {
  const child = spawn(
    DERPER,
    [
      ...['-a', `127.0.0.1:${port}`, '-http-port', '-1', '-stun=false', '-hostname', NAME],
      ...['-certmode', 'manual', '-certdir', folder, '-c', join(folder, 'derper.json')],
    ],
    { stdio: ['ignore', 'ignore', 'ignore'] },
  );
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill();
    await exited;
  };
  t.teardown(stop);
  return stop;
}

function mapOf(DERPPort: number, certificate: string): DERPMap {
  const pin = createHash('sha256').update(new X509Certificate(certificate).raw).digest('hex');
  const node = {
    ...{ Name: 'stock', RegionID: REGION, HostName: NAME, DERPPort },
    ...{ IPv4: '127.0.0.1', IPv6: 'none', CertName: `sha256-raw:${pin}` },
  };
  const region = { RegionID: REGION, RegionCode: 'stock', RegionName: 'Stock', Nodes: [node] };
  return { Regions: { [REGION]: region } };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (holds()) return;
    await sleep(20);
  }
  throw new Error(`in 20 s not: ${what}`);
}
