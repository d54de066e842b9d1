/** The first handshake with a peer that no way is known to: directly where it may be, by the relay if nothing comes. */

import t from 'tap';
import type { Endpoint } from '../../../src/base/endpoint.ts';
import { formatEndpoint, parseEndpoint } from '../../../src/base/endpoint.ts';
import { nodePublic } from '../../../src/base/keys.ts';
import { lineLog } from '../../../src/base/log.ts';
import { unixMillis } from '../../../src/base/time.ts';
import type { Paths } from '../../../src/node/paths/paths.ts';
import type { MeshLink } from '../../../src/node/tunnel/mesh-link.ts';
import { NodeWires } from '../../../src/node-wires.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { Clock } from '../../sim/clock.ts';

const PEER = nodePublic(seeded(1).bytes(32));
const NEAR = must(parseEndpoint('192.168.1.2:41641'));
const FAR = must(parseEndpoint('203.0.113.9:41641'));
const INITIATION = Uint8Array.of(1, 0, 0, 0, 7);

class Stand {
  readonly clock: Clock = new Clock();
  readonly events: string[] = [];
  ways: { direct?: Endpoint; relay: number } = { relay: 900 };
  readonly wires: NodeWires;

  constructor(hopes: readonly Endpoint[]) {
    const say = (what: string): void => void this.events.push(`${this.clock.now()} ${what}`);
    this.wires = new NodeWires({
      now: () => this.clock.now(),
      wall: () => unixMillis(0),
      random: (length) => new Uint8Array(length),
      setTimer: (at, action) => this.clock.setTimer(at, action),
      log: lineLog(() => {}, 'error'),
    });
    this.wires.join({
      mesh: {
        sendUdp: (to: Endpoint, datagram: Uint8Array) =>
          say(`${formatEndpoint(to)} ${datagram.at(-1)}`),
      } as unknown as MeshLink,
      paths: {
        waysOf: () => this.ways,
        hopesFor: () => hopes,
        heard: () => say('heard'),
        wanted: () => say('wanted'),
      } as unknown as Paths,
      relays: {
        send: (region, _peer, datagram) => {
          say(`relay ${region} ${datagram.at(-1)}`);
          return true;
        },
        flush: () => {},
      },
    });
  }
}

t.test(
  'wires: where nothing can be hoped for, by all known ways, and paths are asked for',
  async (t) => {
    const stand = new Stand([]);
    t.notOk(stand.wires.port.send(PEER, INITIATION, false));
    stand.ways = { direct: NEAR, relay: 900 };
    stand.wires.port.send(PEER, INITIATION, true);
    t.same(stand.events, [
      '0 relay 900 7',
      '0 wanted',
      `0 ${formatEndpoint(NEAR)} 7`,
      '0 relay 900 7',
      '0 wanted',
    ]);
  },
);

t.test('wires: no answer from where it may be, so that the relay has it 5 ms later', async (t) => {
  const stand = new Stand([NEAR]);
  const datagram = INITIATION.slice();
  t.ok(stand.wires.port.send(PEER, datagram, false), 'by an untried way');
  datagram.fill(0);
  stand.clock.runTo(100);
  t.same(stand.events, [`0 ${formatEndpoint(NEAR)} 7`, '5 relay 900 7', '5 wanted'], 'a copy');
});

t.test('wires: the likeliest place first, others 3 ms later if it is silent', async (t) => {
  const stand = new Stand([NEAR, FAR]);
  stand.wires.port.send(PEER, INITIATION, false);
  stand.clock.runTo(1);
  stand.wires.port.heard(PEER, NEAR);
  stand.clock.runTo(100);
  t.same(stand.events, [`0 ${formatEndpoint(NEAR)} 7`, '1 heard', '5 wanted']);
  const silent = new Stand([NEAR, FAR]);
  silent.wires.port.send(PEER, INITIATION, false);
  silent.clock.runTo(100);
  t.same(silent.events, [
    `0 ${formatEndpoint(NEAR)} 7`,
    `3 ${formatEndpoint(FAR)} 7`,
    '5 relay 900 7',
    '5 wanted',
  ]);
});

t.test('wires: an answer in time leaves the relay alone', async (t) => {
  const stand = new Stand([NEAR]);
  stand.wires.port.send(PEER, INITIATION, false);
  stand.clock.runTo(3);
  stand.wires.port.heard(PEER, NEAR);
  stand.clock.runTo(100);
  t.same(stand.events, [`0 ${formatEndpoint(NEAR)} 7`, '3 heard', '5 wanted']);
});

t.test('wires: what is sent again goes by the known ways alone', async (t) => {
  const stand = new Stand([NEAR]);
  t.notOk(stand.wires.port.send(PEER, INITIATION, true));
  t.same(stand.events, ['0 relay 900 7', '0 wanted']);
});
