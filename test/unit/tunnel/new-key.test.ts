import t from 'tap';
import type { Endpoint } from '../../../src/base/endpoint.ts';
import { parseEndpoint } from '../../../src/base/endpoint.ts';
import { NodePrivate, nodePublic } from '../../../src/base/keys.ts';
import { lineLog } from '../../../src/base/log.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import { createArena } from '../../../src/node/dataplane/arena.ts';
import { Tunnel } from '../../../src/node/tunnel/tunnel.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { Clock } from '../../sim/clock.ts';

const THERE: Endpoint = must(parseEndpoint('192.0.2.7:41641'));

t.test(
  'new key: peers may not know it yet, so it is tried again after half a second',
  async (t) => {
    const clock = new Clock();
    clock.runTo(1000);
    const random = seeded(3);
    const sent: number[] = [];
    const tunnel = new Tunnel(
      {
        now: () => clock.now(),
        wall: () => unixMillis(clock.now()),
        random: (length) => random.bytes(length),
        setTimer: (at, action) => clock.setTimer(at, action),
        log: lineLog(() => {}, 'error'),
      },
      {
        arena: createArena({ activePeers: 4, flows: 64, rules: 64 }),
        link: { send: () => {} },
        sockets: {
          open: () => ({
            port: 41641,
            udp4: 1,
            udp6: -1,
            gso: true,
            sendTo: () => {},
            setMark: () => {},
            close: () => {},
          }),
        },
        timestamps: { bound: undefined, extend: (_, done) => done(true) },
        mesh: {
          send: () => void sent.push(clock.now()),
          relay: () => {},
          relayEnd: () => {},
          wanted: () => {},
          foreign: () => false,
          inner: () => {},
        },
      },
    );
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
    const usual = pauses(12_000);
    t.equal(usual.length, 2);
    t.ok(
      usual.every((pause) => pause >= 5000 && pause < 5334),
      usual.join(),
    );
    tunnel.configure({ privateKey: new NodePrivate(random.bytes(32)), peers: [] });
    const quick = pauses(4500);
    t.ok(quick.length >= 5 && quick.length <= 9, `${quick.length} times`);
    t.ok(
      quick.every((pause) => pause >= 500 && pause < 834),
      quick.join(),
    );
    clock.runTo(clock.now() + 6000);
    sent.length = 0;
    clock.runTo(clock.now() + 12_000);
    t.ok(sent.length <= 3, 'and then as usual');
    tunnel.close();
  },
);
