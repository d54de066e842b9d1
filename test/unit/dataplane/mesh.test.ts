/** The data plane of a member of a mesh: who is told where a peer is, what the relay carries, who gets in. */

import { readFileSync } from 'node:fs';
import t from 'tap';
import { kernelsWasm } from '../../../scripts/kernels.ts';
import { parseEndpoint, sockaddr } from '../../../src/base/endpoint.ts';
import { PEER, peerAt, RELAY_ENTRIES } from '../../../src/node/dataplane/arena.ts';
import { RelayRing } from '../../../src/node/dataplane/relay-ring.ts';
import { ringRead } from '../../../src/node/dataplane/ring.ts';
import { ALLOW_ALL } from '../../../src/node/dataplane/rules.ts';
import { INNER, readPeerSource } from '../../../src/node/dataplane/sources.ts';
import { encodeRequest } from '../../../src/protocol/disco/stun.ts';
import { must } from '../../must.ts';
import { ipPacket } from '../../twins/packet.ts';
import type { TestKeypair } from './plane-on-arena.ts';
import { open, PlaneOnArena, seal, VNET_BYTES } from './plane-on-arena.ts';

const wasm = readFileSync(await kernelsWasm());
const OURS = Uint8Array.of(10, 0, 0, 99);
const THEIRS = Uint8Array.of(10, 0, 0, 1);
const TSMP = 99;

const outgoing = ipPacket({ source: OURS, target: THEIRS }, 253, new Uint8Array(44));
const incoming = ipPacket({ source: THEIRS, target: OURS }, 253, new Uint8Array(44));

function make(rules = true): {
  p: PlaneOnArena;
  keypair: TestKeypair;
  relayed: () => Uint8Array[];
} {
  const p = new PlaneOnArena({ wasm, mesh: true });
  p.addPeer(1);
  const out = new RelayRing(p.arena, 'out');
  const relayed = (): Uint8Array[] => {
    const found: Uint8Array[] = [];
    out.read((_peer, at, length) => found.push(p.arena.u8.slice(at, at + length)));
    return found;
  };
  const keypair = p.keypair(1);
  relayed();
  p.runs.length = 0;
  p.events.length = 0;
  // The first packet asked for a path.
  p.now += 1000;
  if (rules) p.plane.apply({ type: 'rules', rules: [ALLOW_ALL] });
  return { p, keypair, relayed };
}

/** As the main thread writes it. */
function trust(p: PlaneOnArena, until: number): void {
  p.arena.f64[(peerAt(p.arena.layout, 0) + PEER.trustedUntil) >> 3] = until;
}

function bringByRelay(p: PlaneOnArena, datagram: Uint8Array): void {
  putInRelayRing(p, datagram);
  p.plane.apply({ type: 'relayed' });
}

function putInRelayRing(p: PlaneOnArena, datagram: Uint8Array): void {
  const ring = new RelayRing(p.arena, 'in');
  const at = ring.reserve(datagram.length);
  p.arena.u8.set(datagram, at);
  ring.commit(1, datagram.length);
}

t.test('mesh: what is sealed goes by the trusted way alone', async (t) => {
  const { p, keypair, relayed } = make();
  trust(p, p.now + 1);
  p.tunIn({ packet: outgoing });
  t.equal(p.runs.length, 1);
  t.same(relayed(), []);
  t.same(p.eventsOf('path-wanted'), []);
  const padded = open(must(p.runs[0]?.datagrams[0]), keypair, 1);
  t.same(padded.subarray(0, outgoing.length), outgoing);
});

t.test(
  'mesh: by a way that is doubted both carry it, and a path is asked for once a second',
  async (t) => {
    const { p, relayed } = make();
    trust(p, p.now);
    p.tunIn({ packet: outgoing }, { packet: outgoing }, { packet: outgoing });
    const copies = relayed();
    t.equal(copies.length, 3);
    const direct = p.runs.flatMap(({ datagrams }) => datagrams);
    t.same(copies, direct, 'the same datagrams, byte for byte');
    t.equal(p.eventsOf('path-wanted').length, 1);
    t.equal(p.eventsOf('relay').length, 1, 'the reader is told once until it has read');
    p.now += 999;
    p.tunIn({ packet: outgoing });
    t.equal(p.eventsOf('path-wanted').length, 1);
    p.now += 1;
    p.tunIn({ packet: outgoing });
    t.equal(p.eventsOf('path-wanted').length, 2);
  },
);

t.test(
  'mesh: with no endpoint the relay alone carries it, however much it is trusted',
  async (t) => {
    const { p, relayed } = make();
    trust(p, Number.POSITIVE_INFINITY);
    p.plane.apply({ type: 'endpoint', slot: 0, sockaddr: new Uint8Array(28) });
    p.tunIn({ packet: outgoing });
    t.same(p.runs, []);
    t.equal(relayed().length, 1);
    t.same(p.report().drops, {}, 'it is no loss');
  },
);

t.test('mesh: a relay link that does not keep up loses the newest, counted', async (t) => {
  const { p, relayed } = make();
  trust(p, 0);
  for (let sent = 0; sent < RELAY_ENTRIES + 5; sent++) p.tunIn({ packet: outgoing });
  t.equal(p.report().drops['out: relay link busy'], 5);
  t.equal(relayed().length, RELAY_ENTRIES);
});

t.test(
  'mesh: what came by the relay is opened like any other, and moves no endpoint',
  async (t) => {
    const { p, keypair } = make();
    const endpoint = sockaddr(must(parseEndpoint('192.0.2.1:1001')));
    bringByRelay(p, seal(incoming, keypair, 5));
    t.equal(p.written.length, 1);
    t.same(must(p.written[0]).subarray(VNET_BYTES), incoming);
    bringByRelay(p, seal(incoming, keypair, 5));
    t.equal(p.report().drops['in: replayed'], 1, 'nor is it taken twice');
    p.udpIn({ datagrams: [seal(incoming, keypair, 6)], host: 77 });
    t.equal(p.written.length, 2);
    const at = peerAt(p.arena.layout, 0) + PEER.endpoint;
    t.same(
      p.arena.u8.slice(at, at + endpoint.length),
      endpoint,
      'to be heard says nothing of the way back',
    );
  },
);

t.test('mesh: what comes by the relay amid a run leaves the run whole', async (t) => {
  const { p, keypair } = make();
  const filled = (filler: number): Uint8Array =>
    ipPacket({ source: THEIRS, target: OURS }, 253, new Uint8Array(44).fill(filler));
  const packets = [filled(1), filled(2), filled(3), filled(4)] as const;
  const [first, second, third, byRelay] = packets;
  putInRelayRing(p, seal(byRelay, keypair, 6));
  // The second datagram is of a keypair that the worker has yet to read of, behind word of the relay.
  const next = p.writeKeypair(1, 1);
  p.queued.push({ type: 'relayed' }, { type: 'keypair', slot: 0, keypair: 1, as: 'next' });
  p.udpIn({
    datagrams: [seal(first, keypair, 5), seal(second, next, 0), seal(third, next, 1)],
    host: 77,
  });
  t.same(
    p.written.map((packet) => packet.subarray(VNET_BYTES)),
    packets,
  );
  t.same(p.report().drops, {});
});

t.test('mesh: disco and STUN go to the main thread, anything else stays malformed', async (t) => {
  const { p } = make();
  const disco = new Uint8Array(80);
  disco.set([0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac]);
  const stun = encodeRequest(new Uint8Array(12));
  const other = new Uint8Array(80).fill(0x41);
  for (const datagram of [disco, stun, other]) p.udpIn({ datagrams: [datagram] });
  const taken: Uint8Array[] = [];
  ringRead(p.arena, (datagram) => taken.push(datagram));
  t.same(taken, [disco, stun]);
  t.equal(p.report().drops['in: malformed'], 1);
  const plain = new PlaneOnArena({ wasm });
  for (const datagram of [disco, stun]) plain.udpIn({ datagrams: [datagram] });
  t.equal(plain.report().drops['in: malformed'], 2, 'plain WireGuard knows neither');
});

t.test(
  'mesh: before the map has rules nobody gets in, and the refused packet can be shown',
  async (t) => {
    const { p, keypair } = make(false);
    p.udpIn({ datagrams: [seal(incoming, keypair, 1)] });
    t.same(p.written, []);
    const { drops, refused } = p.report();
    t.equal(drops['in: filter rules'], 1);
    t.match(refused, [{ reason: 'in: filter rules', peer: 1, at: p.now }]);
    t.same(must(refused[0]).head, incoming.subarray(0, 64));
  },
);

t.test('mesh: messages between the nodes reach the program and not the system', async (t) => {
  const { p, keypair } = make(false);
  const ping = ipPacket(
    { source: THEIRS, target: OURS },
    TSMP,
    Uint8Array.of(0x70, 1, 2, 3, 4, 5, 6, 7, 8),
  );
  p.udpIn({ datagrams: [seal(ping, keypair, 1)] });
  t.same(p.written, []);
  const taken: unknown[] = [];
  ringRead(p.arena, (packet, source) => taken.push([packet, readPeerSource(source)]));
  t.same(taken, [[ping, { family: INNER, peer: 1 }]]);
  const forged = ipPacket(
    { source: Uint8Array.of(10, 0, 0, 2), target: OURS },
    TSMP,
    new Uint8Array(9),
  );
  p.udpIn({ datagrams: [seal(forged, keypair, 2)] });
  t.equal(p.report().drops['in: source not allowed'], 1, 'in its own name alone');
});

t.test('mesh: a packet of our own is sealed at once, or waits for a keypair', async (t) => {
  const { p, keypair } = make();
  trust(p, Number.POSITIVE_INFINITY);
  p.plane.apply({ type: 'inject', peer: 1, packet: outgoing });
  t.same(open(must(p.runs[0]?.datagrams[0]), keypair, 1).subarray(0, outgoing.length), outgoing);
  p.addPeer(2);
  p.plane.apply({ type: 'inject', peer: 2, packet: outgoing });
  p.plane.apply({ type: 'inject', peer: 2, packet: outgoing });
  t.same(p.eventsOf('handshake-wanted'), [{ type: 'handshake-wanted', peer: 2 }]);
  p.keypair(2);
  const ring = new RelayRing(p.arena, 'out');
  let waited = 0;
  ring.read(() => waited++);
  t.ok(waited >= 2, `${waited} by the relay`);
});
