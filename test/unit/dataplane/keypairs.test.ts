import { readFileSync } from 'node:fs';
import t from 'tap';
import { kernelsWasm } from '../../../scripts/kernels.ts';
import { must } from '../../must.ts';
import { ipPacket } from '../../twins/packet.ts';
import type { TestKeypair } from './plane-on-arena.ts';
import { open, PlaneOnArena, seal } from './plane-on-arena.ts';

const wasm = readFileSync(await kernelsWasm());
const OURS = Uint8Array.of(10, 0, 0, 99);
const THEIRS = Uint8Array.of(10, 0, 0, 1);

function make(): { p: PlaneOnArena; keypair: TestKeypair } {
  const p = new PlaneOnArena({ wasm });
  p.addPeer(1);
  const keypair = p.keypair(1);
  return { p, keypair };
}

const plain = (bytes: number): Uint8Array =>
  ipPacket({ source: THEIRS, target: OURS }, 253, new Uint8Array(bytes - 20));

t.test('keypairs: a keypair is heard for 180 s', async (t) => {
  const { p, keypair } = make();
  p.now += 179_999;
  p.udpIn({ datagrams: [seal(plain(100), keypair, 1)] });
  t.equal(p.written.length, 1);
  p.now += 1;
  p.udpIn({ datagrams: [seal(plain(100), keypair, 2)] });
  t.same(p.report().drops, { 'in: keypair expired': 1 });
});

t.test('keypairs: a keypair is heard before its command has had its turn', async (t) => {
  const { p } = make();
  const next = p.writeKeypair(1, 1);
  p.queued.push({ type: 'keypair', slot: 0, keypair: 1, as: 'next' });
  p.udpIn({ datagrams: [seal(plain(100), next, 0)] });
  t.equal(p.written.length, 1);
  t.match(p.eventsOf('confirmed'), [{ slot: 0, keypair: 1 }]);
  t.same(p.report().drops, {});
});

t.test(
  'keypairs: previous, current and next are heard; only what is current is sent under',
  async (t) => {
    const { p, keypair: first } = make();
    const second = p.writeKeypair(1, 1);
    p.plane.apply({ type: 'keypair', slot: 0, keypair: 1, as: 'next' });
    const sentUnder = (): number => {
      p.runs.splice(0);
      p.tunIn({ packet: ipPacket({ source: OURS, target: THEIRS }, 253, new Uint8Array(44)) });
      const [datagram] = must(p.runs[0]).datagrams;
      return new DataView(must(datagram).buffer).getUint32(4, true);
    };
    t.equal(sentUnder(), first.peerIndex, 'the peer has not shown yet that it has the second');
    p.udpIn({ datagrams: [seal(plain(100), first, 0)] });
    t.equal(sentUnder(), first.peerIndex);
    p.udpIn({ datagrams: [seal(plain(100), second, 0)] });
    t.equal(sentUnder(), second.peerIndex, 'now it has');
    p.udpIn({ datagrams: [seal(plain(100), first, 1)] });
    t.equal(p.written.length, 3, 'a late one under the first is still taken');
    t.equal(sentUnder(), second.peerIndex);
    const third = p.writeKeypair(1, 2);
    p.plane.apply({ type: 'keypair', slot: 0, keypair: 2, as: 'current' });
    p.udpIn(
      ...[first, second, third].map((keypair) => ({ datagrams: [seal(plain(99), keypair, 9)] })),
    );
    t.same(p.report().drops, { 'in: unknown index': 1 }, 'the first is no longer named');
    t.same(
      p.eventsOf('released').flatMap(({ keypairs }) => keypairs),
      [0],
    );
  },
);

t.test(
  'keypairs: waiting packets go with the first packet under the answered keypair',
  async (t) => {
    const p = new PlaneOnArena({ wasm });
    p.addPeer(1);
    const packet = ipPacket({ source: OURS, target: THEIRS }, 253, new Uint8Array(44));
    p.tunIn({ packet });
    const keypair = p.writeKeypair(1, 0);
    p.plane.apply({ type: 'keypair', slot: 0, keypair: 0, as: 'next' });
    t.same(p.runs, [], 'not before');
    p.udpIn({ datagrams: [seal(new Uint8Array(0), keypair, 0)] });
    const [datagram] = must(p.runs[0]).datagrams;
    t.same(open(must(datagram), keypair, 0), packet);
  },
);

t.test('keypairs: a forgotten peer is not heard, whatever is under way', async (t) => {
  const { p, keypair } = make();
  p.addPeer(2);
  const other = p.keypair(2);
  p.udpIn({ datagrams: [seal(plain(100), keypair, 1)] });
  p.queued.push({ type: 'deactivate', peer: 1, slot: 0 }, { type: 'forget', peer: 1 });
  // An unknown index lets the commands under way have their turn; what follows in the same run finds no peer.
  const stray = seal(plain(100), { ...keypair, ownIndex: 1 }, 2);
  p.udpIn({ datagrams: [stray, seal(plain(100), keypair, 3)] });
  t.same(p.report().drops, { 'in: unknown index': 2 });
  t.equal(p.written.length, 1);
  const theirs = ipPacket(
    { source: Uint8Array.of(10, 0, 0, 2), target: OURS },
    253,
    new Uint8Array(9),
  );
  p.udpIn({ datagrams: [seal(theirs, other, 0)], host: 2 });
  t.equal(p.written.length, 2, 'the other one is');
});
