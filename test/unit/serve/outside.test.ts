import t from 'tap';
import { refuseApproval } from '../../../src/control/registry/approvals.ts';
import { approve } from '../../../src/control/registry/enroll.ts';
import { must } from '../../must.ts';
import { ask } from './client.ts';
import { register, World } from './world.ts';

const get = (path: string, method = 'GET', more = ''): string =>
  `${method} ${path} HTTP/1.1\nHost: control\n${more}\n`;
const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\nHost: control\nContent-Length: ${body.length}\n\n${body}`;
const status = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);

t.test('outside: each route has its answer, and everything else a status of its own', async (t) => {
  const world = await World.open(t, 11);
  const rows: readonly [request: string, wanted: number, has?: RegExp][] = [
    [get('/key?v=142'), 200, /"publicKey":"mkey:[0-9a-f]{64}","legacyPublicKey":"mkey:0{64}"/],
    [get('/key'), 200, /mkey:/],
    [get('/key', 'HEAD'), 200, /\r\n\r\n$/],
    [get('/key', 'POST'), 405, /Allow: GET, HEAD/],
    [get('/generate_204', 'GET', 'X-Tailscale-Challenge: ts_10.0.0.1\n'), 204, /response ts_10\.0/],
    [get('/generate_204', 'GET', 'X-Tailscale-Challenge: <b>\n'), 204],
    [get('/bootstrap-dns?q=x'), 200, /\{\}$/],
    [get('/health'), 200, /ok\n$/],
    [get('/machine/ping-response?id=7', 'HEAD'), 200],
    [get('/ts2021'), 426],
    [get('/ts2021', 'GET', 'Connection: upgrade\nUpgrade: websocket\n'), 501],
    [get('/ts2021', 'GET', 'Connection: upgrade\nUpgrade: tailscale-control-protocol\n'), 405],
    [get('/key', 'GET', 'Connection: upgrade\nUpgrade: h2c\n'), 200],
    [get('/'), 404],
    [get('/machine/map', 'POST'), 404],
    [get('/register/short'), 404],
    [get('http://elsewhere/key'), 400],
    [get('//['), 400],
    ['nonsense\n\n', 400],
    [`GET / HTTP/1.1\nHost: x\nX: ${'x'.repeat(20_000)}\n\n`, 431],
  ];
  for (const [request, wanted, has = /^/] of rows) {
    const answer = await ask(world.port, request);
    const name = request.slice(0, request.indexOf('\n')).slice(0, 60);
    t.equal(status(answer), wanted, name);
    t.match(answer, has, name);
    if (wanted < 400) continue;
    t.notMatch(answer, /\bat .*\.ts|node:|Error:/, `${name}: nothing of our insides`);
  }
  t.same(world.probes, ['7 undefined']);
  world.health = [{ code: 'disk', severity: 'error', text: 'full', remedy: 'delete' }];
  const ill = await ask(world.port, get('/health'));
  t.equal(status(ill), 503, 'ill');
  t.notMatch(ill, /full/, 'and not why');
});

t.test('verify: a relay may admit members whose keys are good, and nobody else', async (t) => {
  const world = await World.open(t, 12);
  await world.user('alice');
  const { keys } = await world.join('pca', await world.authKey());
  const allowed = async (key: string): Promise<string> =>
    (await ask(world.port, post('/verify', JSON.stringify({ NodePublic: key, Source: '::1' }))))
      .split('\r\n\r\n')
      .at(-1) ?? '';
  t.equal(await allowed(keys.node), '{"Allow":true}');
  t.equal(await allowed(`nodekey:${'ab'.repeat(32)}`), '{"Allow":false}');
  world.later(181 * 24 * 3600);
  t.equal(await allowed(keys.node), '{"Allow":false}', 'its key has run out');
  t.equal(status(await ask(world.port, post('/verify', '{"NodePublic":1}'))), 400);
  t.equal(status(await ask(world.port, post('/verify', '{'))), 400);
  t.equal(status(await ask(world.port, post('/verify', 'x'.repeat(5000)))), 413);
});

t.test('login page: says who asks and how to let it in, as text, for one that waits', async (t) => {
  const world = await World.open(t, 13);
  await world.user('alice');
  const machine = await world.shake();
  const hostname = `<script>alert(1)</script>\u202e&"'`;
  const { text } = await machine.post('/machine/register', register(machine, { hostname }));
  const { AuthURL } = JSON.parse(text) as { AuthURL: string };
  const id = must(/^http:\/\/192\.0\.2\.1:8080\/register\/([0-9a-f]{32})$/.exec(AuthURL)?.[1]);
  const page = await ask(world.port, get(`/register/${id}`));
  t.equal(status(page), 200);
  t.match(page, `postern nodes approve ${id} --user NAME`);
  t.match(page, '&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;');
  t.notMatch(page, /<script|\u202e|\xe2\x80\xae/);
  t.match(page, /Content-Security-Policy: default-src 'none'; style-src 'sha256-[\w+/=]+';/);
  t.match(page, '192.0.2.7:51820');

  await world.change((model, context) => refuseApproval(model, { approval: id }, context));
  t.equal(status(await ask(world.port, get(`/register/${id}`))), 403, 'refused');
  const again = await machine.post('/machine/register', register(machine, {}));
  const other = must(/([0-9a-f]{32})"/.exec(again.text)?.[1]);
  const user = must(world.coordinator.network.model.users.get(1));
  await world.change((model, context) =>
    approve(model, { approval: other, owner: { user: user.id, tags: [] } }, context),
  );
  t.equal(status(await ask(world.port, get(`/register/${other}`))), 404, 'approved');
  t.equal(status(await ask(world.port, get(`/register/${'0'.repeat(32)}`))), 404, 'never was');
});
