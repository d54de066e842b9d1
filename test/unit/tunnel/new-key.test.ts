import t from 'tap';
import type { Endpoint } from '../../../src/base/endpoint.ts';
import { parseEndpoint } from '../../../src/base/endpoint.ts';
import { NodePrivate, nodePublic } from '../../../src/base/keys.ts';
import { millis } from '../../../src/base/time.ts';
import { ownKey } from '../../../src/crypto/x25519.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { Clock } from '../../sim/clock.ts';
import { meshTunnel } from './mesh-tunnel.ts';

const THERE: Endpoint = must(parseEndpoint('192.0.2.7:41641'));

t.test(
  'new key: peers may not know it yet, so it is tried again after half a second',
  async (t) => {
    const clock = new Clock();
    clock.runTo(1000);
    const random = seeded(3);
    const sent: number[] = [];
    const tunnel = meshTunnel(clock, random, { send: () => sent.push(clock.now()) === 0 });
    const peer = nodePublic(random.bytes(32));
    tunnel.configure({
      privateKey: new NodePrivate(random.bytes(32)),
      peers: [{ publicKey: peer, allowedIps: [] }],
    });
    tunnel.up();
    tunnel.mesh?.setWay(peer, { direct: THERE, trustedUntil: millis(60_000) });
    const begin = (): void => tunnel.onEvent({ type: 'handshake-wanted', peer: 1 });
    /** From each initiation to the next. */
    const pauses = (forMillis: number): readonly number[] => {
      sent.length = 0;
      begin();
      clock.runTo(clock.now() + forMillis);
      return sent.slice(1).map((at, i) => at - must(sent[i]));
    };
    const isQuick = (which: string): void => {
      const quick = pauses(4500);
      t.ok(quick.length >= 5 && quick.length <= 9, `${which}: ${quick.length} times`);
      t.ok(
        quick.every((pause) => pause >= 500 && pause < 834),
        quick.join(),
      );
      clock.runTo(clock.now() + 6000);
      sent.length = 0;
      clock.runTo(clock.now() + 12_000);
      t.ok(sent.length <= 3, 'and then as usual');
      // Until it is given up.
      clock.runTo(clock.now() + 120_000);
    };
    isQuick('the first, as after joining');
    const usual = pauses(12_000);
    t.equal(usual.length, 2);
    t.ok(
      usual.every((pause) => pause >= 5000 && pause < 5334),
      usual.join(),
    );
    tunnel.configure({ privateKey: new NodePrivate(random.bytes(32)), peers: [] });
    isQuick('another');
    tunnel.close();
  },
);

t.test('new key: whoever we talked with is called with it at once, and nobody else', async (t) => {
  const clock = new Clock();
  clock.runTo(1000);
  const random = seeded(5);
  const keys = Array.from({ length: 3 }, () => new NodePrivate(random.bytes(32)));
  const [ourOld, ourNew, theirs] = keys as [NodePrivate, NodePrivate, NodePrivate];
  const publicOf = (key: NodePrivate) => nodePublic(ownKey(key.expose()).publicKey);
  const there = publicOf(theirs);
  const silent = nodePublic(random.bytes(32));
  let called: (readonly [number, boolean])[] = [];
  let mine = publicOf(ourOld);
  const other = meshTunnel(clock, random, {
    relay: (_, datagram) => us.mesh?.relayed(there, datagram),
  });
  const us = meshTunnel(clock, random, {
    send: (to, datagram) => {
      called.push([clock.now(), to === there]);
      if (to === there) other.mesh?.relayed(mine, datagram);
      return false;
    },
  });
  us.configure({
    privateKey: ourOld,
    peers: [silent, there].map((publicKey) => ({ publicKey, allowedIps: [] })),
  });
  other.configure({ privateKey: theirs, peers: [{ publicKey: mine, allowedIps: [] }] });
  us.up();
  other.up();
  const handshakeAt = () =>
    must(us.status().peers.find((p) => p.publicKey === there)).lastHandshake;
  us.onEvent({ type: 'handshake-wanted', peer: 2 });
  t.equal(handshakeAt(), 1000, 'they have talked');
  clock.runTo(60_000);
  called = [];
  mine = publicOf(ourNew);
  us.configure({ privateKey: ourNew, peers: [] });
  t.same(called, [[60_000, true]]);
  clock.runTo(61_000);
  t.equal(handshakeAt(), 1000, 'the other has not heard of the key');
  other.configure({ peers: [{ publicKey: mine, allowedIps: [] }] });
  clock.runTo(62_000);
  t.ok(handshakeAt() > 61_000, 'it is told soon after');
  t.ok(
    called.every(([, wanted]) => wanted),
    'and a peer that never talked is left alone',
  );
  us.close();
  other.close();
});

t.test(
  'handshake: one that took an untried way is tried again by others after half a second',
  async (t) => {
    const clock = new Clock();
    clock.runTo(1000);
    const random = seeded(8);
    const sent: (readonly [number, boolean])[] = [];
    const tunnel = meshTunnel(clock, random, {
      send: (_to, _datagram, again) => {
        sent.push([clock.now(), again]);
        return !again;
      },
    });
    tunnel.configure({
      privateKey: new NodePrivate(random.bytes(32)),
      peers: [{ publicKey: nodePublic(random.bytes(32)), allowedIps: [] }],
    });
    tunnel.up();
    // Our key is known to all by then.
    clock.runTo(7000);
    tunnel.onEvent({ type: 'handshake-wanted', peer: 1 });
    clock.runTo(12_000);
    t.same(sent.slice(0, 2), [
      [7000, false],
      [7500, true],
    ]);
    t.equal(sent.length, 2, 'and then as usual');
    tunnel.close();
  },
);
