import t from 'tap';
import { makeCertificate } from '../../../src/control/relay/own-certificate.ts';
import { must } from '../../must.ts';
import { peerNode, ScriptedServer } from './scripted.ts';
import type { ScriptedStand } from './scripted-board.ts';
import { scriptedMember } from './scripted-board.ts';
import { Board, Time } from './stand.ts';

t.test(
  'stream: silence of 120 s, a cut cable and GOAWAY are noticed, and it comes back',
  async (t) => {
    const { time, server, board } = await scriptedMember(t);
    const streams = (): number => server.streams.length;
    await time.pass(119_000, 119);
    t.equal(streams(), 1);
    await time.pass(2000, 4);
    await time.until('again', () => streams() === 2 && board.session.connected);
    server.cut();
    await time.until('again', () => streams() === 3 && board.session.connected);
    // A cable that is cut says nothing: what comes is not read, and what is sent goes nowhere.
    for (const socket of server.sockets) socket.pause();
    await time.pass(29_000, 29);
    t.equal(streams(), 3);
    await time.pass(17_000, 34);
    t.equal(board.session.connected, false, 'noticed within 46 s');
    t.equal(board.session.state, 'Running', 'peers are reached as before');
    await time.until('again', () => streams() === 4 && board.session.connected);
    await time.pass(65_000, 65);
    t.equal(board.item('control-unreachable'), undefined);
  },
);

t.test('back-off: between 1 and 30 s, growing, and after a minute somebody is told', async (t) => {
  const { time, server, board } = await scriptedMember(t);
  board.online = false;
  server.cut();
  const dialled: number[] = [];
  let { dials } = board;
  for (let i = 0; i < 300; i++) {
    await time.pass(1000, 4);
    if (board.dials > dials) dialled.push(time.clock.now());
    dials = board.dials;
  }
  const gaps = dialled.slice(1).map((at, i) => at - must(dialled[i]));
  t.ok(
    gaps.every((gap) => gap >= 1000 && gap <= 32_000),
    `${gaps}`,
  );
  t.ok(dialled.length >= 10 && dialled.length <= 26, `${dialled.length} tries in 5 minutes`);
  t.match(board.item('control-unreachable')?.text, /unreachable/);
  board.online = true;
  board.session.networkChanged();
  await time.pass(500);
  await time.until('connected', () => board.session.connected);
  t.equal(board.item('control-unreachable'), undefined);
});

t.test('stream: a ping is answered within the records, and a strange one is not', async (t) => {
  const { time, server, board } = await scriptedMember(t);
  server.say({
    KeepAlive: true,
    PingRequest: { URL: 'https://unused/machine/ping-response?id=1', URLIsNoise: true },
  });
  const echo = Buffer.from('POST /echo HTTP/1.1\r\nHost: x\r\n\r\nhello').toString('base64');
  server.say({
    KeepAlive: true,
    PingRequest: { URL: 'https://unused/c2n/1', Types: 'c2n', Payload: echo },
  });
  const update = Buffer.from('POST /update HTTP/1.1\r\nHost: x\r\n\r\n').toString('base64');
  server.say({
    KeepAlive: true,
    PingRequest: { URL: 'https://unused/c2n/2', Types: 'c2n', Payload: update },
  });
  server.say({
    KeepAlive: true,
    PingRequest: { URL: 'https://unused/p', Types: 'disco', IP: '100.64.0.2' },
  });
  await time.until(
    'all',
    () => server.asked.filter(({ path }) => /ping|c2n/.test(path)).length === 3,
  );
  t.match(
    server.asked.find(({ path }) => path === '/machine/ping-response?id=1'),
    { method: 'HEAD' },
  );
  t.match(server.bodies('/c2n/1')[0]?.['text'], /^HTTP\/1\.1 200 [\s\S]*hello$/);
  t.match(server.bodies('/c2n/2')[0]?.['text'], /^HTTP\/1\.1 501 /);
  t.equal(board.session.counters.get('ping: of a kind that is not answered'), 1);
});

t.test('stream: what a hostile server says costs a counter, and the rest counts', async (t) => {
  const { time, server, board } = await scriptedMember(t);
  server.say({
    Peers: [peerNode(2), { ...peerNode(3), Key: 7 }, peerNode(4, { Addresses: ['100.64.0.1/32'] })],
  });
  await time.until('peers', () => board.session.netmap.peers.size > 0);
  t.same([...board.session.netmap.peers.keys()], [2, 4]);
  t.same(board.session.netmap.peers.get(4)?.Addresses, [], 'our own address');
  t.equal(board.session.counters.get('map: part at fault'), 2);
  t.equal(board.session.claimFaults.get('address: of another node'), 1);
  const stream = must(server.streams.at(-1));
  stream.write(Buffer.from([4, 0, 0, 0, 1, 2, 3, 4]));
  server.say({ PeersRemoved: [4] });
  await time.until('next', () => board.session.netmap.peers.size === 1);
  t.equal(board.session.counters.get('map: cannot be unpacked'), 1);
  stream.write(Buffer.from([255, 255, 255, 255, 0]));
  await time.until('another stream', () => server.streams.length === 2);
  t.equal(board.session.state, 'Running');
});

t.test('updates: gathered, said again on a new connection, and by themselves', async (t) => {
  const { time, server, board } = await scriptedMember(t);
  const updates = (): readonly unknown[] =>
    server.bodies('/machine/map').filter((body) => body['OmitPeers'] === true);
  await time.until('the first', () => updates().length === 1);
  for (let i = 0; i < 20; i++) board.session.setNetInfo({ PreferredDERP: 900 + i });
  await time.pass(200);
  t.equal(updates().length, 2, 'twenty changes are one update');
  t.match(updates().at(-1), { Hostinfo: { NetInfo: { PreferredDERP: 919 }, Hostname: 'board' } });
  for (let i = 0; i < 6; i++) {
    server.say({ KeepAlive: true });
    await time.pass(60_000, 60);
  }
  t.equal(updates().length, 3, 'five minutes later one more');
  server.cut();
  await time.until('again', () => updates().length === 4);
  t.match(updates().at(-1), { Hostinfo: { NetInfo: { PreferredDERP: 919 } } });
  server.register = () => undefined;
  server.update = () => ({ status: 404 });
  board.session.setNetInfo({ PreferredDERP: 1 });
  await time.pass(200);
  await time.until('deleted', () => board.session.state === 'NeedsLogin');
  t.equal(board.session.nodeKey, undefined);
});

t.test(
  'TLS: an unknown certificate is no server of ours, a known one is; a changed key is found',
  async (t) => {
    const text = await makeCertificate(['localhost', '127.0.0.1']);
    const server = await ScriptedServer.open(t, { certificate: text.certificate, key: text.key });
    const controlUrl = `https://localhost:${server.port}`;
    const join = async (trusted: readonly string[]): Promise<ScriptedStand> => {
      const time = new Time();
      const board = new Board(t, time, { trusted });
      await board.session.start();
      await board.session.edit({ controlUrl });
      board.session.login({ authKey: 'k' }).catch(() => {});
      return { time, server, board };
    };
    const stranger = await join([]);
    await stranger.time.until('a try', () =>
      stranger.board.lines.some((line) => /certificate/.test(line)),
    );
    t.equal(server.asked.length, 0);
    const { time, board } = await join([text.certificate]);
    await time.until('connected', () => board.session.connected);
    server.changeKey();
    server.cut();
    await time.until('again', () => server.streams.length === 2 && board.session.connected);
    server.refusal = 'closed for today';
    server.cut();
    await time.until('refused', () => board.lines.some((line) => /closed for today/.test(line)));
    t.equal(board.session.state, 'Running');
  },
);
