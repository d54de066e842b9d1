import t from 'tap';
import { DeniedError } from '../../../src/base/errors.ts';
import { must } from '../../must.ts';
import { member, ScriptedServer, selfNode } from './scripted.ts';
import { scriptedBoard, scriptedMember } from './scripted-board.ts';
import { Board } from './stand.ts';

const DAY = 86_400_000;

t.test(
  'register: a key that the server calls expired is changed once, and then it is an error',
  async (t) => {
    const { time, server, board } = await scriptedBoard(t);
    const expired = (): object => ({
      body: member({ NodeKeyExpired: true, MachineAuthorized: false }),
    });
    let answers = 1;
    server.register = () => (answers-- > 0 ? expired() : { body: member() });
    const login = board.session.login({ authKey: 'k' });
    await time.until('connected', () => board.session.connected);
    await login;
    const [first, second] = server.bodies('/machine/register');
    t.not(second?.['NodeKey'], first?.['NodeKey']);
    t.equal(second?.['OldNodeKey'], first?.['NodeKey']);
    t.same(second?.['Auth'], { AuthKey: 'k' });
    server.register = expired;
    const again = board.session.login({ authKey: 'k' }).catch((error: Error) => error);
    await time.until('refused', () => board.session.loginError !== undefined);
    t.ok((await again) instanceof DeniedError);
  },
);

t.test('register: 429 is waited for as the server says', async (t) => {
  const { time, server, board } = await scriptedBoard(t);
  let answers = 1;
  server.register = () =>
    answers-- > 0
      ? { status: 429, headers: { 'retry-after': '90' }, body: { Error: 'later' } }
      : { body: member() };
  const login = board.session.login({ authKey: 'k' });
  await time.until('asked', () => server.bodies('/machine/register').length === 1);
  await time.pass(89_000);
  t.equal(server.bodies('/machine/register').length, 1);
  await time.pass(2000);
  await time.until('connected', () => board.session.connected);
  await login;
  t.equal(server.bodies('/machine/register').length, 2);
});

t.test(
  'rotation: at its age a key is changed, and the stream goes on with the new one',
  async (t) => {
    const { time, server, board } = await scriptedMember(t);
    const keys: number[] = [];
    board.session.onKey(() => keys.push(1));
    const before = server.bodies('/machine/register').length;
    t.equal(board.session.keyRotates, must(board.session.keyCreated) + 90 * DAY);
    server.first = (body) => [
      {
        Node: selfNode(String(body['NodeKey'])),
        ControlTime: new Date(1_800_000_000_000 + time.clock.now()).toISOString(),
      },
    ];
    await board.session.edit({ keyRotationSeconds: 3600 });
    await time.pass(3_590_000, 3590);
    t.equal(server.bodies('/machine/register').length, before, 'not before its time');
    await time.pass(20_000, 100);
    await time.until('rotated', () => board.session.connected && keys.length === 1);
    const rotation = must(server.bodies('/machine/register').at(-1));
    t.equal(rotation['Auth'], undefined);
    t.equal(rotation['OldNodeKey'], server.bodies('/machine/register').at(-2)?.['NodeKey']);
    t.equal(board.session.netmap.self?.Key, rotation['NodeKey']);
    t.equal(board.session.state, 'Running');
    t.ok(
      board.states.every((state, i) => i < 2 || state === 'Running'),
      `${board.states}`,
    );

    await board.session.edit({ keyRotationSeconds: 0 });
    server.register = () => ({
      body: member({ AuthURL: 'http://x/register/1', MachineAuthorized: false }),
    });
    const asked = board.session.rotateKey().catch((error: Error) => error);
    await time.until('back', () => board.item('key-rotation') !== undefined);
    t.ok((await asked) instanceof DeniedError, 'a server that wants a person for it');
    await time.until('connected', () => board.session.connected);
    t.equal(keys.length, 1, 'the key stays');
    t.equal(board.session.authUrl, undefined);
  },
);

t.test(
  'rotation: a power cut between the server’s yes and ours ends with the new key',
  async (t) => {
    const { time, server, board } = await scriptedMember(t);
    server.register = () => undefined;
    const never = board.session.rotateKey();
    never.catch(() => {});
    await time.until('offered', () => server.bodies('/machine/register').length === 2);
    const offered = must(server.bodies('/machine/register').at(-1))['NodeKey'];
    await board.session.close();
    server.register = () => ({ body: member() });
    const again = new Board(t, time, { folder: board.folder, seed: 200 });
    await again.session.start();
    await time.until('connected', () => again.session.connected);
    t.equal(again.session.netmap.self?.Key, offered);
  },
);

t.test(
  'expiry: said 14 and 2 days ahead, over 10 s after it, and taken back when it is extended',
  async (t) => {
    const { time, server, board } = await scriptedMember(t);
    const expiry = 1_800_000_000_000 + 20 * DAY;
    const extend = (instant: number): void =>
      server.say({
        Node: selfNode(must(board.session.netmap.self).Key, {
          KeyExpiry: new Date(instant).toISOString(),
        }),
        ControlTime: new Date(1_800_000_000_000 + time.clock.now()).toISOString(),
      });
    extend(expiry);
    await time.until('told', () => board.session.netmap.self?.KeyExpiry !== undefined);
    t.equal(board.item('key-expiry'), undefined);
    board.online = false;
    server.cut();
    await time.pass(6 * DAY + 60_000, 150);
    t.match(board.item('key-expiry'), { severity: 'notice', text: /14 days/ });
    await time.pass(12 * DAY, 300);
    t.match(board.item('key-expiry'), { severity: 'warning', text: /2 days/ });
    await time.pass(expiry - 1_800_000_000_000 - time.clock.now() + 9000, 50);
    t.equal(board.session.state, 'Running', '9 s after');
    await time.pass(2000);
    t.equal(board.session.state, 'NeedsLogin', '11 s after');
    t.match(board.item('key-expiry'), { severity: 'error' });
    board.online = true;
    await time.until('connected', () => board.session.connected);
    extend(expiry + 100 * DAY);
    await time.until('running', () => board.session.state === 'Running');
    t.equal(board.item('key-expiry'), undefined);
  },
);

t.test('clock: years off either way, it joins, and keys expire by the server’s time', async (t) => {
  const KeyExpiry = '2027-06-01T00:00:00Z';
  for (const [wall, trusted] of [
    [315_532_800_000, false],
    [2_500_000_000_000, false],
  ] as const) {
    const server = await ScriptedServer.open(t);
    server.first = (body) => [
      {
        Node: selfNode(String(body['NodeKey']), { KeyExpiry }),
        ControlTime: '2027-01-15T08:00:00Z',
      },
    ];
    const { board, time } = await scriptedMember(
      t,
      { wall: () => wall, clockTrusted: () => trusted },
      server,
    );
    t.equal(board.session.state, 'Running', `at ${wall}`);
    t.match(board.item('clock-untrusted'), { severity: 'notice' });
    server.say({ ControlTime: '2027-06-01T00:00:11Z' });
    await time.until('expired', () => board.session.state === 'NeedsLogin');
    await board.session.close();
    const again = new Board(t, time, {
      folder: board.folder,
      wall: () => 315_532_800_000,
      clockTrusted: () => false,
    });
    again.online = false;
    await again.session.start();
    t.equal(again.session.state, 'NeedsLogin', 'a clock of 1980 does not bring it to life again');
  }
});
