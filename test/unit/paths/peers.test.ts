import t from 'tap';
import { formatEndpoint } from '../../../src/base/endpoint.ts';
import { keyText, nodePublic } from '../../../src/base/keys.ts';
import { millis } from '../../../src/base/time.ts';
import { must } from '../../must.ts';
import { at, Other, Stand } from './stand.ts';

const THERE = '203.0.113.7:5000';

t.test(
  'paths: traffic finds the peer, the data plane hears of it, and the relay goes',
  async (t) => {
    const stand = new Stand();
    const other = new Other(stand);
    stand.paths.setPeers([other.peer(THERE, '10.0.0.7:41641')]);
    await stand.live(60_000);
    t.same([stand.udp.length, stand.relayed.length], [0, 0], 'not a packet before');
    stand.paths.wanted(other.nodeKey);
    t.same(stand.paths.waysOf(other.nodeKey), { relay: 900 });
    await stand.live(600);
    t.same(
      other.read(stand.relayed).map(({ message }) => message.type),
      ['call-me-maybe'],
    );
    other.answer();
    t.equal(formatEndpoint(must(other.way()?.direct)), '10.0.0.7:41641', 'the nearer one');
    t.equal(stand.paths.waysOf(other.nodeKey).relay, 0);
    await stand.live(6600);
    t.equal(stand.paths.waysOf(other.nodeKey).relay, 900, 'and back when it is silent');
  },
);

t.test(
  'paths: a ping is answered where it came from, and only to whom the map names',
  async (t) => {
    const stand = new Stand();
    const [other, stranger] = [new Other(stand), new Other(stand)];
    stand.paths.setPeers([other.peer()]);
    const ping = (from: Other, sender = from.nodeKey): Uint8Array =>
      from.seal({ type: 'ping', transaction: stand.random.bytes(12), sender });
    t.ok(stand.paths.receive(ping(other), at('198.51.100.77:1234')));
    t.match(other.read(stand.udp), [
      { to: '198.51.100.77:1234', message: { type: 'pong', seenFrom: at('198.51.100.77:1234') } },
    ]);
    stand.paths.receive(ping(other), { relay: 901, peer: other.nodeKey });
    t.match(other.read(stand.relayed), [
      { to: `901 ${keyText(other.nodeKey)}`, message: { seenFrom: at('127.3.3.40:901') } },
    ]);
    stand.paths.receive(ping(stranger), at(THERE));
    stand.paths.receive(ping(other, stranger.nodeKey), at(THERE));
    stand.paths.receive(ping(other), { relay: 901, peer: stranger.nodeKey });
    const forged = ping(other);
    forged[80] = (forged[80] as number) ^ 1;
    stand.paths.receive(forged, at(THERE));
    t.same([stand.udp, stand.relayed], [[], []], 'silence');
    t.match(stand.paths.counters(), {
      'disco: unknown key': 1,
      'disco: ping names another': 1,
      'disco: relay names another': 1,
      'disco: box does not open': 1,
    });
  },
);

t.test('paths: pings of a peer get no more than 10 pongs a second', async (t) => {
  const stand = new Stand();
  const other = new Other(stand);
  stand.paths.setPeers([other.peer()]);
  for (let i = 0; i < 100; i++) {
    const transaction = stand.random.bytes(12);
    const ping = other.seal({ type: 'ping', transaction, sender: other.nodeKey });
    stand.paths.receive(ping, at(`198.51.100.77:${1000 + i}`));
  }
  t.equal(stand.udp.length, 10);
});

t.test('paths: a call counts only by relay', async (t) => {
  const stand = new Stand();
  const other = new Other(stand);
  stand.paths.setPeers([other.peer()]);
  const call = other.seal({ type: 'call-me-maybe', endpoints: [at(THERE)] });
  stand.paths.receive(call, at(THERE));
  t.equal(stand.udp.length, 0);
  stand.paths.receive(call, { relay: 900, peer: other.nodeKey });
  t.equal(stand.udp[0]?.to, THERE);
});

t.test('paths: a changed disco key is a restart; one that was unknown is not', async (t) => {
  const stand = new Stand();
  const [first, second] = [new Other(stand), new Other(stand)];
  const { nodeKey } = first;
  stand.paths.setPeers([{ ...first.peer(THERE), discoKey: undefined }]);
  stand.paths.updatePeer(first.peer(THERE));
  stand.paths.wanted(nodeKey);
  first.answer();
  t.ok(first.way()?.direct);
  t.same(stand.restarted, []);
  stand.paths.updatePeer({ ...second.peer(THERE), nodeKey });
  t.same(stand.restarted, [keyText(nodeKey)]);
  t.equal(first.way()?.direct, undefined, 'and its path is unproven');
});

t.test('paths: who claims the disco key of another does not cut him off', async (t) => {
  const stand = new Stand();
  const other = new Other(stand);
  const thief = { ...other.peer(), nodeKey: nodePublic(stand.random.bytes(32)) };
  stand.paths.setPeers([thief, other.peer(THERE)]);
  stand.paths.wanted(other.nodeKey);
  other.answer();
  t.equal(formatEndpoint(must(other.way()?.direct)), THERE);
  t.equal(stand.paths.status(thief.nodeKey)?.direct, undefined);
});

t.test('paths: after a change of link the path is doubted, asked and proven again', async (t) => {
  const stand = new Stand();
  const other = new Other(stand);
  stand.paths.setPeers([other.peer(THERE)]);
  stand.paths.wanted(other.nodeKey);
  other.answer();
  stand.local = [at('172.16.5.5:41641')];
  stand.paths.linkChanged();
  t.match(other.way(), { direct: at(THERE), trustedUntil: 0 }, 'by both ways');
  t.match(stand.paths.endpoints(), [{ endpoint: at('172.16.5.5:41641'), type: 'local' }]);
  other.answer();
  t.ok(must(other.way()).trustedUntil > stand.clock.now());
});

t.test('paths: after a move a call without where we were follows one with it', async (t) => {
  const stand = new Stand();
  const other = new Other(stand);
  stand.paths.setPeers([other.peer(THERE)]);
  stand.paths.wanted(other.nodeKey);
  const ping = must(other.read(stand.udp).find(({ message }) => message.type === 'ping'));
  if (ping.message.type !== 'ping') throw new Error('no ping');
  const seenFrom = at('203.0.113.5:7000');
  const { transaction } = ping.message;
  stand.paths.receive(other.seal({ type: 'pong', transaction, seenFrom }), at(THERE));
  const calls = (): readonly (readonly string[])[] =>
    other
      .read(stand.relayed)
      .flatMap(({ message }) => (message.type === 'call-me-maybe' ? [message.endpoints] : []))
      .map((endpoints) => endpoints.map(formatEndpoint));
  stand.relayed.length = 0;
  stand.local = [at('172.16.5.5:41641')];
  stand.paths.linkChanged();
  t.same(calls(), [['203.0.113.5:7000'], ['172.16.5.5:41641']]);
  other.answer();
  stand.relayed.length = 0;
  stand.local = [at('172.16.6.6:41641')];
  stand.paths.linkChanged();
  t.same(
    calls(),
    [['203.0.113.1:9'], ['172.16.6.6:41641']],
    'a way proven since is the only former',
  );
  await stand.live(15_000);
  stand.relayed.length = 0;
  await stand.live(15_000);
  const later = new Set(calls().map(String));
  t.same([...later], ['172.16.6.6:41641'], 'and not for ever');
});

t.test('paths: a ping by hand takes the first pong, by its way, or fails in time', async (t) => {
  const stand = new Stand();
  const other = new Other(stand);
  stand.paths.setPeers([other.peer(THERE)]);
  const direct = stand.paths.ping(other.nodeKey);
  stand.clock.runTo(1007);
  other.answer();
  t.match(await direct, { via: at(THERE), rttMillis: 7 });
  stand.relayed.length = 0;
  const relayed = stand.paths.ping(other.nodeKey, { way: 'relay' });
  const ping = must(other.read(stand.relayed).find(({ message }) => message.type === 'ping'));
  if (ping.message.type !== 'ping') throw new Error('no ping');
  const { transaction } = ping.message;
  const pong = other.seal({ type: 'pong', transaction, seenFrom: at('127.3.3.40:900') });
  stand.paths.receive(pong, { relay: 900, peer: other.nodeKey });
  t.match(await relayed, { via: { relay: 900 } });
  const vain = stand.paths.ping(other.nodeKey, { patience: millis(1000) });
  const failed = t.rejects(vain, { name: 'NetError', message: 'no answer in time' });
  await stand.live(2000);
  await failed;
  await t.rejects(stand.paths.ping(nodePublic(stand.random.bytes(32))), { name: 'NetError' });
});

t.test('paths: 5,000 peers cost no timer and no packet until they are used', async (t) => {
  const stand = new Stand();
  const peers = Array.from({ length: 5000 }, () => ({
    nodeKey: nodePublic(stand.random.bytes(32)),
    discoKey: stand.random.bytes(32),
    endpoints: [at(THERE)],
    homeRelay: 900,
  }));
  stand.paths.setPeers(peers);
  t.same([stand.clock.pending, stand.udp.length], [0, 0]);
  stand.paths.wanted(must(peers[0]).nodeKey);
  t.ok(stand.clock.pending > 0);
  stand.paths.setPeers([]);
  await stand.live(10_000);
  t.equal(stand.clock.pending, 0, 'who is gone leaves no timer');
});

t.test('paths: nothing happens after close', async (t) => {
  const stand = new Stand();
  const other = new Other(stand);
  stand.paths.setPeers([other.peer(THERE)]);
  stand.paths.wanted(other.nodeKey);
  await stand.paths.close();
  const before = stand.udp.length;
  stand.paths.wanted(other.nodeKey);
  stand.paths.linkChanged();
  await stand.live(60_000);
  t.equal(stand.udp.length, before);
  t.equal(stand.clock.pending, 0);
});
