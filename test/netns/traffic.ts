/**
 * Traffic that a suite runs inside a lab's host, as a program of its own.
 *
 *     receive ADDRESS            one TCP connection   says: port N, then: received BYTES SHA256
 *     send ADDRESS PORT BYTES    its other end        says: sent SHA256
 *
 * The bytes are a key stream with a fixed key, so two runs send the same and a compression or repetition
 * somewhere in between would show.
 */

import { createCipheriv, createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';

const CHUNK_BYTES = 256 * 1024;

function receive(address: string): void {
  const server = createServer((socket) => {
    const hash = createHash('sha256');
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    socket.on('end', () => {
      console.log(`received ${bytes} ${hash.digest('hex')}`);
      socket.end();
      server.close();
    });
  });
  server.listen(0, address, () => {
    const bound = server.address();
    if (bound !== null && typeof bound === 'object') console.log(`port ${bound.port}`);
  });
}

async function send(address: string, port: number, bytes: number): Promise<void> {
  const socket = connect(port, address);
  const stream = createCipheriv('aes-256-ctr', Buffer.alloc(32, 7), Buffer.alloc(16));
  const zeros = Buffer.alloc(CHUNK_BYTES);
  const hash = createHash('sha256');
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
    const chunk = stream.update(zeros.subarray(0, Math.min(left, CHUNK_BYTES)));
    hash.update(chunk);
    if (!socket.write(chunk)) await drained(socket);
  }
  socket.end().resume();
  socket.once('close', () => console.log(`sent ${hash.digest('hex')}`));
}

function drained(socket: Socket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('drain', resolve).once('error', reject);
  return promise.finally(() => socket.off('drain', resolve).off('error', reject));
}

const [verb = '', address = '', ...rest] = process.argv.slice(2);
if (verb === 'receive') receive(address);
else if (verb === 'send') await send(address, Number(rest[0]), Number(rest[1]));
else throw new Error(`traffic: wanted receive or send, found ${verb}`);
