/**
 * What kind of NAT lies between two hosts, found out and not believed: a program for either side.
 *
 *     serve HOST HOST2            answers on UDP HOST:9001, HOST:9002 and HOST2:9001; says: serving
 *     ask HOST HOST2 [BIND]       says one line of JSON, a NatFacts
 *
 * A question is the name of the socket that shall answer, so that an answer can come from a place to which the
 * asker has said nothing. An answer is the address that the question came from, in text.
 *
 *     mapping     the port that three destinations see    all the same            endpoint-independent
 *                                                         the same for an address address-dependent
 *     filtering   who may answer a socket that has        another address         endpoint-independent
 *                 spoken with HOST:9001 alone             another port            address-dependent
 *
 * Source: RFC 4787 4.1 and 5, in its own words.
 */

import type { Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

export type Dependence = 'endpoint' | 'address' | 'port' | 'nothing comes through';

export interface NatFacts {
  readonly mapping: Dependence;
  readonly filtering: Dependence;
  /** As HOST:9001 saw it. */
  readonly seen: string;
}

const PORTS = [9001, 9002] as const;
const PATIENCE_MS = 300;
const TRIES = 3;

async function bound(host: string, port: number): Promise<Socket> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.bind(port, host);
  await once(socket, 'listening');
  return socket;
}

async function serve(host: string, host2: string): Promise<void> {
  const sockets: Record<string, Socket> = {
    same: await bound(host, PORTS[0]),
    port: await bound(host, PORTS[1]),
    address: await bound(host2, PORTS[0]),
  };
  for (const mine of Object.values(sockets))
    mine.on('message', (bytes, from) => {
      const named = bytes.toString();
      const answerer = named === 'same' ? mine : sockets[named];
      answerer?.send(`${from.address}:${from.port}`, from.port, from.address);
    });
  console.log('serving');
}

/** What the answerer has seen, or undefined where no answer comes. */
async function question(
  socket: Socket,
  host: string,
  port: number,
  answerer: 'same' | 'port' | 'address',
): Promise<string | undefined> {
  for (let tries = 0; tries < TRIES; tries++) {
    socket.send(answerer, port, host);
    const waiting = AbortSignal.timeout(PATIENCE_MS);
    const heard = await once(socket, 'message', { signal: waiting }).catch(() => undefined);
    if (heard !== undefined) return String(heard[0]);
  }
  return undefined;
}

async function ask(host: string, host2: string, from: string): Promise<NatFacts> {
  const mapped = await bound(from, 0);
  const seen = await question(mapped, host, PORTS[0], 'same');
  if (seen === undefined) {
    mapped.close();
    return { mapping: 'nothing comes through', filtering: 'nothing comes through', seen: '' };
  }
  const otherPort = await question(mapped, host, PORTS[1], 'same');
  const otherAddress = await question(mapped, host2, PORTS[0], 'same');
  const mapping = otherPort !== seen ? 'port' : otherAddress !== seen ? 'address' : 'endpoint';
  mapped.close();
  const filtered = await bound(from, 0);
  await question(filtered, host, PORTS[0], 'same');
  const byAddress = await question(filtered, host, PORTS[0], 'address');
  const byPort = byAddress ?? (await question(filtered, host, PORTS[0], 'port'));
  filtered.close();
  const filtering = byAddress ? 'endpoint' : byPort ? 'address' : 'port';
  return { mapping, filtering, seen };
}

const [verb, host = '', host2 = '', from = host.includes(':') ? '::' : '0.0.0.0'] =
  process.argv.slice(2);
if (verb === 'serve') await serve(host, host2);
else if (verb === 'ask') console.log(JSON.stringify(await ask(host, host2, from)));
else throw new Error(`nat-probe: wanted serve or ask, found ${verb}`);
