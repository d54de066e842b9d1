/**
 * Datagrams that nobody should answer, and a program that sends them.
 *
 *     hostile ADDRESS PORT COUNT KEY   a mix of all kinds but `stranger`, from one socket
 *     stranger ADDRESS PORT COUNT KEY  initiations with a right mac1 from a key that nobody knows, in peace
 *     flood ADDRESS PORT MS KEY        those, 20,000 a second, for MS milliseconds
 *
 * KEY is the responder's public key, base64. Each says at its end: sent N cookies N responses N others N,
 * where the last three are what came back, by WireGuard message type.
 *
 * Source: the WireGuard paper, section 5.4; message types 1 to 4.
 */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as pause, setImmediate } from 'node:timers/promises';
import { blake2s } from '@noble/hashes/blake2.js';
import type { Seeded } from '../seeded.ts';
import { seeded } from '../seeded.ts';

const INITIATION_BYTES = 148;
const MAC1_AT = 116;
const RESPONSE_BYTES = 92;
const COOKIE_BYTES = 64;

/** Answers come at once; this is for a machine that is busy. */
const LAST_ANSWERS_MS = 300;
/** So many are under way in the sender's queue before it looks at what came back. */
const BURST = 32;

/**
 * Far more than anybody can shake hands with, and less than fills every queue on the way: past that, who gets
 * in is luck, and says more about the machine than about cookies.
 */
const FLOOD_PER_MS = 20;

/** Slow enough for nobody to be under load, when a cookie would be right. */
const STRANGER_PACE_MS = 5;

type Make = (random: Seeded, key: Uint8Array) => Uint8Array;

function typed(type: number, body: Uint8Array): Uint8Array {
  body.set([type, 0, 0, 0]);
  return body;
}

/** Everything about it is right but the sender's key, which is noise. */
function stranger(random: Seeded, key: Uint8Array): Uint8Array {
  const message = typed(1, random.bytes(INITIATION_BYTES));
  const label = new TextEncoder().encode('mac1----');
  const macKey = blake2s(Uint8Array.from([...label, ...key]));
  message.set(blake2s(message.subarray(0, MAC1_AT), { key: macKey, dkLen: 16 }), MAC1_AT);
  message.fill(0, MAC1_AT + 16);
  return message;
}

/** Kinds of which each must be silence, whatever the load. */
const HOSTILE: readonly Make[] = [
  (random) => random.bytes(random.below(1600)),
  (random) => new Uint8Array(random.below(200)),
  (random) => typed(1 + random.below(4), random.bytes(4 + random.below(1500))),
  // Right in length, wrong in mac1.
  (random) => typed(1, random.bytes(INITIATION_BYTES)),
  (random) => typed(2, random.bytes(RESPONSE_BYTES)),
  (random) => typed(3, random.bytes(COOKIE_BYTES)),
  (random) => typed(4, random.bytes(32 + 16 * random.below(90))),
  // A right mac1 at a wrong length, and under reserved bytes that are not zero.
  (random, key) => stranger(random, key).subarray(0, INITIATION_BYTES - 1 - random.below(20)),
  (random, key) => Uint8Array.from([...stranger(random, key), 0]),
  (random, key) => {
    const message = stranger(random, key);
    message[1 + random.below(3)] = 1 + random.below(255);
    return message;
  },
  // Small indices, as a counter would give them out.
  (random) => {
    const message = typed(4, random.bytes(64));
    message.fill(0, 4, 16);
    message[4] = random.below(8);
    return message;
  },
];

async function shoot(
  address: string,
  port: number,
  key: Uint8Array,
  make: Make,
  isDone: (sent: number) => boolean,
  paceMs: number,
): Promise<void> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const came = { cookies: 0, responses: 0, others: 0 };
  socket.on('message', (message) => {
    if (message[0] === 3 && message.length === COOKIE_BYTES) came.cookies++;
    else if (message[0] === 2 && message.length === RESPONSE_BYTES) came.responses++;
    else came.others++;
  });
  // A full queue or a refusing host is no reason to stop.
  socket.on('error', () => {});
  socket.connect(port, address);
  await once(socket, 'connect');
  const random = seeded(port);
  // Making them costs more than sending them, so a few are sent over and over.
  const shells = Array.from({ length: 4096 }, () => make(random, key));
  let sent = 0;
  while (!isDone(sent)) {
    socket.send(shells[sent++ % shells.length] ?? new Uint8Array());
    if (paceMs > 0) await pause(paceMs);
    else if (sent % BURST === 0) await turn(sent - FLOOD_PER_MS * (performance.now() - began));
  }
  await pause(LAST_ANSWERS_MS);
  const { cookies, responses, others } = came;
  console.log(`sent ${sent} cookies ${cookies} responses ${responses} others ${others}`);
  socket.close();
}

/** Lets what came in be counted, and waits while the flood is ahead of its rate. */
async function turn(ahead: number): Promise<void> {
  if (ahead > BURST) await pause(ahead / FLOOD_PER_MS);
  else await setImmediate();
}

const [verb = '', address = '', port = '', amount = '', key = ''] = process.argv.slice(2);
const began = performance.now();
await shoot(
  address,
  Number(port),
  Buffer.from(key, 'base64'),
  verb === 'hostile' ? (random, key) => random.pick(HOSTILE)(random, key) : stranger,
  verb === 'flood'
    ? () => performance.now() - began > Number(amount)
    : (sent) => sent >= Number(amount),
  verb === 'stranger' ? STRANGER_PACE_MS : 0,
);
