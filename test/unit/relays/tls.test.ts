import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Test } from 'tap';
import t from 'tap';
import { formatIp } from '../../../src/base/ip.ts';
import { unixMillis } from '../../../src/base/time.ts';
import { makeCertificate } from '../../../src/control/relay/own-certificate.ts';
import { checkPin } from '../../../src/node/relays/certificate.ts';
import { race } from '../../../src/node/relays/race.ts';
import type { RelayDialPorts } from '../../../src/node/relays/tls.ts';
import { dialRelay } from '../../../src/node/relays/tls.ts';
import type { DERPNode } from '../../../src/protocol/tailcfg/types.ts';
import { must } from '../../must.ts';

const { certificate, key } = await makeCertificate(['relay.test', '127.0.0.1']);
const shown = new X509Certificate(certificate);
const PIN = `sha256-raw:${createHash('sha256').update(shown.raw).digest('hex')}`;
const LOCAL = Uint8Array.of(127, 0, 0, 1);

async function listening(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as { port: number }).port;
}

async function served(t: Test, options: object = {}): Promise<number> {
  const server = createTlsServer(
    { cert: certificate, key, honorCipherOrder: false, ...options },
    (socket) => {
      socket.on('error', () => {});
      socket.pipe(socket);
    },
  );
  server.on('tlsClientError', () => {});
  return listening(t, server);
}

/** Of what was dialled, and how. */
function ports(): RelayDialPorts & { readonly dialled: string[]; readonly asked: string[] } {
  const dialled: string[] = [];
  const asked: string[] = [];
  return {
    dialled,
    asked,
    connect: async (address, port) => {
      dialled.push(formatIp(address));
      const socket = connect(port, formatIp(address));
      await once(socket, 'connect');
      return socket;
    },
    resolve: async (host) => {
      asked.push(host);
      return [LOCAL];
    },
  };
}

const nodeAt = (DERPPort: number, more: Partial<DERPNode> = {}): DERPNode => ({
  Name: '1a',
  RegionID: 1,
  HostName: 'relay.test',
  IPv4: '127.0.0.1',
  IPv6: 'none',
  DERPPort,
  ...more,
});

t.test('tls: a pinned certificate needs no authority, and data flows', async (t) => {
  const port = await served(t);
  const socket = await dialRelay(nodeAt(port, { CertName: PIN }), ports());
  t.teardown(() => socket.destroy());
  t.equal(socket.getProtocol(), 'TLSv1.3');
  t.equal(socket.getCipher().name, 'TLS_AES_128_GCM_SHA256');
  socket.write('echo');
  t.equal(String((await once(socket, 'data'))[0]), 'echo');
});

t.test('tls: another certificate is refused with words that say what to do', async (t) => {
  const port = await served(t);
  const dial = (more: Partial<DERPNode>) => dialRelay(nodeAt(port, more), ports());
  const other = `sha256-raw:${'ab'.repeat(32)}`;
  for (const [more, message] of [
    [{ CertName: other }, /shows certificate sha256 .* and the map names abab/],
    [{ CertName: 'sha256-raw:xyz' }, /no sha256-raw: with 64/],
    [{}, /self-signed: let the map pin it/],
    [{ HostName: '127.0.0.1' }, /self-signed/],
    [{ DERPPort: 99_999 }, /no port/],
    [{ IPv4: 'none' }, /no address/],
  ] as const)
    await t.rejects(dial(more), { name: 'ConfigError', message });
  const any = await dial({ InsecureForTests: true });
  any.destroy();
  t.ok(any.encrypted, 'for tests any will do');
});

t.test('tls: what is no TLS, too old or closed is told as such', async (t) => {
  const old = await served(t, { maxVersion: 'TLSv1.2' });
  await t.rejects(dialRelay(nodeAt(old, { CertName: PIN }), ports()), {
    name: 'NetError',
    message: /TLS failed/,
  });
  const plain = await listening(
    t,
    createServer((socket: Socket) => socket.on('error', () => {}).end('no TLS here\r\n')),
  );
  await t.rejects(dialRelay(nodeAt(plain, { CertName: PIN }), ports()), { name: 'NetError' });
});

t.test(
  'tls: literals are dialled without asking for the name, else the name is asked',
  async (t) => {
    const port = await served(t);
    for (const [more, asked] of [
      [{}, []],
      [{ IPv4: '' }, ['relay.test']],
      [{ IPv4: '', HostName: '127.0.0.1' }, []],
    ] as const) {
      const used = ports();
      const socket = await dialRelay(nodeAt(port, { CertName: PIN, ...more }), used);
      socket.destroy();
      t.same(used.dialled, ['127.0.0.1']);
      t.same(used.asked, asked);
    }
  },
);

t.test('tls: the time of a pinned certificate counts where the clock is believed', async (t) => {
  const sha256 = createHash('sha256').update(shown.raw).digest();
  const judge = (wall: number | undefined): void =>
    checkPin(shown, sha256, 'relay.test', wall === undefined ? undefined : unixMillis(wall));
  t.throws(() => judge(0), /valid from .* correct the clock/);
  t.throws(() => judge(shown.validToDate.getTime() + 1), /valid until .* renew it/);
  t.doesNotThrow(() => judge(shown.validToDate.getTime()));
  t.doesNotThrow(() => judge(undefined));
  const port = await served(t);
  const node = nodeAt(port, { CertName: PIN });
  await t.rejects(dialRelay(node, { ...ports(), wallClock: () => unixMillis(0) }), /valid from/);
  const unsure = await dialRelay(node, { ...ports(), wallClock: () => undefined });
  unsure.destroy();
});

t.test('race: a dead first address costs 200 ms, a refused one nothing', async (t) => {
  const port = await listening(
    t,
    createServer((socket) => socket.on('error', () => {}).resume()),
  );
  const good = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  };
  const signals: AbortSignal[] = [];
  const timed = async (first: () => Promise<Socket>): Promise<number> => {
    const since = performance.now();
    const connects = [first, good];
    const socket = await race(
      [LOCAL, LOCAL],
      (_, signal) => {
        signals.push(signal);
        return must(connects.shift())();
      },
      new AbortController().signal,
    );
    socket.destroy();
    return performance.now() - since;
  };
  const dead = await timed(() => new Promise(() => {}));
  t.ok(dead >= 195 && dead < 600, `${dead} ms`);
  t.ok(must(signals[0]).aborted, 'the loser is told to end');
  const refused = await timed(() => Promise.reject(new Error('refused')));
  t.ok(refused < 150, `${refused} ms`);
  const none = race(
    [LOCAL],
    () => Promise.reject(new Error('its words')),
    AbortSignal.timeout(900),
  );
  await t.rejects(none, { message: 'its words' });
  const given = race([LOCAL], () => new Promise(() => {}), AbortSignal.timeout(50));
  await t.rejects(given, { name: 'TimeoutError' });
});
