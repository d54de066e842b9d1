import t from 'tap';
import type { Endpoint } from '../../src/base/endpoint.ts';
import { formatEndpoint, parseEndpoint } from '../../src/base/endpoint.ts';
import { NodePrivate, type NodePublic, nodePublic } from '../../src/base/keys.ts';
import { parsePrefix } from '../../src/base/prefix.ts';
import { ownKey } from '../../src/crypto/x25519.ts';
import { must } from '../must.ts';
import { seeded } from '../seeded.ts';
import { Clock } from './clock.ts';
import { Network } from './network.ts';
import { SimNode } from './node.ts';
import { numbers, packet, reportOf, wasm } from './world.ts';

const HUB = 1;

interface Member {
  /** The last byte of its addresses. */
  readonly number: number;
  readonly endpoint: Endpoint;
  readonly key: NodePrivate;
  readonly publicKey: NodePublic;
  readonly node: SimNode;
}

/** A hub at 10.0.0.1 with few slots, and `count` spokes at 10.0.0.2 and on, each knowing the hub alone. */
function crowd(seed: number, count: number, activePeers: number) {
  const random = seeded(seed);
  const clock = new Clock();
  const network = new Network(clock, random);
  const member = (number: number): Member => {
    const endpoint: Endpoint = must(parseEndpoint(`192.0.2.${number}:${1000 + number}`));
    const key = new NodePrivate(random.bytes(32));
    const publicKey = nodePublic(ownKey(key.expose()).publicKey);
    const node = new SimNode({ clock, network, random, wasm, endpoint, activePeers });
    return { number, endpoint, key, publicKey, node };
  };
  const hub = member(HUB);
  const spokes = Array.from({ length: count }, (_, i) => member(HUB + 1 + i));
  hub.node.tunnel.configure({ privateKey: hub.key, peers: spokes.map(asPeer) });
  for (const spoke of spokes)
    spoke.node.tunnel.configure({ privateKey: spoke.key, peers: [asPeer(hub)] });
  for (const { node } of [hub, ...spokes]) node.tunnel.up();
  clock.runTo(1);
  return { clock, network, hub, spokes };
}

/** As the others are told of a member. */
function asPeer({ number, endpoint, publicKey }: Member) {
  const prefix = must(parsePrefix(`10.0.0.${number}/32`));
  return { publicKey, endpoint, allowedIps: [{ prefix, remove: false }] };
}

t.test('slots: 6 peers on 4 slots are all reached in turn, each by its own packets', async (t) => {
  const { clock, hub, spokes } = crowd(20, 6, 4);
  let sent = 0;
  for (let round = 0; round < 5; round++)
    for (const spoke of spokes) {
      const number = sent++;
      hub.node.send(packet(HUB, spoke.number, number));
      clock.runTo(clock.now() + 100);
      spoke.node.send(packet(spoke.number, HUB, number));
      clock.runTo(clock.now() + 100);
      if (numbers(spoke.node.delivered).at(-1) !== number)
        return t.fail(`round ${round}: nothing reached 10.0.0.${spoke.number}`);
      if (numbers(hub.node.delivered).at(-1) !== number)
        return t.fail(`round ${round}: nothing came from 10.0.0.${spoke.number}`);
    }
  for (const { number, node } of spokes)
    t.ok(
      node.delivered.length === 5 && node.delivered.every((bytes) => bytes[19] === number),
      `10.0.0.${number} got its 5 packets and no other's`,
    );
  const report = await reportOf(hub.node, clock);
  t.equal(report.activePeers, 4);
  // Going round, the peer wanted next is always one of the two that have no slot.
  t.equal(report.evictions, 30 - 4, 'each visit but the first four costs a slot');
  return t.equal(report.peers, 6);
});

t.test('slots: who has been silent longest goes, and bytes outlive the slot', async (t) => {
  const { clock, network, hub, spokes } = crowd(21, 5, 4);
  const [first, second] = [must(spokes[0]), must(spokes[1])];
  const last = must(spokes[4]);
  const visit = (spoke: (typeof spokes)[number]): void => {
    hub.node.send(packet(HUB, spoke.number, spoke.number));
    clock.runTo(clock.now() + 1000);
  };
  for (const spoke of spokes.slice(0, 4)) visit(spoke);
  visit(first);
  const before = must(hub.node.tunnel.status().peers[1]);
  const initiations: string[] = [];
  network.tap = (datagram, _, to) => {
    if (datagram[0] === 1) initiations.push(to);
    return true;
  };
  visit(last);
  visit(first);
  t.same(initiations, [formatEndpoint(last.endpoint)], 'the peer just used kept its keys');
  visit(second);
  t.same(initiations.slice(1), [formatEndpoint(second.endpoint)], 'the silent one lost them');
  const after = must(hub.node.tunnel.status().peers[1]);
  t.ok(after.bytesSent > before.bytesSent, `${before.bytesSent} then ${after.bytesSent} bytes`);
});

t.test('slots: a peer that speaks in the name of another is not heard', async (t) => {
  const { clock, hub, spokes } = crowd(22, 2, 4);
  const [first, second] = [must(spokes[0]), must(spokes[1])];
  for (const { number, node } of spokes) node.send(packet(number, HUB, number));
  clock.runTo(100);
  first.node.send(packet(second.number, HUB, 100));
  first.node.send(packet(first.number, HUB, 101));
  clock.runTo(200);
  t.same(numbers(hub.node.delivered).slice(2), [101]);
  t.same((await reportOf(hub.node, clock)).drops, { 'in: source not allowed': 1 });
});

t.test(
  'slots: more peers wanted at once than there are slots are all reached in the end',
  async (t) => {
    for (const seed of [23, 24, 25]) {
      const { clock, hub, spokes } = crowd(seed, 6, 4);
      const random = seeded(seed);
      // Each of six is wanted every second or so, at any moment: slots go to and fro under their handshakes.
      for (let i = 0; i < 300; i++) {
        const { number } = random.pick(spokes);
        hub.node.send(packet(HUB, number, i));
        if (random.below(4) > 0) clock.runTo(clock.now() + random.below(400));
      }
      clock.runTo(clock.now() + 20_000);
      for (const { number, node } of spokes) {
        hub.node.send(packet(HUB, number, 1000));
        clock.runTo(clock.now() + 20_000);
        if (numbers(node.delivered).at(-1) !== 1000)
          t.fail(`seed ${seed}: 10.0.0.${number} is out of reach`);
        if (node.delivered.some((bytes) => bytes[19] !== number))
          t.fail(`seed ${seed}: 10.0.0.${number} got another's packet`);
      }
    }
    t.pass('three crowds');
  },
);

t.test(
  'slots: six peers wanted in one moment are reached, also those that lose their slot',
  async (t) => {
    const { clock, hub, spokes } = crowd(26, 6, 4);
    for (const { number } of spokes) hub.node.send(packet(HUB, number, 1));
    clock.runTo(clock.now() + 1000);
    const reached = spokes.filter(({ node }) => node.delivered.length > 0);
    t.ok(reached.length >= 4, `${reached.length} at once`);
    for (const { number, node } of spokes) {
      hub.node.send(packet(HUB, number, 2));
      clock.runTo(clock.now() + 1000);
      t.equal(numbers(node.delivered).at(-1), 2, `10.0.0.${number} when it is wanted again`);
    }
  },
);

t.test(
  'slots: a peer removed under traffic is neither heard nor sent to, until added again',
  async (t) => {
    const { clock, network, hub, spokes } = crowd(27, 2, 4);
    const [first, second] = [must(spokes[0]), must(spokes[1])];
    let sent = 0;
    const beat = (): void => {
      for (const { number, node } of spokes) {
        hub.node.send(packet(HUB, number, sent));
        node.send(packet(number, HUB, sent++));
      }
      clock.setTimer(clock.now() + 10, beat);
    };
    beat();
    clock.runTo(1000);
    const heard = (): number =>
      hub.node.delivered.filter((bytes) => bytes[15] === first.number).length;
    t.ok(heard() > 90, `${heard()} packets before`);
    hub.node.tunnel.configure({
      peers: [{ publicKey: first.publicKey, remove: true, allowedIps: [] }],
    });
    clock.runTo(1001);
    const before = { heard: heard(), second: second.node.delivered.length };
    let toFirst = 0;
    network.tap = (_, from, to) => {
      if (from === formatEndpoint(hub.endpoint) && to === formatEndpoint(first.endpoint)) toFirst++;
      return true;
    };
    clock.runTo(30_000);
    t.equal(heard(), before.heard, 'nothing of it comes out');
    t.equal(toFirst, 0, 'and nothing goes to it');
    t.ok(second.node.delivered.length > before.second + 2800, 'the other is not disturbed');
    hub.node.tunnel.configure({ peers: [asPeer(first)] });
    clock.runTo(31_000);
    t.ok(heard() > before.heard + 50, 'it is back');
  },
);
