import t from 'tap';
import { lineLog } from '../../../src/base/log.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import { Listening } from '../../../src/listening.ts';
import { TunnelHealth } from '../../../src/node/tunnel/tunnel-health.ts';
import { Clock } from '../../sim/clock.ts';

function world(): {
  health: TunnelHealth;
  lines: string[];
  codes(): string[];
  clock: Clock;
  listening: Listening;
  port: { taken: boolean; open: boolean };
} {
  const lines: string[] = [];
  const log = lineLog((line) => lines.push(line), 'info');
  const health = new TunnelHealth('wg0', log);
  const clock = new Clock();
  const port = { taken: false, open: false };
  const listener = {
    up: () => {
      if (port.taken) throw new Error('cannot bind UDP port 51820: EADDRINUSE');
      port.open = true;
    },
    down: () => {
      port.open = false;
    },
  };
  const env = {
    now: () => clock.now(),
    wall: () => unixMillis(0),
    random: (length: number) => new Uint8Array(length),
    setTimer: (at: number, action: () => void) => clock.setTimer(at, action),
    log,
  };
  const listening = new Listening(env, listener, health);
  const codes = () => health.items().map(({ code, severity }) => `${severity} ${code}`);
  return { health, lines, codes, clock, listening, port };
}

t.test('health: an AEAD is an item only where it is slower and nobody chose it', async (t) => {
  for (const [aead, chosen, raised] of [
    ['openssl-batch', false, false],
    ['openssl-batch', true, false],
    ['openssl-raw', false, true],
    ['openssl-raw', true, false],
    ['openssl-evp', false, true],
    ['openssl-evp', true, false],
    ['node-crypto', false, true],
    ['node-crypto', true, false],
  ] as const) {
    const { health, codes } = world();
    health.sealing(aead, ['batch is not there'], chosen);
    t.same(codes(), raised ? ['warning aead-fallback'] : [], `${aead}, chosen: ${chosen}`);
  }
});

t.test('health: an item makes one line when it is raised, and one when it is over', async (t) => {
  const { health, lines, codes } = world();
  for (let i = 0; i < 3; i++) health.boundStored('ENOSPC');
  t.same(codes(), ['warning time-stamp-bound']);
  t.equal(lines.length, 1);
  t.match(lines[0], /^warn health: time-stamp-bound text=".*ENOSPC.*" remedy=".+"\n$/);
  health.boundStored('EROFS');
  t.equal(lines.length, 2, 'another reason is news');
  for (let i = 0; i < 3; i++) health.boundStored(undefined);
  t.same(codes(), []);
  t.match(lines.slice(2), ['info health: time-stamp-bound is over\n']);
});

t.test('health: GSO that never was is not missed', async (t) => {
  const { health, codes } = world();
  health.gso({ udp4: false, udp6: true }, { udp4: false, udp6: true });
  t.same(codes(), []);
  health.gso({ udp4: true, udp6: true }, { udp4: false, udp6: true });
  t.same(codes(), ['notice gso-off']);
  t.match(health.items()[0]?.text, /over IPv4:/);
  health.gso({ udp4: true, udp6: true }, { udp4: true, udp6: true });
  t.same(codes(), [], 'new sockets begin anew');
});

t.test('health: the worst comes first', async (t) => {
  const { health, codes } = world();
  health.link(false);
  health.sealing('node-crypto', [], false);
  health.listening('EADDRINUSE');
  t.same(codes(), ['error listen-port', 'warning aead-fallback', 'notice interface-down']);
});

t.test('listening: a taken port is told once, and had as soon as it is free', async (t) => {
  const { listening, port, codes, lines, clock } = world();
  listening.link(false);
  t.same(codes(), [], 'at the start every interface is down');
  clock.runTo(millis(5000));
  t.same(codes(), ['notice interface-down']);
  t.doesNotThrow(() => listening.again(), 'a change while down needs no port');
  port.taken = true;
  listening.link(true);
  t.same(codes(), ['error listen-port']);
  clock.runTo(millis(60_000));
  t.throws(() => listening.again(), /EADDRINUSE/, 'who changes the configuration is told');
  t.equal(lines.filter((line) => line.startsWith('error')).length, 1);
  port.taken = false;
  clock.runTo(millis(clock.now() + 10_000));
  t.equal(port.open, true);
  t.same(codes(), []);
  t.equal(clock.pending, 0, 'nothing is tried any more');
});

t.test('listening: an interface that goes down stops trying', async (t) => {
  const { listening, port, codes, clock } = world();
  port.taken = true;
  listening.link(true);
  listening.link(false);
  t.equal(clock.pending, 0);
  t.same(codes(), ['notice interface-down']);
  listening.link(true);
  listening.close();
  t.equal(clock.pending, 0);
});
