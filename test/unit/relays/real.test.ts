import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Test } from 'tap';
import t from 'tap';
import type { Env } from '../../../src/base/env.ts';
import { formatIp } from '../../../src/base/ip.ts';
import type { NodePublic } from '../../../src/base/keys.ts';
import { NodePrivate, nodePublic } from '../../../src/base/keys.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import { makeCertificate } from '../../../src/control/relay/own-certificate.ts';
import { Relay } from '../../../src/control/relay/relay.ts';
import { ownKey } from '../../../src/crypto/x25519.ts';
import { Relays } from '../../../src/node/relays/relays.ts';
import { dialRelay } from '../../../src/node/relays/tls.ts';
import type { DERPMap } from '../../../src/protocol/tailcfg/types.ts';
import { must } from '../../must.ts';

const WORKER = new URL('../../../src/control/relay/worker.ts', import.meta.url);
const REGION = 900;
const PACKET_BYTES = 1332;

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

interface Served {
  readonly relay: Relay;
  readonly map: DERPMap;
  readonly join: (take: (datagram: Uint8Array) => void) => Promise<[Relays, NodePublic]>;
}

async function served(t: Test): Promise<Served> {
  const folder = mkdtempSync(`${tmpdir()}/pt-`);
  const relay = await Relay.start(
    (workerData) => new Worker(WORKER, { workerData }),
    {
      listen: [{ host: '127.0.0.1', port: 0 }],
      stun: [],
      certificate: { type: 'text', ...(await makeCertificate(['127.0.0.1'])) },
      privateKey: randomBytes(32),
      others: `${folder}/others.sock`,
    },
    () => {},
  );
  t.teardown(async () => {
    await relay.stop();
    rmSync(folder, { recursive: true });
  });
  const { listen, certificateSha256 } = relay.listening;
  const node = {
    Name: 'own',
    RegionID: REGION,
    HostName: '127.0.0.1',
    DERPPort: must(listen[0]).port,
    CertName: `sha256-raw:${certificateSha256}`,
  };
  const region = { RegionID: REGION, RegionCode: 'own', RegionName: 'Own', Nodes: [node] };
  const map = { Regions: { [REGION]: region } };
  const join: Served['join'] = async (take) => {
    const key = new NodePrivate(randomBytes(32));
    const self = nodePublic(ownKey(key.expose()).publicKey);
    relay.admit([self]);
    const relays = new Relays(env, {
      dial: (node) =>
        dialRelay(node, {
          connect: async (address, port) => connect(port, formatIp(address)),
          resolve: () => Promise.reject(new Error('no name is needed')),
        }),
      packet: (_region, _source, datagram) => take(datagram),
      batchEnd: () => {},
      gone: () => {},
      changed: () => {},
    });
    t.teardown(() => relays.close());
    relays.setIdentity(key);
    relays.setRegions(map);
    relays.setHome(REGION);
    await until('connected', () => relays.status()[0]?.state === 'connected');
    return [relays, self];
  };
  return { relay, map, join };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (holds()) return;
    await sleep(10);
  }
  throw new Error(`in 10 s not: ${what}`);
}

t.test('real: 40 MB through a relay of ours over TLS arrive whole and in order', async (t) => {
  const { relay, join } = await served(t);
  const [sent, got] = [createHash('sha256'), createHash('sha256')];
  let bytes = 0;
  const [, receiver] = await join((datagram) => {
    got.update(datagram);
    bytes += datagram.length;
  });
  const [sender] = await join(() => {});
  const since = performance.now();
  const packet = randomBytes(PACKET_BYTES);
  const count = 30_000;
  for (let i = 0; i < count; ) {
    // What is under way stays below the relay's queue, so that nothing has to be dropped anywhere.
    while (i < count && i * PACKET_BYTES - bytes < 262_144) {
      packet.writeUInt32LE(i++);
      sent.update(packet);
      sender.send(REGION, receiver, packet);
    }
    sender.flush();
    await new Promise((done) => setImmediate(done));
  }
  await until('all is here', () => bytes === count * PACKET_BYTES);
  const took = (performance.now() - since) / 1000;
  t.comment(`${((bytes * 8) / took / 1e9).toFixed(2)} Gbit/s, all three in one process`);
  t.equal(got.digest('hex'), sent.digest('hex'));
  const { writes, packetsOut, droppedFull } = sender.counters();
  t.equal(droppedFull, 0);
  t.ok(writes * 4 < packetsOut, `${writes} writes for ${packetsOut} packets`);
  t.equal((await relay.report()).dropped, 0);
});

t.test('real: a region is measured over TLS, connected or not', async (t) => {
  const { join, map } = await served(t);
  const [relays] = await join(() => {});
  const kept = await relays.measure(REGION);
  relays.setIdentity(null);
  const fresh = await relays.measure(REGION);
  t.ok(kept > 0 && kept < 500 && fresh > 0 && fresh < 500, `${kept} and ${fresh} ms`);
  const other = must(map.Regions[REGION]);
  const Nodes = other.Nodes.map((node) => ({ ...node, CertName: `sha256-raw:${'0'.repeat(64)}` }));
  relays.setRegions({ Regions: { [REGION]: { ...other, Nodes } } });
  await t.rejects(relays.measure(REGION), /shows certificate sha256/);
});

t.test(
  'real: a key that the relay does not know waits, and gets in when it is known',
  async (t) => {
    const { join, relay } = await served(t);
    const [relays] = await join(() => {});
    const key = new NodePrivate(randomBytes(32));
    relays.setIdentity(key);
    await until('it was refused', () => (relays.counters().ended['greeting'] ?? 0) > 0);
    t.match(relays.status()[0], { state: 'connected' }, 'by the old key');
    relay.admit([nodePublic(ownKey(key.expose()).publicKey)]);
    await until('it is in', () => relays.counters().joined === 2);
  },
);
