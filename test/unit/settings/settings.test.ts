import t from 'tap';
import { parseControlUrl, staysPlain } from '../../../src/control/settings/control-url.ts';
import type { SettingsSources, Texts } from '../../../src/control/settings/settings.ts';
import { readSettings } from '../../../src/control/settings/settings.ts';

const URL_FLAG = { url: ['http://192.0.2.1:8080'] };

const read = (flags: Texts, environment: SettingsSources['environment'] = {}, file?: unknown) =>
  readSettings({
    flags,
    environment,
    file: file === undefined ? undefined : { path: 'control.json', text: JSON.stringify(file) },
  });

t.test(
  'settings: a flag wins over the environment, that over the file, that over the default',
  async (t) => {
    const environment = { POSTERN_CONTROL_STUN: '192.0.2.2:1 [2001:db8::2]:2' };
    const file = { stun: ['192.0.2.3:1'], url: 'http://10.0.0.1:80' };
    const stun = (flags: Texts, env: SettingsSources['environment'], more?: unknown) =>
      read({ ...URL_FLAG, ...flags }, env, more).stun;
    t.same(stun({ stun: ['192.0.2.1:1'] }, environment, file), [{ host: '192.0.2.1', port: 1 }]);
    t.same(stun({}, environment, file), [
      { host: '192.0.2.2', port: 1 },
      { host: '2001:db8::2', port: 2 },
    ]);
    t.same(stun({}, {}, file), [{ host: '192.0.2.3', port: 1 }]);
    t.same(stun({}, {}), [{ host: '::', port: 3478 }]);
    t.same(stun({ stun: ['off'] }, {}), []);
  },
);

t.test('settings: what is not said follows from the URL, or is as documented', async (t) => {
  t.match(read({ url: ['https://mesh.example.org'] }), {
    url: { text: 'https://mesh.example.org', secure: true, host: 'mesh.example.org', port: 443 },
    listen: [{ host: '::', port: 443 }],
    stateFolder: '/var/lib/postern',
    socket: '/run/postern/control.sock',
    relay: true,
    metrics: { host: '127.0.0.1', port: 9580 },
    ephemeralMillis: 300_000,
  });
  t.equal(read(URL_FLAG, { POSTERN_STATE: '/data' }).stateFolder, '/data');
});

t.test('settings: a fault names its place, what was wanted and what was found', async (t) => {
  const rows: readonly (readonly [Texts, SettingsSources['environment'], unknown, RegExp])[] = [
    [{}, {}, undefined, /^control: clients must know .* --url/],
    [{ url: ['ftp://x'] }, {}, undefined, /^--url: wanted http.*, found 'ftp:\/\/x'$/],
    [{ url: ['http://x/mesh'] }, {}, undefined, /^--url: .*path.*, found 'http:\/\/x\/mesh'$/],
    [{ ...URL_FLAG, listen: ['8080'] }, {}, undefined, /^--listen: wanted an address.*'8080'$/],
    [URL_FLAG, { POSTERN_CONTROL_LISTEN: 'x:1' }, undefined, /^POSTERN_CONTROL_LISTEN: .*'x:1'$/],
    [URL_FLAG, {}, { listen: 8080 }, /^control\.json: listen: wanted a list of texts$/],
    [URL_FLAG, {}, { listn: [] }, /^control\.json: 'listn' is no setting; they are listen, /],
    [URL_FLAG, {}, [], /^control\.json: wanted an object$/],
    [{ ...URL_FLAG, 'tls-key': ['k'] }, {}, undefined, /^--tls-key: .* go together/],
    [{ ...URL_FLAG, metrics: ['0.0.0.0:9580'] }, {}, undefined, /^--metrics: .*loopback.*'0\.0/],
    [{ ...URL_FLAG, 'ephemeral-after': ['5'] }, {}, undefined, /^--ephemeral-after: .*'5'$/],
    [URL_FLAG, { POSTERN_CONTROL_RELAY: 'no' }, undefined, /^POSTERN_CONTROL_RELAY: .*'no'$/],
    [URL_FLAG, {}, { lanOwners: { cam: ['alice@'] } }, /lanOwners: wanted .*, found 'cam'$/],
    [URL_FLAG, {}, { logins: { alice: 'alice' } }, /logins: wanted .*, found 'alice'$/],
  ];
  for (const [flags, environment, file, message] of rows)
    t.throws(() => read(flags, environment, file), { name: 'ConfigError', message });
  t.throws(
    () => readSettings({ flags: URL_FLAG, environment: {}, file: { path: 'f', text: '{' } }),
    { name: 'ConfigError', message: /^f: wanted JSON/ },
  );
});

t.test('settings: stock clients stay on plain HTTP at private literals alone', async (t) => {
  const plain = (text: string): boolean | undefined => {
    const url = parseControlUrl(text);
    return typeof url === 'string' ? undefined : staysPlain(url);
  };
  for (const host of [
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.2:8080',
    '127.0.0.1',
    'localhost',
    '[fd00::1]',
    '[::1]',
  ])
    t.equal(plain(`http://${host}`), true, host);
  for (const host of [
    '172.32.0.1',
    '100.64.0.1',
    '8.8.8.8',
    'pi.local',
    '[2001:db8::1]',
    '[fe80::1]',
  ])
    t.equal(plain(`http://${host}`), false, host);
});
