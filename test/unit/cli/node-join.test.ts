import t from 'tap';
import { qrText } from '../../../src/cli/qr.ts';
import { qrModules } from '../../../src/qr-modules.ts';
import { served } from '../node-api/fake-node.ts';
import { LOGIN_URL } from '../node-api/fake-status.ts';
import { postern, QR, start, turn } from './run-verb.ts';

t.test('up: a key from a file lets the machine in, and who it is is said', async (t) => {
  const place = await served(t);
  const folder = t.testdir({ key: 'pkey-abc-def\n', empty: ' \n' });
  const flags = `--auth-key file:${folder}/key --advertise-routes 192.168.8.0/24 --advertise-tags cam`;
  const ran = await postern(
    place,
    `up --login-server https://mesh.example/ ${flags} --accept-dns=false --snat-subnet-routes=true`,
  );
  t.same(ran, { code: 0, out: '', err: 'running as box.mesh.example (100.64.0.1, fd7a::1)\n' });
  t.same(place.node.asked, [
    {
      what: 'up',
      with: {
        loginServer: 'https://mesh.example',
        authKey: 'pkey-abc-def',
        advertiseRoutes: ['192.168.8.0/24'],
        advertiseTags: ['tag:cam'],
        acceptDns: false,
        snatSubnetRoutes: true,
      },
    },
  ]);
  for (const [file, text] of [
    ['none', /cannot read .*none: ENOENT/],
    ['empty', /is empty/],
  ] as const)
    t.match(await postern(place, `up --auth-key file:${folder}/${file}`), { code: 1, err: text });
  t.equal(place.node.asked.length, 1, 'nothing was changed');
});

t.test('up: the URL and its QR code are shown once, and the login is waited for', async (t) => {
  const { node, path } = await served(t);
  node.change({ BackendState: 'NeedsLogin' });
  const { said, ended } = start(['up', '--socket', path, '--qr']);
  while (node.watchers === 0) await turn();
  node.change({ AuthURL: LOGIN_URL });
  node.change({ BackendState: 'NeedsMachineAuth' });
  while (!said.err.includes('admin')) await turn();
  node.change({ BackendState: 'Running', AuthURL: '' });
  const { code, err, out } = await ended;
  t.equal(code, 0);
  t.equal(out, '');
  t.equal(
    err,
    `\nTo let this machine in, visit:\n\n\t${LOGIN_URL}\n\n${qrText(QR)}\n` +
      'this machine waits for an admin of the network to let it in\n' +
      'running as box.mesh.example (100.64.0.1, fd7a::1)\n',
  );
});

t.test('login: a new one is waited for, though the node runs by the old one', async (t) => {
  const { node, path } = await served(t);
  node.loginPending = true;
  const { said, ended } = start(['--socket', path, 'login', '--no-qr']);
  while (node.watchers === 0) await turn();
  node.change({ AuthURL: LOGIN_URL });
  while (!said.err.includes(LOGIN_URL)) await turn();
  t.notMatch(said.err, /running/);
  node.loginPending = false;
  node.change({ AuthURL: '' });
  t.match(await ended, { code: 0, err: /running as box/ });
  t.same(node.asked, [{ what: 'login', with: {} }]);
});

t.test('up: what will not come is exit 1, with the reason', async (t) => {
  const place = await served(t);
  const { node } = place;
  for (const [change, loginError, line, err] of [
    [
      { BackendState: 'NeedsLogin' },
      'this key is used up',
      'up',
      /login failed: this key is used up/,
    ],
    [{ BackendState: 'Stopped' }, '', 'up', /somebody has said: postern down/],
    [
      { BackendState: 'NeedsLogin', AuthURL: LOGIN_URL },
      '',
      'up --timeout 50ms',
      /not come true in 0.05 s; it waits for a login at https:/,
    ],
  ] as const) {
    node.change(change, loginError);
    t.match(await postern(place, line), { code: 1, err }, line);
  }
  const json = await postern(place, 'login --json --timeout 50ms');
  const [told = '', failed = ''] = json.out.split(/(?<=\n\})\n/);
  t.match(JSON.parse(told), { AuthURL: LOGIN_URL, BackendState: 'NeedsLogin' });
  t.match(JSON.parse(failed), { Error: /not come true/ });
});

t.test('risk: who came by SSH through the network is asked first', async (t) => {
  const place = await served(t);
  const before = process.env['SSH_CLIENT'];
  t.teardown(() => {
    if (before === undefined) delete process.env['SSH_CLIENT'];
    else process.env['SSH_CLIENT'] = before;
  });
  process.env['SSH_CLIENT'] = '100.64.0.2 5000 22';
  const asked: string[] = [];
  const answers = (answer: boolean) => async (question: string) => {
    asked.push(question);
    return answer;
  };
  t.match(await postern(place, 'down'), { code: 1, err: /--accept-risk=lose-ssh/ });
  await postern(place, 'down', { confirm: answers(false) });
  t.equal(place.node.current.BackendState, 'Running');
  t.match(asked, [/by SSH through this network \(100\.64\.0\.2\)/]);
  t.match(await postern(place, 'logout --accept-risk=lose-ssh'), { code: 0 });
  await postern(place, 'down', { confirm: answers(true) });
  t.equal(place.node.current.BackendState, 'Stopped');
  process.env['SSH_CLIENT'] = '198.51.100.7 5000 22';
  t.match(await postern(place, 'down'), { code: 0, err: /come back with: postern up/ });
});

t.test('QR: text and modules are the same picture', async (t) => {
  const modules = qrModules(LOGIN_URL);
  const lines = qrText(modules).trimEnd().split('\n');
  const isDark = (row: number, column: number): boolean => {
    const glyph = lines[row >> 1]?.[column] ?? '';
    return row % 2 === 0 ? ' ▄'.includes(glyph) : ' ▀'.includes(glyph);
  };
  const read = modules.map((row, y) => row.map((_, x) => isDark(y + 2, x + 2)));
  t.same(read, modules);
  t.ok(lines.length <= 20, 'a screen of 24 lines has place for it');
  t.match(lines[0], /^█+$/, 'a light border');
});
