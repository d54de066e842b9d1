import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { x25519 } from '@noble/curves/ed25519.js';
import t from 'tap';
import { toBase64 } from '../../src/base/bytes.ts';
import { ConfigError, NetError } from '../../src/base/errors.ts';
import { unixMillis } from '../../src/base/time.ts';
import { must } from '../must.ts';
import { seeded } from '../seeded.ts';
import { FakeInterface } from '../unit/uapi/fake-interface.ts';
import { opened, publicKeyOf } from '../unit/uapi/uapi-under-test.ts';

const run = promisify(execFile);

t.test('wg: set, show, setconf and syncconf work on the socket', async (t) => {
  const target = new FakeInterface();
  const { name } = await opened(t, target);
  const wg = async (...args: string[]): Promise<string> => (await run('wg', args)).stdout.trim();
  const dir = t.testdir({});
  const [key, psk] = [await wg('genkey'), await wg('genpsk')];
  const peer = toBase64(x25519.getPublicKey(seeded(1).bytes(32)));
  const other = toBase64(x25519.getPublicKey(seeded(2).bytes(32)));
  writeFileSync(`${dir}/key`, key);
  writeFileSync(`${dir}/psk`, psk);

  await run('wg', `set ${name} private-key ${dir}/key listen-port 7777 fwmark 0x10`.split(' '));
  t.equal(await wg('show', name, 'private-key'), key);
  t.equal(await wg('show', name, 'listen-port'), '7777');
  t.equal(await wg('show', name, 'fwmark'), '0x10');
  await run('wg', [
    ...`set ${name} peer ${peer} preshared-key ${dir}/psk endpoint [fe80::1%lo]:99`.split(' '),
    ...'persistent-keepalive 25 allowed-ips 10.0.0.0/8,fd00::/8'.split(' '),
  ]);
  t.equal(await wg('show', name, 'preshared-keys'), `${peer}\t${psk}`);
  t.equal(await wg('show', name, 'endpoints'), `${peer}\t[fe80::1%lo]:99`);
  t.equal(await wg('show', name, 'allowed-ips'), `${peer}\t10.0.0.0/8 fd00::/8`);
  t.equal(await wg('show', name, 'persistent-keepalive'), `${peer}\t25`);

  const status = must([...target.peers.values()][0]);
  status.lastHandshake = unixMillis(1_700_000_000_789);
  status.bytesReceived = 2 ** 40 + 1;
  status.bytesSent = 3;
  t.equal(await wg('show', name, 'latest-handshakes'), `${peer}\t1700000000`);
  t.equal(await wg('show', name, 'transfer'), `${peer}\t${2 ** 40 + 1}\t3`);
  t.match(await wg('show', 'interfaces'), new RegExp(`\\b${name}\\b`));

  const conf = `[Interface]\nPrivateKey = ${key}\nListenPort = 8888\n[Peer]\nPublicKey = ${other}\nAllowedIPs = 192.0.2.0/24\n`;
  writeFileSync(`${dir}/wg.conf`, conf);
  await run('wg', ['syncconf', name, `${dir}/wg.conf`]);
  t.equal(await wg('show', name, 'peers'), other, 'syncconf took the first peer away');
  await run('wg', ['set', name, 'peer', other, 'remove']);
  t.equal(await wg('show', name, 'peers'), '');
  await run('wg', ['setconf', name, `${dir}/wg.conf`]);
  await run('wg', ['addconf', name, `${dir}/wg.conf`]);
  t.equal(await wg('show', name, 'allowed-ips'), `${other}\t192.0.2.0/24`);
  t.equal(
    (await wg('showconf', name)).replaceAll(/\s+/g, ' '),
    conf
      .replace(/(Listen.*)\n(.*)(?=\n\[)/, '$1')
      .replaceAll(/\s+/g, ' ')
      .trim()
      .replace(`PrivateKey = ${key} ListenPort = 8888`, `ListenPort = 8888 PrivateKey = ${key}`),
  );
  const self = toBase64(publicKeyOf(must(target.privateKey)));
  await run('wg', ['set', name, 'peer', self]);
  t.equal(await wg('show', name, 'peers'), other, 'the interface is no peer of itself');
  await run('wg', ['set', name, 'private-key', '/dev/null']);
  t.equal(target.privateKey, null);
});

t.test('wg: an error reaches the person as errno text', async (t) => {
  const target = new FakeInterface();
  target.configure = () => {
    throw Object.assign(new NetError('port taken'), { code: 'EADDRINUSE' });
  };
  const { name } = await opened(t, target);
  await t.rejects(run('wg', ['set', name, 'listen-port', '1']), /Address already in use/);
  target.configure = () => {
    throw new ConfigError('no');
  };
  await t.rejects(run('wg', ['set', name, 'listen-port', '1']), /Invalid argument/);
});

t.test('wg: 10,000 peers with all they can have are set and shown', async (t) => {
  const target = new FakeInterface();
  // Moving allowed IPs between so many peers is the tunnel's work, which has a table for it.
  target.configure = ({ peers }) => {
    for (const { publicKey, presharedKey = null, endpoint, allowedIps } of peers)
      target.peers.set(toBase64(publicKey), {
        ...{ publicKey, presharedKey, endpoint, persistentKeepaliveSeconds: 60_000 },
        ...{ lastHandshake: unixMillis(0), bytesReceived: 0, bytesSent: 0 },
        allowedIps: allowedIps.map(({ prefix }) => prefix),
      });
  };
  const { name } = await opened(t, target);
  const random = seeded(3);
  const peers = Array.from(
    { length: 10_000 },
    (_, i) =>
      `[Peer]\nPublicKey=${toBase64(random.bytes(32))}\nPresharedKey=${toBase64(random.bytes(32))}\nEndpoint=[fd00:1234:5678:9abc:def0:1234:5678:9abc]:51820\nPersistentKeepalive=60000\nAllowedIPs=10.${i >> 8}.${i & 255}.1/32,fd00:1234:5678:9abc:def0:1234:5678:${(i + 0x1000).toString(16)}/128\n`,
  );
  const dir = t.testdir({ 'wg.conf': peers.join('') });
  await run('wg', ['setconf', name, `${dir}/wg.conf`]);
  const { stdout } = await run('wg', ['show', name, 'allowed-ips'], { maxBuffer: 1e7 });
  t.equal(stdout.trim().split('\n').length, 10_000);
  t.equal(stdout.match(/\/(32|128)\b/g)?.length, 20_000);
});
