/**
 * Work `relay`: the same frames at a fixed rate through a relay, and the CPU that it takes.
 *
 *     sender ── TLS, a frame in each record, as stock clients send ──> relay ──> receiver      two such pairs
 *
 * The frames are of a full tunnel packet; each pair's come in bunches, every millisecond what the clock has made
 * due. Both relays get the same, from clients of ours that share the machine with them: so the figure is the
 * relay's own CPU time and not throughput. In our case its process is the whole coordination server, in which
 * nothing else happens.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OwnKey } from '../../../src/crypto/x25519.ts';
import { SimulatedNode } from '../../../test/load/client.ts';
import { usage } from '../../../test/load/process.ts';
import { Child, until } from '../../../test/netns/child.ts';
import { RawClient } from '../../../test/unit/derp/raw-client.ts';
import { prepareDerper } from './derper.ts';
import { freePort } from './free-port.ts';
import type { Contender, Figures, Sizes } from './rows.ts';
import { startOurs } from './servers.ts';

/** WireGuard's packet for one of 1,280 bytes, the MTU of stock clients. */
const PACKET_BYTES = 1312;
const FRAMES_PER_SECOND = 12_000;
const PAIRS = 2;
const WARM_UP_SECONDS = 2;
/** A relay that drops does less than it is measured for. */
const LEAST_ARRIVED = 0.99;
const READY_MS = 10_000;

interface Relay {
  readonly port: number;
  readonly pid: number;
  readonly serverName: string;
  /** Those that it lets in. */
  readonly keys: readonly (OwnKey | undefined)[];
  readonly stop: () => Promise<void>;
}

export async function measureRelay(contender: Contender, sizes: Sizes): Promise<Figures> {
  const relay = await (contender === 'derper' ? startDerper() : startOwn());
  const clients: RawClient[] = [];
  try {
    for (const key of relay.keys) {
      const { port, serverName } = relay;
      clients.push(await RawClient.join({ port, serverName, ...(key && { key }) }));
    }
    const pairs = Array.from({ length: PAIRS }, (_, i) => pairOf(clients, i));
    await pump(pairs, WARM_UP_SECONDS);
    const before = usage(relay.pid).cpuSeconds;
    const { sent, receivedBytes } = await pump(pairs, sizes.relaySeconds);
    const cpuSeconds = usage(relay.pid).cpuSeconds - before;
    const arrived = receivedBytes / (sent * PACKET_BYTES);
    if (arrived < LEAST_ARRIVED)
      throw new Error(`only ${(100 * arrived).toFixed(1)} % of the frames arrived`);
    return { cpuPerGb: cpuSeconds / (receivedBytes / 1e9), arrivedPercent: 100 * arrived };
  } finally {
    for (const client of clients) client.close();
    await relay.stop();
  }
}

interface Pair {
  readonly sender: RawClient;
  readonly receiver: RawClient;
  receivedBytes: number;
}

function pairOf(clients: readonly RawClient[], index: number): Pair {
  const [sender, receiver] = clients.slice(2 * index);
  if (sender === undefined || receiver === undefined) throw new Error('relay: too few clients');
  const pair = { sender, receiver, receivedBytes: 0 };
  // Whole frames of one packet each: type and length 5, sender's key 32.
  receiver.onFrames = (_bytes, start, end) => {
    const whole = Math.floor((end - start) / (5 + 32 + PACKET_BYTES));
    pair.receivedBytes += whole * PACKET_BYTES;
  };
  return pair;
}

async function pump(
  pairs: readonly Pair[],
  seconds: number,
): Promise<{ readonly sent: number; readonly receivedBytes: number }> {
  const packet = new Uint8Array(PACKET_BYTES).fill(4);
  const before = pairs.reduce((sum, pair) => sum + pair.receivedBytes, 0);
  const began = performance.now();
  let sent = 0;
  for (;;) {
    const elapsed = Math.min((performance.now() - began) / 1000, seconds);
    for (const due = Math.floor(elapsed * FRAMES_PER_SECOND); sent < due; sent++) {
      const pair = pairs[sent % pairs.length];
      pair?.sender.send(pair.receiver.node, packet);
    }
    if (elapsed >= seconds) break;
    await sleep(1);
  }
  // What is on the way arrives.
  await sleep(300);
  return {
    sent,
    receivedBytes: pairs.reduce((sum, pair) => sum + pair.receivedBytes, 0) - before,
  };
}

/** Our relay lets in who has joined; so the pairs do. */
async function startOwn(): Promise<Relay> {
  const server = await startOurs();
  const nodes = Array.from(
    { length: 2 * PAIRS },
    (_, i) => new SimulatedNode(new URL(server.url), i),
  );
  const stop = async (): Promise<void> => {
    for (const node of nodes) node.close();
    await server.stop();
  };
  try {
    for (const node of nodes) {
      await node.connect();
      await node.register(server.authKey);
    }
    const keys = nodes.map(({ node }) => node);
    return { port: server.port, pid: server.pid, serverName: '', keys, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startDerper(): Promise<Relay> {
  const folder = mkdtempSync(join(tmpdir(), 'pb-derper-'));
  const [port, stunPort] = [await freePort(), await freePort()];
  const { argv, name } = await prepareDerper(folder, '127.0.0.1', port, stunPort);
  const child = new Child(argv, { name: 'derper' });
  const stop = async (): Promise<void> => {
    await child.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await until(
      'derper serves',
      async () => {
        (await RawClient.join({ port, serverName: name })).close();
        return true;
      },
      READY_MS,
    );
  } catch (error) {
    await stop();
    throw new Error(`derper: ${(error as Error).message}\n${child.output}`);
  }
  const keys = Array.from({ length: 2 * PAIRS }, () => undefined);
  return { port, pid: child.pid, serverName: name, keys, stop };
}
