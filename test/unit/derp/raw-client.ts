/**
 * A DERP client with nothing around it, for tests and measurements: it greets, and then hands out whole frames
 * as they come.
 */

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { concat } from '../../../src/base/bytes.ts';
import type { NodePublic } from '../../../src/base/keys.ts';
import { nodePublic } from '../../../src/base/keys.ts';
import type { OwnKey } from '../../../src/crypto/x25519.ts';
import { ownKey } from '../../../src/crypto/x25519.ts';
import { FRAME, KEY_BYTES, MAX_PACKET_BYTES } from '../../../src/protocol/derp/constants.ts';
import { FrameCutter, frame, payloadBytes } from '../../../src/protocol/derp/frames.ts';
import { clientInfo, readServerInfo, readServerKey } from '../../../src/protocol/derp/greeting.ts';

export interface RawClientOptions {
  readonly port: number;
  readonly host?: string;
  readonly tls?: boolean;
  /** For a server that wants to be asked by name. */
  readonly serverName?: string;
  readonly key?: OwnKey;
  readonly fastStart?: boolean;
}

export class RawClient {
  readonly key: OwnKey;
  readonly node: NodePublic;
  readonly socket: Socket;
  /** Whole frames that nobody has waited for yet. */
  readonly frames: Uint8Array[] = [];
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>;
  /** Called instead of keeping a frame, where it is set. */
  onFrames: ((bytes: Uint8Array, start: number, end: number) => void) | undefined;
  isClosed = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket, key: OwnKey) {
    this.socket = socket;
    this.key = key;
    this.node = nodePublic(key.publicKey);
    socket.on('error', () => socket.destroy());
    this.closed = new Promise((done) =>
      socket.on('close', () => {
        this.isClosed = true;
        this.#wake();
        done();
      }),
    );
  }

  /** Connects and greets. @throws where the relay closes instead */
  static async join(options: RawClientOptions): Promise<RawClient> {
    const client = await RawClient.open(options);
    const relay = readServerKey(await client.next(FRAME.serverKey));
    if (typeof relay === 'string') throw new Error(relay);
    const info = clientInfo(client.key, relay, randomBytes(24));
    if (typeof info === 'string') throw new Error(info);
    client.socket.write(info);
    const said = readServerInfo(client.key, relay, await client.next(FRAME.serverInfo));
    if (typeof said === 'string') throw new Error(said);
    return client;
  }

  /** Connects and asks for DERP, without a greeting of its own. */
  static async open(options: RawClientOptions): Promise<RawClient> {
    const { port, host = '127.0.0.1', tls = true, fastStart = false } = options;
    const socket = tls
      ? connectTls({ port, host, servername: options.serverName ?? '', rejectUnauthorized: false })
      : connectTcp({ port, host });
    socket.setNoDelay(true);
    const client = new RawClient(socket, options.key ?? ownKey(randomBytes(KEY_BYTES)));
    const headers = ['Host: relay', 'Upgrade: DERP', 'Connection: Upgrade'];
    if (fastStart) headers.push('Derp-Fast-Start: 1');
    socket.write(`GET /derp HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
    const cutter = new FrameCutter(KEY_BYTES + MAX_PACKET_BYTES + 1024);
    let head: Buffer | undefined = fastStart ? undefined : Buffer.alloc(0);
    const take = (bytes: Uint8Array, start: number, end: number): boolean => {
      client.#keep(bytes, start, end);
      return true;
    };
    socket.on('data', (bytes: Buffer) => {
      if (head === undefined) {
        cutter.push(bytes, take);
        return;
      }
      head = Buffer.concat([head, bytes]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const rest = head.subarray(end + 4);
      head = undefined;
      cutter.push(rest, take);
    });
    return client;
  }

  send(to: Uint8Array, packet: Uint8Array): void {
    this.socket.write(frame(FRAME.sendPacket, to, packet));
  }

  /** The next frame of this type; others before it are thrown away. */
  async next(type: number): Promise<Uint8Array> {
    for (;;) {
      for (let first = this.frames.shift(); first !== undefined; first = this.frames.shift())
        if (first[0] === type) return first;
      if (this.isClosed) throw new Error(`closed before a frame of type ${type} came`);
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
  }

  close(): void {
    this.socket.destroy();
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    if (this.onFrames !== undefined) {
      this.onFrames(bytes, start, end);
      return;
    }
    for (let at = start; at < end; ) {
      const next = at + 5 + payloadBytes(bytes, at);
      this.frames.push(concat(bytes.subarray(at, next)));
      at = next;
    }
    this.#wake();
  }
}
