/** A tunnel of a mesh without a data plane: its main thread's part, on a virtual clock. */

import { lineLog } from '../../../src/base/log.ts';
import { unixMillis } from '../../../src/base/time.ts';
import { createArena } from '../../../src/node/dataplane/arena.ts';
import type { MeshPort, TunnelPorts } from '../../../src/node/tunnel/ports.ts';
import { Tunnel } from '../../../src/node/tunnel/tunnel.ts';
import type { Seeded } from '../../seeded.ts';
import type { Clock } from '../../sim/clock.ts';

export function meshTunnel(
  clock: Clock,
  random: Seeded,
  port: Partial<MeshPort>,
  ports: Partial<TunnelPorts> = {},
): Tunnel {
  return new Tunnel(
    {
      now: () => clock.now(),
      wall: () => unixMillis(clock.now()),
      random: (length) => random.bytes(length),
      setTimer: (at, action) => clock.setTimer(at, action),
      log: lineLog(() => {}, 'error'),
    },
    {
      arena: createArena({ activePeers: 4, flows: 64, rules: 64 }),
      link: { send: () => {}, flush: () => {} },
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
        send: () => false,
        heard: () => {},
        relay: () => {},
        relayEnd: () => {},
        wanted: () => {},
        foreign: () => false,
        inner: () => {},
        ...port,
      },
      ...ports,
    },
  );
}
