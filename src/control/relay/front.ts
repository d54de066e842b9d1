/**
 * The front: the TCP ports, from the first byte to what a connection turns out to be.
 *
 *     accepted --first byte 0x16--> TLS --> request --> DERP session | own answer | passed on (forward.ts)
 *              --anything else-------------^
 *
 * One port is enough for all. Until a connection is a session or passed on it is *young*: there is a bounded
 * number of these, the oldest goes for a new one, and none gets older than the deadline.
 */

import type { Server as NetServer, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import { createServer as createTlsServer } from 'node:tls';
import type { Endpoint } from '../../base/endpoint.ts';
import { formatEndpoint } from '../../base/endpoint.ts';
import type { Millis } from '../../base/time.ts';
import { after } from '../../base/time.ts';
import { GREETING_DEADLINE } from '../../protocol/derp/constants.ts';
import type { CertificateText } from './certificate-files.ts';
import type { ListenAddress } from './commands.ts';
import { forward } from './forward.ts';
import { remoteOf } from './origin.ts';
import { frontRequest, switchingProtocols } from './request.ts';
import type { SessionHost } from './session.ts';
import { Session } from './session.ts';

const TLS_HANDSHAKE = 0x16;
const MAX_YOUNG = 512;
const MAX_CONNECTIONS = 16_384;

/**
 * AES-128 first: it is 1.3 times as fast as the AES-256 that OpenSSL would choose, and with TLS 1.2 for what
 * is older than that.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

interface Young {
  readonly since: Millis;
  readonly remote: Endpoint;
}

export interface FrontOptions {
  readonly host: SessionHost;
  readonly certificate: CertificateText;
  /** Path of the unix socket for everything else. */
  readonly others: string;
  readonly maxConnections?: number | undefined;
  forwarded(): void;
  /** The unix socket answers, or does not. */
  othersReachable(reachable: boolean): void;
}

export class Front {
  readonly #options: FrontOptions;
  readonly #tls: TlsServer;
  readonly #servers: NetServer[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #young = new Map<Socket, Young>();
  /** A TLS server does not tell on which of the sockets it was given it has put a connection. */
  readonly #underTls = new Map<string, Socket>();

  constructor(options: FrontOptions) {
    this.#options = options;
    this.#tls = createTlsServer({
      ...pemOf(options.certificate),
      ALPNProtocols: ['http/1.1'],
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS,
      honorCipherOrder: true,
      handshakeTimeout: GREETING_DEADLINE,
    });
    this.#tls.on('secureConnection', (socket) => {
      this.#request(socket, this.#underTls.get(nameOf(socket)));
    });
    this.#tls.on('tlsClientError', (_error, socket) => {
      options.host.refused('front: TLS failed');
      socket.destroy();
    });
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** @throws where an address cannot be bound, with Node's error */
  async listen(addresses: readonly ListenAddress[]): Promise<readonly ListenAddress[]> {
    const haveIpv4 = addresses.some(({ host }) => !host.includes(':'));
    for (const { host, port } of addresses) {
      const server = createServer({
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: 30_000,
      });
      server.on('connection', (socket) => this.#accept(socket));
      await new Promise<void>((done, fail) => {
        server.once('error', fail);
        server.listen({ host, port, ipv6Only: haveIpv4 }, () => {
          server.off('error', fail);
          done();
        });
      });
      // Running out of descriptors is no reason to stop serving those who are here.
      server.on('error', () => this.#options.host.refused('front: too many connections'));
      this.#servers.push(server);
    }
    return this.#servers.map((server) => {
      const address = server.address() as { address: string; port: number };
      return { host: address.address, port: address.port };
    });
  }

  /** New connections get this certificate. @throws where key and certificate do not fit */
  useCertificate(certificate: CertificateText): void {
    this.#tls.setSecureContext({ ...pemOf(certificate), ciphers: CIPHERS, minVersion: 'TLSv1.2' });
  }

  /** Ends what is young for too long. */
  check(now: Millis): void {
    for (const [socket, { since }] of this.#young)
      if (now >= after(since, GREETING_DEADLINE)) this.#drop(socket, 'front: too slow');
  }

  /** No more connections; those that are passed on end, sessions are the caller's to end before. */
  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    const remote = remoteOf(socket.remoteAddress, socket.remotePort);
    socket.on('error', () => socket.destroy());
    if (remote === undefined) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    this.#young.set(socket, { since: this.#options.host.now(), remote });
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#young.delete(socket);
    });
    if (this.#sockets.size > (this.#options.maxConnections ?? MAX_CONNECTIONS)) {
      this.#drop(socket, 'front: too many connections');
      return;
    }
    if (this.#young.size > MAX_YOUNG) {
      const oldest = this.#young.keys().next().value;
      if (oldest !== undefined) this.#drop(oldest, 'front: too many connections');
    }
    socket.once('data', (first: Buffer) => {
      socket.pause();
      socket.unshift(first);
      if (first[0] !== TLS_HANDSHAKE) {
        this.#request(socket, socket);
        return;
      }
      const name = nameOf(socket);
      this.#underTls.set(name, socket);
      socket.on('close', () => {
        if (this.#underTls.get(name) === socket) this.#underTls.delete(name);
      });
      this.#tls.emit('connection', socket);
    });
  }

  /** @param socket the connection without TLS; @param under the one that was accepted */
  #request(socket: Socket, under: Socket | undefined): void {
    const young = under && this.#young.get(under);
    socket.on('error', () => socket.destroy());
    if (under === undefined || young === undefined) {
      socket.destroy();
      return;
    }
    let got: Buffer = Buffer.alloc(0);
    const onData = (bytes: Buffer): void => {
      got = got.length === 0 ? bytes : Buffer.concat([got, bytes]);
      const request = frontRequest(got);
      if (request.type === 'more') return;
      const { remote } = young;
      socket.off('data', onData);
      socket.pause();
      this.#young.delete(under);
      if (request.type === 'answer') socket.end(request.text, () => socket.destroySoon());
      else if (request.type === 'other') this.#forward(socket, remote, under !== socket, got);
      else this.#derp(socket, remote, request.fastStart, got.subarray(request.headBytes));
    };
    socket.on('data', onData);
    socket.resume();
  }

  #derp(socket: Socket, remote: Endpoint, fastStart: boolean, head: Buffer): void {
    const { host } = this.#options;
    if (!fastStart)
      socket.write(switchingProtocols(Buffer.from(host.key.publicKey).toString('hex')));
    new Session(host, socket, formatEndpoint(remote), head);
  }

  #forward(socket: Socket, remote: Endpoint, tls: boolean, got: Buffer): void {
    const { others, forwarded, othersReachable, host } = this.#options;
    forwarded();
    forward({
      socket,
      path: others,
      origin: { tls, remote },
      first: got,
      connected: (reachable) => {
        if (!reachable) host.refused('front: nobody behind');
        othersReachable(reachable);
      },
    });
  }

  #drop(socket: Socket, reason: string): void {
    this.#options.host.refused(reason);
    socket.destroy();
  }
}

const pemOf = ({ certificate, key }: CertificateText): { cert: string; key: string } => ({
  cert: certificate,
  key,
});

/** Both ends of a connection. */
const nameOf = (socket: Socket): string =>
  [socket.remoteAddress, socket.remotePort, socket.localAddress, socket.localPort].join(' ');
