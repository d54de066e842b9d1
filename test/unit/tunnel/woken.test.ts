import t from 'tap';
import type { NodePublic } from '../../../src/base/keys.ts';
import { NodePrivate, nodePublic } from '../../../src/base/keys.ts';
import { millis, seconds } from '../../../src/base/time.ts';
import { createArena, PEER, peerAt } from '../../../src/node/dataplane/arena.ts';
import { seeded } from '../../seeded.ts';
import { Clock } from '../../sim/clock.ts';
import { meshTunnel } from './mesh-tunnel.ts';

t.test(
  'woken: those with whom data was exchanged since then are called, nobody else',
  async (t) => {
    const clock = new Clock();
    clock.runTo(1000);
    const random = seeded(5);
    const arena = createArena({ activePeers: 4, flows: 64, rules: 64 });
    const called: NodePublic[] = [];
    const send = (to: NodePublic): boolean => called.push(to) === 0;
    const tunnel = meshTunnel(clock, random, { send }, { arena });
    const peers = [1, 2, 3, 4].map(() => nodePublic(random.bytes(32)));
    const [sender, receiver, old] = peers;
    tunnel.configure({
      privateKey: new NodePrivate(random.bytes(32)),
      peers: peers.map((publicKey) => ({ publicKey, allowedIps: [] })),
    });
    tunnel.up();
    // Each but the last has been talked with.
    for (const [slot, [mark, at]] of (
      [
        [PEER.lastDataSent, 5000],
        [PEER.lastDataReceived, 5000],
        [PEER.lastDataSent, 4999],
      ] as const
    ).entries()) {
      tunnel.onEvent({ type: 'handshake-wanted', peer: slot + 1 });
      arena.u32[(peerAt(arena.layout, slot) + PEER.number) >> 2] = slot + 1;
      arena.f64[(peerAt(arena.layout, slot) + mark) >> 3] = at;
    }
    // Nobody answers; they are given up.
    clock.runTo(clock.now() + seconds(200));
    t.ok(called.includes(old as NodePublic), 'there was a handshake');
    called.length = 0;
    tunnel.mesh?.call(millis(5000));
    t.same(called, [sender, receiver]);
    tunnel.mesh?.call(millis(5000));
    t.same(called.slice(2), [sender, receiver], 'once more, with no answer to the first yet');
    tunnel.close();
  },
);
