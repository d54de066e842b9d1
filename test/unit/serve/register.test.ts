import { readFileSync } from 'node:fs';
import t from 'tap';
import { refuseApproval } from '../../../src/control/registry/approvals.ts';
import { approve } from '../../../src/control/registry/enroll.ts';
import type { RegisterResponse } from '../../../src/protocol/tailcfg/types.ts';
import { must } from '../../must.ts';
import type { Machine, Reply } from './client.ts';
import { newKeys } from './client.ts';
import type { RegisterWords } from './world.ts';
import { register, until, World } from './world.ts';

const PAST = '1970-01-01T00:02:03Z';

const asked = async (machine: Machine, words: RegisterWords): Promise<RegisterResponse> => {
  const { status, text } = await machine.post('/machine/register', register(machine, words));
  if (status !== 200) throw new Error(`${status} ${text}`);
  return JSON.parse(text) as RegisterResponse;
};
const waitsOf = (world: World): number => world.server.gauges()['logins: waiting'] ?? 0;

t.test('register: a machine joins by key, comes back without one, and logs out', async (t) => {
  const world = await World.open(t, 21);
  const alice = await world.user('alice');
  const machine = await world.shake();
  const authKey = await world.authKey({ reusable: false });
  const joined = await asked(machine, { authKey });
  t.match(joined, {
    User: { ID: alice.id, DisplayName: 'alice' },
    Login: { ID: alice.id, Provider: 'postern', LoginName: 'alice' },
    MachineAuthorized: true,
    NodeKeyExpired: false,
    AuthURL: '',
  });
  t.match(await asked(machine, {}), { MachineAuthorized: true }, 'a restart');
  t.match(await asked(machine, { authKey }), { MachineAuthorized: true }, 'with the used key');
  t.match(await asked(machine, { expiry: PAST, authKey }), { NodeKeyExpired: true });
  t.match(await asked(machine, { authKey }), { Error: 'this auth key has been used' });
  const stranger = await world.shake();
  const stolen = await asked(stranger, { nodeKey: machine.keys.node });
  t.match(stolen, { Error: /another machine/, MachineAuthorized: false });
});

t.test('register: of twenty machines with one single-use key one joins', async (t) => {
  const world = await World.open(t, 22);
  await world.user('alice');
  const authKey = await world.authKey({ reusable: false });
  const machines = await Promise.all(Array.from({ length: 20 }, () => world.shake()));
  const answers = await Promise.all(machines.map((machine) => asked(machine, { authKey })));
  t.equal(answers.filter(({ MachineAuthorized }) => MachineAuthorized).length, 1);
  t.equal(answers.filter((answer) => answer.Error === 'this auth key has been used').length, 19);
});

t.test('register: a tagged node is nobody’s, by a name that clients keep', async (t) => {
  const world = await World.open(t, 23);
  await world.user('alice');
  const authKey = await world.authKey({ user: null, tags: ['tag:cam'] });
  const { User, Login } = await asked(await world.shake(), { authKey });
  t.equal(Login.LoginName, 'tagged-devices');
  t.ok(User.ID > 0, 'an id that no user has');
});

t.test(
  'follow-up: waits for a person’s yes or no, the end of the hour, or of the server',
  async (t) => {
    const world = await World.open(t, 24);
    const alice = await world.user('alice');
    const wait = async (
      machine: Machine,
    ): Promise<{ id: string; answer: Promise<RegisterResponse> }> => {
      const before = waitsOf(world);
      const { AuthURL } = await asked(machine, {});
      const answer = asked(machine, { followup: AuthURL });
      await until('a login waits', () => waitsOf(world) === before + 1);
      return { id: AuthURL.slice(-32), answer };
    };
    const one = await wait(await world.shake());
    const two = await wait(await world.shake());
    const three = await wait(await world.shake());
    await world.change((model, context) =>
      approve(model, { approval: one.id, owner: { user: alice.id, tags: [] } }, context),
    );
    t.match(await one.answer, { MachineAuthorized: true, User: { ID: alice.id }, AuthURL: '' });
    await world.change((model, context) => refuseApproval(model, { approval: two.id }, context));
    t.match(await two.answer, { MachineAuthorized: false, Error: 'this login has been refused' });
    t.equal(waitsOf(world), 1, 'the third still waits');
    world.later(3601);
    const late = await three.answer;
    t.match(late.AuthURL, /\/register\/[0-9a-f]{32}$/);
    t.not(late.AuthURL.slice(-32), three.id, 'a new one after an hour');
    const four = await wait(await world.shake());
    const leaves = four.answer.catch((error: Error) => error.message);
    await world.server.close();
    t.match(await leaves, /503 .*starting again/, 'the server stops');
  },
);

t.test(
  'follow-up: one that hangs up is forgotten, and a made-up one is given a new URL',
  async (t) => {
    const world = await World.open(t, 25);
    await world.user('alice');
    const machine = await world.shake();
    const { AuthURL } = await asked(machine, {});
    const answer = asked(machine, { followup: AuthURL }).catch(() => 'gone');
    await until('it waits', () => waitsOf(world) === 1);
    machine.close();
    await until('nobody waits', () => waitsOf(world) === 0);
    await answer;
    const other = await world.shake();
    for (const followup of [AuthURL, 'http://192.0.2.1/register/x', 'x']) {
      const given = await asked(other, { followup });
      t.match(given.AuthURL, /\/register\/[0-9a-f]{32}$/, followup);
      t.not(given.AuthURL, AuthURL);
    }
  },
);

t.test('register: a disk that stands still delays its own answer and nobody else’s', async (t) => {
  const world = await World.open(t, 26);
  await world.user('alice');
  const authKey = await world.authKey();
  const member = await world.join('pca', authKey);
  const { promise, resolve } = Promise.withResolvers<void>();
  world.disk = promise;
  let isAnswered = false;
  const slow = asked(await world.shake(), { authKey }).then((answer) => {
    isAnswered = true;
    return answer;
  });
  const lite = { Version: 142, NodeKey: member.keys.node, OmitPeers: true };
  t.equal((await member.post('/machine/map', lite)).status, 200);
  t.notOk(isAnswered, 'not acknowledged before it is on the disk');
  world.disk = 'full';
  resolve();
  t.match(await slow, { MachineAuthorized: true });
  const machine = await world.shake();
  const refused = await machine.post('/machine/register', register(machine, { authKey }));
  t.match(refused, { status: 503, text: '{"Error":"store: the disk is full"}' });
  world.disk = 'good';
  t.match(await asked(machine, { authKey }), { MachineAuthorized: true }, 'it recovers');
});

t.test('register: a client below the floor is told so in words for its user', async (t) => {
  const world = await World.open(t, 27);
  await world.user('alice');
  const machine = await world.shake(newKeys(world.random), { version: 106 });
  const answer = await asked(machine, { version: 106 });
  t.match(answer.Error, /too old .*1\.80/);
  const map = { Version: 106, NodeKey: machine.keys.node, Stream: true };
  t.match(await machine.post('/machine/map', map), { status: 400, text: /too old/ });
});

t.test('register: one address opens a bounded number of logins', async (t) => {
  const world = await World.open(t, 28, { logins: { burst: 3, perSecond: 1 } });
  await world.user('alice');
  const ask = async (options: { from?: string; version?: number } = {}): Promise<Reply> => {
    const machine = await world.shake(newKeys(world.random), options);
    return machine.post('/machine/register', register(machine, {}));
  };
  for (let i = 0; i < 3; i++) t.match((await ask()).text, /"AuthURL":"http/);
  const late = await ask();
  t.equal(late.status, 429);
  t.equal(late.headers['retry-after'], '1');
  t.match(await ask({ version: 125 }), { status: 200, text: /"Error":"too many logins/ });
  t.match((await ask({ from: '198.51.100.1:1' })).text, /"AuthURL":"http/, 'another address');
  t.match((await ask({ from: '127.0.0.1:1' })).text, /"AuthURL":"http/, 'a proxy of ours');
  world.pass(2);
  t.match((await ask()).text, /"AuthURL":"http/, 'later');
});

const VECTORS = process.env['POSTERN_VECTORS'];

t.test(
  'register: bodies of a stock client are understood',
  { skip: VECTORS === undefined && 'POSTERN_VECTORS names no folder' },
  async (t) => {
    const world = await World.open(t, 29);
    await world.user('alice');
    const body = (name: string): Record<string, unknown> =>
      JSON.parse(readFileSync(`${VECTORS}/control/${name}.json`, 'utf8'));
    const machine = await world.shake();
    const Auth = { AuthKey: await world.authKey() };
    const joined = await machine.post('/machine/register', { ...body('register-authkey'), Auth });
    t.match(joined.text, /"MachineAuthorized":true/);
    const lite = await machine.post('/machine/map', body('map-lite-first'));
    t.match(lite, { status: 200, text: '' });
    const { model, live } = world.coordinator.network;
    const node = must(model.nodes.get(1));
    t.equal(node.name, 'pca');
    t.match(live.nodes.get(node.id)?.discoKey, /^discokey:a7a7/);
    machine.http
      .request({ ':method': 'POST', ':path': '/machine/map' })
      .end(JSON.stringify(body('map-stream')));
    await until('the stream is open', () => world.streams.length === 1);
    t.match(world.streams[0]?.request, { version: 142, compress: true, keepAlive: true });
    const forced = await machine.post('/machine/register', body('register-forced-new-key'));
    t.match(forced.text, /"AuthURL":"http/);
  },
);
