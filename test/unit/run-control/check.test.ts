import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { ControlOptions } from '../../../src/cli/control.ts';
import { ownCertificate } from '../../../src/control/relay/own-certificate.ts';
import { control } from '../../../src/run-control.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-check-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);
const put = (name: string, text: string): string => {
  writeFileSync(at(name), text);
  return at(name);
};

const region = (id: number) => ({
  RegionID: id,
  RegionCode: 'x',
  RegionName: 'Elsewhere',
  Nodes: [{ Name: 'a', RegionID: id, HostName: 'derp.example.org' }],
});

type Flags = Record<string, readonly string[]>;

/** What is printed; nothing may be opened. */
async function checked(
  flags: Flags,
  config?: string,
  environment: Record<string, string> = {},
): Promise<string> {
  const options: ControlOptions = {
    flags: { state: [at('state')], url: ['http://192.168.1.2:8080'], ...flags },
    config,
    check: true,
    store: undefined,
    logLevel: undefined,
  };
  let text = '';
  const print = (more: string): void => {
    text += more;
  };
  await control(options, environment, print, () => {
    throw new Error('something was opened');
  });
  return text;
}

t.test('check: good settings are said as they will be, and nothing is made', async (t) => {
  const { certificate, key } = await ownCertificate(at('made'), ['mesh.example.org']);
  const tls = { 'tls-cert': [put('cert.pem', certificate)], 'tls-key': [put('key.pem', key)] };
  const map = put('map.json', JSON.stringify({ Regions: { 7: region(7) } }));
  const before = readdirSync(folder);
  const config = { stun: ['192.0.2.1:3478', '[2001:db8::1]:3478'], metrics: 'off' };
  const text = await checked(
    { ...tls, 'derp-map': [map] },
    put('control.json', JSON.stringify(config)),
    { POSTERN_CONTROL_SOCKET: '/run/there.sock' },
  );
  t.equal(
    text,
    `clients come to    http://192.168.1.2:8080
listens on         :: port 8080
STUN               192.0.2.1 port 3478, 2001:db8::1 port 3478
relays             7 Elsewhere, 900 Postern
certificate        ${at('cert.pem')}
state              ${at('state')}
socket             /run/there.sock
metrics            off
the settings are good
`,
  );
  t.match(await checked({}), /^certificate +its own, for the relay$/m);
  t.same(readdirSync(folder), [...before, 'control.json'].sort());
});

t.test('check: each thing that is wrong is an error that names it', async (t) => {
  const one = await ownCertificate(at('one'), ['a']);
  const other = await ownCertificate(at('other'), ['b']);
  const cert = put('one.pem', one.certificate);
  const key = put('one.key', one.key);
  const otherKey = put('other.key', other.key);
  const own = put('own.json', JSON.stringify({ Regions: { 900: region(900) } }));
  const broken = put('broken.json', '{');
  const rows: readonly (readonly [Flags, RegExp])[] = [
    [{ url: ['ftp://x'] }, /^--url: wanted http/],
    [{ listen: ['off'] }, /^--listen: wanted an address and a port, found 'off'$/],
    [{ stun: ['nowhere'] }, /^--stun: wanted an address.*found 'nowhere'$/],
    [{ 'tls-cert': [cert] }, /^--tls-cert: a certificate and its key go together/],
    [{ 'tls-cert': [cert], 'tls-key': [at('absent')] }, /one\.pem and key .*absent: ENOENT/],
    [{ 'tls-cert': [cert], 'tls-key': [otherKey] }, /: the key is not the certificate's$/],
    [{ 'tls-cert': [key], 'tls-key': [key] }, /: expected PEM, found what OpenSSL calls/],
    [{ 'derp-map': [at('absent.json')] }, /^.*absent\.json: ENOENT/],
    [{ 'derp-map': [broken, at('absent')] }, /broken\.json: .*\npostern: .*absent: ENOENT/],
    [{ 'derp-map': [own] }, /^control: two relay maps have a region 900$/],
    [{ relay: ['off'] }, /^control: there is no relay/],
    [{ metrics: ['0.0.0.0:9580'] }, /^--metrics: wanted an address of loopback/],
  ];
  for (const [flags, message] of rows)
    await t.rejects(checked(flags), { name: 'ConfigError', message }, JSON.stringify(flags));
  await t.rejects(checked({}, at('absent.json')), {
    name: 'ConfigError',
    message: /^cannot read .*absent\.json: ENOENT/,
  });
  await t.rejects(checked({}, put('wrong.json', '{ "listn": [] }')), {
    message: /wrong\.json: 'listn' is no setting/,
  });
  t.notOk(readdirSync(folder).includes('state'));
});
