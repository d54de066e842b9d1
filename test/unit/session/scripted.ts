/**
 * A coordination server that says what a test tells it to, over the real upgrade, records and HTTP/2: for answers
 * that our own server does not give.
 */

import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:http';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { performServerHandshake } from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { zstdCompressSync } from 'node:zlib';
import type { Test } from 'tap';
import { fromBase64, toHex } from '../../../src/base/bytes.ts';
import { RecordStream } from '../../../src/control/serve/record-stream.ts';
import { ownKey } from '../../../src/crypto/x25519.ts';
import type { MapResponse } from '../../../src/protocol/tailcfg/map-types.ts';
import {
  createResponse,
  errorFrame,
  openInitiation,
} from '../../../src/protocol/tailcfg/ts2021.ts';
import type { Node } from '../../../src/protocol/tailcfg/types.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

export interface ScriptedAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface ScriptedRequest {
  readonly method: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

const random = seeded(77);

export class ScriptedServer {
  readonly asked: ScriptedRequest[] = [];
  /** Undefined: no answer at all. */
  register: (body: ScriptedRequest['body']) => ScriptedAnswer | undefined = () => ({
    body: member(),
  });
  update: (body: ScriptedRequest['body']) => ScriptedAnswer = () => ({ status: 200 });
  /** What a stream begins with. */
  first: (body: ScriptedRequest['body']) => readonly unknown[] = (body) => [
    { Node: selfNode(String(body['NodeKey'])), ControlTime: '2027-01-15T08:00:00Z' },
  ];
  streams: ServerHttp2Stream[] = [];
  /** Refuses the handshake with this text. */
  refusal: string | undefined;
  readonly sockets: Set<Socket> = new Set();
  readonly #sessions: ServerHttp2Session[] = [];
  #secret = random.bytes(32);
  port = 0;

  static async open(
    t: Test,
    tls?: { readonly certificate: string; readonly key: string },
  ): Promise<ScriptedServer> {
    const server = new ScriptedServer();
    const http = createServer((request, response) => {
      const key = toHex(ownKey(server.#secret).publicKey);
      response.end(JSON.stringify({ publicKey: `mkey:${key}`, path: request.url }));
    });
    http.on('upgrade', (request, socket: Socket, head) => server.#upgrade(request, socket, head));
    const accept = (socket: Socket): void => {
      server.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => server.sockets.delete(socket));
      http.emit('connection', socket);
    };
    const listener: Server =
      tls === undefined
        ? createTcpServer({ noDelay: true }, accept)
        : createTlsServer({ cert: tls.certificate, key: tls.key, noDelay: true }, accept);
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    server.port = (listener.address() as AddressInfo).port;
    t.teardown(() => {
      server.cut();
      listener.close();
    });
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Of requests to `path` in their order. */
  bodies(path: string): readonly ScriptedRequest['body'][] {
    return this.asked.filter((one) => one.path === path).map(({ body }) => body);
  }

  say(map: MapResponse | object): void {
    must(this.streams.at(-1)).write(frame(map));
  }

  cut(): void {
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.sockets) socket.destroy();
  }

  /** Another machine key, as after a restore from nothing. */
  changeKey(): void {
    this.#secret = random.bytes(32);
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const initiation = must(fromBase64(String(request.headers['x-tailscale-handshake'])));
    const opened = openInitiation(ownKey(this.#secret), initiation);
    socket.write(
      'HTTP/1.1 101 Switching\r\nUpgrade: tailscale-control-protocol\r\nConnection: upgrade\r\n\r\n',
    );
    if (this.refusal !== undefined || typeof opened === 'string') {
      socket.end(errorFrame(this.refusal ?? 'who are you?'));
      return;
    }
    const response = createResponse(opened, random.bytes(32));
    if (typeof response === 'string') throw new Error(response);
    socket.write(response.message);
    const records = new RecordStream(socket, response.channel, { heard() {}, broken() {} });
    const session = performServerHandshake(records);
    this.#sessions.push(session);
    session.on('error', () => {});
    session.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      void this.#answer(stream, String(headers[':method']), String(headers[':path']));
    });
    records.start(head);
  }

  async #answer(stream: ServerHttp2Stream, method: string, path: string): Promise<void> {
    let text = '';
    stream.setEncoding('utf8');
    for await (const part of stream) text += part;
    const body = text.startsWith('{') ? (JSON.parse(text) as ScriptedRequest['body']) : { text };
    this.asked.push({ method, path, body });
    if (body['Stream'] === true) {
      stream.respond({ ':status': 200 });
      this.streams.push(stream);
      for (const map of this.first(body)) stream.write(frame(map));
      return;
    }
    const answer =
      path === '/machine/register'
        ? this.register(body)
        : path === '/machine/map'
          ? this.update(body)
          : { status: 200 };
    if (answer === undefined || stream.destroyed) return;
    stream.respond({ ':status': answer.status ?? 200, ...answer.headers });
    stream.end(answer.body === undefined ? '' : JSON.stringify(answer.body));
  }
}

export function frame(map: unknown): Uint8Array {
  const body = zstdCompressSync(Buffer.from(JSON.stringify(map)));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.length);
  return Buffer.concat([length, body]);
}

export const member = (more: object = {}): object => ({
  User: { ID: 1, DisplayName: 'a' },
  Login: { ID: 1, Provider: '', LoginName: 'a', DisplayName: 'a' },
  NodeKeyExpired: false,
  MachineAuthorized: true,
  AuthURL: '',
  NodeKeySignature: null,
  Error: '',
  ...more,
});

export const selfNode = (key: string, more: Partial<Node> = {}): Node => ({
  ID: 1,
  StableID: 'n1',
  Name: 'board.mesh.test.',
  User: 1,
  Key: key as Node['Key'],
  Addresses: ['100.64.0.1/32'],
  AllowedIPs: ['100.64.0.1/32'],
  Hostinfo: {},
  MachineAuthorized: true,
  ...more,
});

export const peerNode = (ID: number, more: Partial<Node> = {}): Node => ({
  ...selfNode(`nodekey:${ID.toString(16).padStart(64, '0')}`),
  ID,
  StableID: `n${ID}`,
  Name: `n${ID}.mesh.test.`,
  Addresses: [`100.64.0.${ID}/32`],
  AllowedIPs: [`100.64.0.${ID}/32`],
  ...more,
});
