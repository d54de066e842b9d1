/** Two nodes that know each other, on one network, under one clock. */

import { readFileSync } from 'node:fs';
import { kernelsWasm } from '../../scripts/kernels.ts';
import type { Endpoint } from '../../src/base/endpoint.ts';
import { parseEndpoint } from '../../src/base/endpoint.ts';
import { NodePrivate, nodePublic } from '../../src/base/keys.ts';
import { parsePrefix } from '../../src/base/prefix.ts';
import { ownKey } from '../../src/crypto/x25519.ts';
import type { TunnelReport } from '../../src/node/tunnel/ports.ts';
import { must } from '../must.ts';
import { seeded } from '../seeded.ts';
import { Clock } from './clock.ts';
import { Network } from './network.ts';
import { SimNode } from './node.ts';

export const wasm: Uint8Array = readFileSync(await kernelsWasm());

export interface World {
  readonly clock: Clock;
  readonly network: Network;
  readonly a: SimNode;
  readonly b: SimNode;
}

export const A_ENDPOINT: Endpoint = must(parseEndpoint('192.0.2.1:1001'));
export const B_ENDPOINT: Endpoint = must(parseEndpoint('192.0.2.2:1002'));

/** Node a at 10.0.0.1 knows where b is; b at 10.0.0.2 learns it of a. */
export function world(seed: number, persistentKeepaliveSeconds = 0): World {
  const random = seeded(seed);
  const clock = new Clock();
  const network = new Network(clock, random);
  const keys = [random.bytes(32), random.bytes(32)].map((bytes) => new NodePrivate(bytes));
  const [aKey, bKey] = [must(keys[0]), must(keys[1])];
  const a = new SimNode({ clock, network, random, wasm, endpoint: A_ENDPOINT });
  const b = new SimNode({ clock, network, random, wasm, endpoint: B_ENDPOINT });
  const publicOf = (key: NodePrivate) => nodePublic(ownKey(key.expose()).publicKey);
  const peer = (key: NodePrivate, address: string) => ({
    publicKey: publicOf(key),
    allowedIps: [{ prefix: must(parsePrefix(address)), remove: false }],
    persistentKeepaliveSeconds,
  });
  a.tunnel.configure({
    privateKey: aKey,
    peers: [{ ...peer(bKey, '10.0.0.2/32'), endpoint: B_ENDPOINT }],
  });
  b.tunnel.configure({ privateKey: bKey, peers: [peer(aKey, '10.0.0.1/32')] });
  a.tunnel.up();
  b.tunnel.up();
  clock.runTo(1);
  return { clock, network, a, b };
}

/** What the node counts of itself. */
export async function reportOf(node: SimNode, clock: Clock): Promise<TunnelReport> {
  const report = node.tunnel.report();
  clock.runTo(clock.now() + 1);
  return report;
}

/** An IPv4 packet of a protocol that nothing looks into, with a number and filled up to `bytes`. */
export function packet(from: number, to: number, number: number, bytes = 64): Uint8Array {
  const packet = new Uint8Array(bytes);
  const view = new DataView(packet.buffer);
  view.setUint16(0, 0x4500);
  view.setUint16(2, bytes);
  view.setUint16(8, 0x40fd);
  packet.set([10, 0, 0, from, 10, 0, 0, to], 12);
  view.setUint32(20, number);
  return packet;
}

/** The numbers of packets, in order. */
export function numbers(packets: readonly Uint8Array[]): number[] {
  return packets.map((bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(20));
}
