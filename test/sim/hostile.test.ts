import t from 'tap';
import { sockaddr } from '../../src/base/endpoint.ts';
import { must } from '../must.ts';
import { FAIR } from './network.ts';
import type { World } from './world.ts';
import { A_ENDPOINT, B_ENDPOINT, numbers, packet, reportOf, world } from './world.ts';

const INITIATION = 1;
const RESPONSE = 2;
const TRANSPORT = 4;
const MAC1_AT = 116;
const MAC_BITS = 128;
const TO_B = sockaddr(B_ENDPOINT);
const STRANGER = { ...A_ENDPOINT, port: 6666 };

/** Datagrams of a type that a sends from now on; `kept` ones do not get through. */
function capture({ network }: World, type: number, kept: boolean): Uint8Array[] {
  const seen: Uint8Array[] = [];
  network.tap = (datagram, from) => {
    if (datagram[0] !== type || !from.endsWith(`:${A_ENDPOINT.port}`)) return true;
    seen.push(datagram.slice());
    return !kept;
  };
  return seen;
}

/** How many datagrams b sends from now on. */
function answersOfB({ network }: World): { count: number } {
  const answers = { count: 0 };
  network.tap = (_, from) => {
    if (from.endsWith(`:${B_ENDPOINT.port}`)) answers.count++;
    return true;
  };
  return answers;
}

function flipped(datagram: Uint8Array, bit: number): Uint8Array {
  const copy = datagram.slice();
  copy[bit >> 3] = must(copy[bit >> 3]) ^ (1 << (bit & 7));
  return copy;
}

/** Throws datagrams at b, a few at a time, so that it is not under load. */
function throwAtB(w: World, datagrams: readonly Uint8Array[], from = STRANGER): void {
  for (const datagram of datagrams) {
    w.network.send(from, TO_B, datagram);
    w.clock.runTo(w.clock.now() + 10);
  }
}

t.test('hostile: a replayed transport datagram is refused, and moves no endpoint', async (t) => {
  const w = world(30);
  w.a.send(packet(1, 2, 0));
  w.clock.runTo(100);
  const sent = capture(w, TRANSPORT, false);
  for (let number = 1; number <= 100; number++) w.a.send(packet(1, 2, number));
  w.clock.runTo(200);
  t.equal(w.b.delivered.length, 101);
  throwAtB(w, sent);
  t.equal(w.b.delivered.length, 101, 'nothing twice');
  const { drops } = await reportOf(w.b, w.clock);
  t.same(drops, { 'in: replayed': 100 });
  t.equal(w.b.tunnel.status().peers[0]?.endpoint?.port, A_ENDPOINT.port);
});

t.test('hostile: with any one bit changed a transport datagram is refused', async (t) => {
  const w = world(31);
  w.a.send(packet(1, 2, 0));
  w.clock.runTo(100);
  const sent = capture(w, TRANSPORT, true);
  w.a.send(packet(1, 2, 1));
  const genuine = must(sent[0]);
  const before = w.b.delivered.length;
  const answers = answersOfB(w);
  throwAtB(
    w,
    Array.from({ length: genuine.length * 8 }, (_, bit) => flipped(genuine, bit)),
  );
  t.equal(w.b.delivered.length, before, 'none was let in');
  t.equal(answers.count, 0, 'nor answered');
  const { drops } = await reportOf(w.b, w.clock);
  const forged = (genuine.length - 8) * 8;
  t.same(drops, { 'in: malformed': 32, 'in: unknown index': 32, 'in: forged': forged });
  t.equal(w.b.tunnel.status().peers[0]?.endpoint?.port, A_ENDPOINT.port, 'the endpoint stays');
  throwAtB(w, [genuine], A_ENDPOINT);
  t.equal(w.b.delivered.length, before + 1, 'the genuine one still is');
});

t.test('hostile: an inner source that is nobody’s is dropped', async (t) => {
  const w = world(32);
  w.a.send(packet(1, 2, 0));
  w.a.send(packet(9, 2, 1));
  w.a.send(packet(2, 2, 2));
  w.a.send(packet(1, 2, 3));
  w.clock.runTo(100);
  t.same(numbers(w.b.delivered), [0, 3]);
  t.same((await reportOf(w.b, w.clock)).drops, { 'in: source not allowed': 2 });
});

t.test('hostile: an initiation with a wrong MAC1 is not answered', async (t) => {
  const w = world(33);
  const sent = capture(w, INITIATION, true);
  w.a.send(packet(1, 2, 0));
  w.clock.runTo(10);
  const genuine = must(sent[0]);
  const answers = answersOfB(w);
  const wrong = Array.from({ length: MAC_BITS }, (_, i) => flipped(genuine, MAC1_AT * 8 + i));
  throwAtB(w, wrong);
  t.equal(answers.count, 0);
  const { handshakes } = await reportOf(w.b, w.clock);
  t.same(handshakes, { 'handshake: wrong MAC1': MAC_BITS });
  throwAtB(w, [genuine], A_ENDPOINT);
  t.equal(answers.count, 1, 'the genuine one is, once');
});

t.test('hostile: an initiation again, or an older one, is not answered', async (t) => {
  const w = world(34);
  const held = capture(w, INITIATION, true);
  w.a.send(packet(1, 2, 0));
  w.clock.runTo(12_000);
  t.equal(held.length, 3, 'three tries');
  const answers = answersOfB(w);
  throwAtB(w, [must(held[2])], A_ENDPOINT);
  t.equal(answers.count, 1, 'the last one is answered');
  w.clock.runTo(w.clock.now() + 100);
  throwAtB(w, [must(held[2]), must(held[1]), must(held[0])]);
  t.equal(answers.count, 1);
  t.equal((await reportOf(w.b, w.clock)).handshakes['handshake: replayed initiation'], 3);
});

t.test('hostile: what was sealed under a keypair is refused 180 s after its birth', async (t) => {
  const w = world(35);
  w.a.send(packet(1, 2, 0));
  w.clock.runTo(100);
  const held = capture(w, TRANSPORT, true);
  for (const number of [1, 2]) w.a.send(packet(1, 2, number));
  // No handshake renews the keypair: the silence lets both ends try, and the cable is out.
  w.network.weather = { ...FAIR, loss: 100 };
  w.clock.runTo(179_900);
  w.network.weather = FAIR;
  w.network.tap = () => true;
  throwAtB(w, [must(held[0])], A_ENDPOINT);
  t.same(numbers(w.b.delivered), [0, 1], 'after 179.9 s it is taken');
  w.clock.runTo(180_100);
  throwAtB(w, [must(held[1])], A_ENDPOINT);
  t.same(numbers(w.b.delivered), [0, 1], 'after 180.1 s no longer');
  t.same((await reportOf(w.b, w.clock)).drops, { 'in: keypair expired': 1 });
});

t.test('hostile: nothing is sent under a keypair of 180 s', async (t) => {
  const w = world(36);
  w.a.send(packet(1, 2, 0));
  w.clock.runTo(100);
  w.b.halt();
  w.clock.runTo(179_900);
  const sent = capture(w, TRANSPORT, true);
  w.a.send(packet(1, 2, 1));
  t.equal(sent.length, 1, 'at 179.9 s it is sent');
  w.clock.runTo(180_100);
  w.a.send(packet(1, 2, 2));
  t.equal(sent.length, 1, 'at 180.1 s it waits for a new one');
});

t.test('hostile: an answered keypair carries nothing before the peer has used it', async (t) => {
  const w = world(37);
  w.a.send(packet(1, 2, 0));
  w.clock.runTo(119_000);
  let responses = 0;
  w.network.tap = (datagram) => datagram[0] !== RESPONSE || ++responses === 0;
  for (let number = 1; number <= 40; number++) {
    w.a.send(packet(1, 2, number));
    w.b.send(packet(2, 1, number));
    w.clock.runTo(w.clock.now() + 1000);
  }
  t.ok(responses > 3, `${responses} responses were lost`);
  t.equal(w.b.delivered.length, 41);
  t.equal(w.a.delivered.length, 40, 'both directions went on under the old keypair');
});
