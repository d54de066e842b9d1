/**
 * A TCP conversation in which each side checks what it got, as a program of its own in a namespace.
 *
 *     serve PORT...               says: serving; answers any number of connections on these ports
 *     ask HOST PORT BYTES         says: whole, or how it went instead (`no answer`)
 *
 *     ask ──── BYTES of a key stream, then end of its half ───> serve
 *     ask <─── SHA-256 of what came 32 | BYTES of another | SHA-256 of those 32, end ── serve
 *
 * HOST may be a name: it is then the machine's own resolver that answers.
 */

import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';

const HASH_BYTES = 32;
/** A SYN that is lost is sent again after 1 s and after 3. */
const CONNECT_MS = 4000;
const SILENT_MS = 10_000;

const keyStream = (key: number, bytes: number): Buffer =>
  createCipheriv('aes-256-ctr', Buffer.alloc(32, key), Buffer.alloc(16)).update(
    Buffer.alloc(bytes),
  );

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();

/** All up to the other side's end; a loop over the socket would close our half too. */
function all(socket: Socket): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.once('end', () => resolve(Buffer.concat(chunks))).once('error', reject);
  return promise;
}

async function serve(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      all(socket).then(
        (got) => {
          const mine = keyStream(2, got.length);
          socket.end(Buffer.concat([sha256(got), mine, sha256(mine)]));
        },
        () => socket.destroy(),
      );
    });
    await once(server.listen(port, '::'), 'listening');
  }
  console.log('serving');
}

async function ask(host: string, port: number, bytes: number): Promise<string> {
  const socket = connect({ host, port, allowHalfOpen: true });
  const mine = keyStream(1, bytes);
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_MS) });
  } catch (error) {
    socket.destroy();
    const { name, code } = error as NodeJS.ErrnoException;
    return name === 'AbortError' ? 'no answer' : `no connection: ${code}`;
  }
  socket.setTimeout(SILENT_MS, () => socket.destroy(new Error(`nothing for ${SILENT_MS} ms`)));
  socket.end(mine);
  const got = await all(socket);
  const theirs = got.subarray(HASH_BYTES, -HASH_BYTES);
  const same =
    got.subarray(0, HASH_BYTES).equals(sha256(mine)) &&
    got.subarray(-HASH_BYTES).equals(sha256(theirs)) &&
    theirs.length === bytes;
  return same ? 'whole' : `different: ${got.length} bytes for ${bytes}`;
}

const [verb = '', ...rest] = process.argv.slice(2);
if (verb === 'serve') await serve(rest.map(Number));
else if (verb === 'ask') console.log(await ask(rest[0] ?? '', Number(rest[1]), Number(rest[2])));
else throw new Error(`talk: wanted serve or ask, found ${verb}`);
