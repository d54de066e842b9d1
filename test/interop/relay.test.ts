/**
 * Stock derper as judge: the same client, with the same script, hears the same from it and from our relay.
 */

import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Test } from 'tap';
import t from 'tap';
import { PEERS_BIN } from '../../scripts/debian.ts';
import { concat } from '../../src/base/bytes.ts';
import { nodePublic } from '../../src/base/keys.ts';
import { makeCertificate } from '../../src/control/relay/own-certificate.ts';
import { Relay } from '../../src/control/relay/relay.ts';
import { ownKey } from '../../src/crypto/x25519.ts';
import { FRAME, HEADER_BYTES, KEY_BYTES } from '../../src/protocol/derp/constants.ts';
import { frame } from '../../src/protocol/derp/frames.ts';
import { Child } from '../netns/child.ts';
import { seeded } from '../seeded.ts';
import type { RawClientOptions } from '../unit/derp/raw-client.ts';
import { RawClient } from '../unit/derp/raw-client.ts';

const DERPER = join(PEERS_BIN, 'derper');
/** How a disco packet begins; only these are answered where nobody is there. */
const DISCO = concat(Uint8Array.of(0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac), new Uint8Array(80));
const NAME = 'relay.test';
const random = seeded(7);
const keys = Array.from({ length: 3 }, () => ownKey(random.bytes(KEY_BYTES)));
const pair = await makeCertificate([NAME]);

t.test(
  'derper: the same script is answered in the same way by both relays',
  { skip: !existsSync(DERPER) && process.env['CI'] !== 'true' && 'scripts/test-peers derper' },
  async (t) => {
    const stock = await script(await startDerper(t));
    t.same(await script(await startOurs(t)), stock);
    t.equal(stock.length, 8, 'and the script has said something');
  },
);

/** What a client sees of a relay, in words. */
async function script(port: number): Promise<readonly string[]> {
  const join = (i: number, more: Partial<RawClientOptions> = {}): Promise<RawClient> => {
    const key = keys[i];
    return RawClient.join({ port, serverName: NAME, ...(key && { key }), ...more });
  };
  const saw: string[] = [];
  const [a, b] = [await join(0), await join(1)];
  const heard = async (who: RawClient, type: number): Promise<string> => {
    const body = (await who.next(type)).subarray(HEADER_BYTES);
    return `${type} ${Buffer.from(body).toString('hex', 0, 80)} of ${body.length}`;
  };
  a.send(b.node, Buffer.from('to b'));
  saw.push(await heard(b, FRAME.recvPacket));
  b.send(a.node, random.bytes(0));
  saw.push(await heard(a, FRAME.recvPacket));
  a.send(a.node, Buffer.alloc(65_536, 1));
  saw.push(await heard(a, FRAME.recvPacket));
  a.socket.write(frame(FRAME.ping, Buffer.from('12345678')));
  saw.push(await heard(a, FRAME.pong));
  a.socket.write(frame(200, Buffer.from('a type that nobody knows')));
  a.send(new Uint8Array(KEY_BYTES).fill(9), DISCO);
  saw.push(await heard(a, FRAME.peerGone));
  const again = await join(1, { fastStart: true });
  a.send(b.node, Buffer.from('to the newest'));
  saw.push(await heard(again, FRAME.recvPacket));
  again.close();
  await again.closed;
  // Which of the two the relay has left is known once a packet arrives there.
  const arrived = heard(b, FRAME.recvPacket);
  for (let done = false; !done; ) {
    a.send(b.node, Buffer.from('to the one left'));
    done = await Promise.race([arrived.then(() => true), sleep(50).then(() => false)]);
  }
  saw.push(await arrived);
  b.close();
  saw.push(await heard(a, FRAME.peerGone));
  a.close();
  return saw;
}

async function startOurs(t: Test): Promise<number> {
  const relay = await Relay.start(
    (workerData) =>
      new Worker(new URL('../../src/control/relay/worker.ts', import.meta.url), { workerData }),
    {
      listen: [{ host: '127.0.0.1', port: 0 }],
      stun: [],
      certificate: { type: 'text', ...pair },
      privateKey: random.bytes(KEY_BYTES),
      others: '/nonexistent',
    },
    () => {},
  );
  t.teardown(() => relay.stop());
  relay.admit(keys.map(({ publicKey }) => nodePublic(publicKey)));
  return relay.listening.listen[0]?.port ?? 0;
}

async function startDerper(t: Test): Promise<number> {
  const folder = mkdtempSync(`${tmpdir()}/pt-derper-`);
  t.teardown(() => rmSync(folder, { recursive: true }));
  mkdirSync(`${folder}/certs`);
  writeFileSync(`${folder}/certs/${NAME}.crt`, pair.certificate);
  writeFileSync(`${folder}/certs/${NAME}.key`, pair.key);
  const port = await freePort();
  const flags = ['-a', `127.0.0.1:${port}`, '-http-port', '-1', '-stun=false', '-hostname', NAME];
  const files = [
    '-certmode',
    'manual',
    '-certdir',
    `${folder}/certs`,
    '-c',
    `${folder}/derper.json`,
  ];
  const derper = new Child([DERPER, ...flags, ...files]);
  t.teardown(() => derper.stop());
  for (let tries = 0; tries < 100; tries++) {
    const client = await RawClient.join({ port, serverName: NAME }).catch(() => undefined);
    client?.close();
    if (client !== undefined) return port;
    await sleep(50);
  }
  throw new Error('derper does not serve');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
