import t from 'tap';
import { parseEndpoint } from '../../../src/base/endpoint.ts';
import { DeniedError } from '../../../src/base/errors.ts';
import { approve } from '../../../src/control/registry/enroll.ts';
import { deleteNode } from '../../../src/control/registry/nodes.ts';
import { must } from '../../must.ts';
import { Board, joined, Network } from './stand.ts';

t.test(
  'join: two boards with an auth key see each other, and one that leaves is gone',
  async (t) => {
    const network = await Network.open(t);
    const authKey = await network.authKey(await network.user('alice'));
    const one = await joined(t, network, authKey, { seed: 101, hostname: 'one' });
    const two = await joined(t, network, authKey, { seed: 102, hostname: 'two' });
    const { time } = network;
    await time.until('one sees two', () => one.session.netmap.peers.size === 1);
    t.match(must(one.session.netmap.self), { Name: 'one.mesh.internal.', ID: 1 });
    t.match([...one.session.netmap.peers.values()], [{ Name: 'two.mesh.internal.', ID: 2 }]);
    t.equal(one.session.state, 'Running');
    t.same(one.states, ['NeedsLogin', 'Starting', 'Running']);
    t.ok(one.session.netmap.filters, 'a filter came with the map');
    t.equal(one.session.netmap.derpMap?.Regions['900']?.RegionCode, 'own');
    t.same([...one.session.counters], [], 'nothing was at fault');

    const endpoint = must(parseEndpoint('192.0.2.9:41641'));
    two.session.setEndpoints([{ endpoint, kind: 2 }]);
    two.session.setNetInfo({ WorkingUDP: true, PreferredDERP: 900 });
    const seen = (): unknown => one.session.netmap.peers.get(2);
    await time.until('endpoint and relay', () => JSON.stringify(seen()).includes('"HomeDERP":900'));
    t.match(seen(), { Endpoints: ['192.0.2.9:41641'], HomeDERP: 900 });

    await two.session.edit({ advertiseRoutes: ['10.1.0.0/16'], hostname: 'cam' });
    await time.until(
      'routes',
      () => network.coordinator.network.model.nodes.get(2)?.announced.length === 1,
    );
    await two.session.logout();
    await time.until(
      'two is gone',
      () =>
        one.session.netmap.peers.get(2)?.Expired !== undefined ||
        one.session.netmap.peers.size === 0,
    );
    t.equal(two.session.state, 'NeedsLogin');
    t.equal(two.session.nodeKey, undefined);
    t.equal(two.session.prefs.loggedOut, true);
  },
);

t.test('join: without a key a person is asked, and what he allows is so at once', async (t) => {
  const network = await Network.open(t);
  const alice = await network.user('alice');
  const board = new Board(t, network.time);
  await board.session.start();
  await board.session.edit({ controlUrl: network.url });
  const login = board.session.login();
  await network.time.until('a URL', () => board.session.authUrl !== undefined);
  await login;
  const url = must(board.session.authUrl);
  t.match(url, /^http:\/\/127\.0\.0\.1:\d+\/register\/[0-9a-f]{32}$/);
  t.equal(board.session.state, 'NeedsLogin');
  t.match(board.item('login-needed')?.text, url);

  network.cut();
  await network.time.pass(40_000, 400);
  t.equal(board.session.authUrl, url, 'the URL that a person has open stays good');

  const approval = must(url.split('/').at(-1));
  await network.change((model, context) =>
    approve(model, { approval, owner: { user: alice.id, tags: [] } }, context),
  );
  await network.time.until('running', () => board.session.connected);
  t.equal(board.session.state, 'Running');
  t.equal(board.session.authUrl, undefined);
  t.equal(board.item('login-needed'), undefined);
});

t.test(
  'join: the server’s refusal is said in its own words, and nothing is tried in haste',
  async (t) => {
    const network = await Network.open(t);
    await network.user('alice');
    const board = new Board(t, network.time);
    await board.session.start();
    await board.session.edit({ controlUrl: network.url });
    const login = board.session.login({ authKey: 'no-such-key' }).catch((error: Error) => error);
    await network.time.until('refused', () => board.session.loginError !== undefined);
    const error = await login;
    t.ok(error instanceof DeniedError);
    t.equal(board.session.loginError, 'this auth key is not known');
    t.equal(board.item('login-refused')?.text, 'this auth key is not known');
    const { dials } = board;
    await network.time.pass(120_000, 120);
    t.ok(board.dials - dials <= 1, `${board.dials - dials} more connections in two minutes`);
  },
);

t.test('join: a deleted node learns it, needs a login, and is another node then', async (t) => {
  const network = await Network.open(t);
  const authKey = await network.authKey(await network.user('alice'));
  const board = await joined(t, network, authKey);
  await network.change((model, context) => deleteNode(model, { node: 1 }, context));
  await network.time.until('needs login', () => board.session.state === 'NeedsLogin');
  const login = board.session.login({ authKey });
  await network.time.until(
    'running',
    () => board.session.state === 'Running' && board.session.connected,
  );
  await login;
  t.equal(board.session.netmap.self?.ID, 2);
});

t.test(
  'a forced login has another key, the same node, and says so to who carries it',
  async (t) => {
    const network = await Network.open(t);
    const authKey = await network.authKey(await network.user('alice'));
    const board = await joined(t, network, authKey);
    const keys: string[] = [];
    board.session.onKey((key) => keys.push(Buffer.from(key.expose()).toString('hex')));
    const before = must(board.session.netmap.self);
    const login = board.session.login({ authKey, force: true });
    await network.time.until('another key', () => board.session.netmap.self?.Key !== before.Key);
    await login;
    t.equal(keys.length, 1);
    t.equal(keys[0], Buffer.from(must(board.session.nodeKey).expose()).toString('hex'));
    const { ID, Addresses } = must(board.session.netmap.self);
    t.same([ID, Addresses], [before.ID, before.Addresses]);
  },
);

t.test('LAN devices: the server gives addresses, which stay, or says why not', async (t) => {
  const network = await Network.open(t);
  const authKey = await network.authKey(await network.user('alice'));
  const board = await joined(t, network, authKey);
  const device = { id: 'a1', kind: 'lan', name: 'cam', sshPort: 22, mode: 'route' } as const;
  const first = await network.time
    .until('soon', () => true)
    .then(() => board.session.setLanDevices([device]));
  t.match(first, [{ id: 'a1', name: 'cam.mesh.internal' }]);
  t.same(await board.session.setLanDevices([device]), first);
  await network.time.until('in the map', () =>
    must(board.session.netmap.self?.AllowedIPs).includes(`${first[0]?.ip4}/32`),
  );
  await t.rejects(board.session.setLanDevices([{ ...device, sshPort: 0 }]), DeniedError);
});
