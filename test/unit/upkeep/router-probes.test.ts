import t from 'tap';
import type { Env } from '../../../src/base/env.ts';
import { millis } from '../../../src/base/time.ts';
import { GRACE } from '../../../src/control/coordinator/coordinator.ts';
import { deleteNode } from '../../../src/control/registry/nodes.ts';
import { announceRoutes, approveRoutes } from '../../../src/control/registry/routes.ts';
import { RouterProbes } from '../../../src/control/upkeep/router-probes.ts';
import type { PingRequest } from '../../../src/protocol/tailcfg/map-types.ts';
import { must } from '../../must.ts';
import { machineKey, World } from '../control/world.ts';
import { Network } from '../coordinator/network.ts';
import { HeldClock } from '../map/network.ts';

const PREFIX = '10.0.0.0/24';
const BY = { kind: 'user', name: 'root', from: 'control.sock' } as const;
const URL_OF = /^https:\/\/192\.0\.2\.1:8080\/machine\/ping-response\?id=([0-9a-f]{32})$/;

interface Asked {
  readonly node: number;
  readonly id: string;
  /** Milliseconds of the held clock. */
  readonly at: number;
}

/**
 * Connected machines 1, 2, …, of which each announces what is given and has it approved. Who is in `answering`
 * answers within 100 ms.
 */
class Routers {
  readonly network: Network;
  readonly probes: RouterProbes;
  readonly asked: Asked[] = [];
  readonly answering = new Set<number>();
  readonly open = new Set<number>();
  /** No stream has room. */
  full = false;
  readonly raised = new Map<string, string>();
  readonly faults: string[] = [];
  readonly #sessions = new Map<number, number>();

  /** @param timers of the probes; those of the network where there are none */
  constructor(
    prefixes: readonly (readonly string[])[],
    timers: Partial<Pick<Env, 'now' | 'setTimer'>> = {},
  ) {
    const world = new World();
    const alice = world.user('alice');
    for (const [i, routes] of prefixes.entries()) {
      const node = world.join(i + 1, alice).id;
      const request = { node, prefixes: routes };
      world.make((model, context) => announceRoutes(model, request, context));
      world.make((model, context) => approveRoutes(model, request, context));
    }
    this.network = new Network(world.model);
    this.probes = new RouterProbes({
      coordinator: this.network.coordinator,
      env: { ...this.network.env, ...timers },
      maps: {
        isOpen: (node) => this.open.has(node),
        ping: (node, request) => this.#ping(node, request),
      },
      health: {
        raise: ({ code, text }) => void this.raised.set(code, text),
        lower: (code) => void this.raised.delete(code),
      },
      controlUrl: () => 'http://192.0.2.1:8080',
    });
    for (const [i] of prefixes.entries()) {
      this.connect(i + 1);
      this.answering.add(i + 1);
    }
  }

  connect(node: number): void {
    this.open.add(node);
    this.#sessions.set(node, this.network.coordinator.connect(node));
  }

  disconnect(node: number): void {
    this.open.delete(node);
    this.network.coordinator.disconnect(node, must(this.#sessions.get(node)), 'closed');
  }

  get primary(): number | undefined {
    return this.network.coordinator.network.live.primaries.get(PREFIX);
  }

  #ping(node: number, { URL: url, URLIsNoise }: PingRequest): boolean {
    if (this.full) return false;
    const id = URL_OF.exec(url)?.[1];
    if (id === undefined || URLIsNoise !== true) this.faults.push(url);
    this.asked.push({ node, id: id ?? '', at: this.network.clock.now() });
    if (this.answering.has(node))
      this.network.clock.setTimer(this.network.clock.now() + 100, () => {
        if (!this.probes.answered(id ?? '', machineKey(node))) this.faults.push(`${id} not known`);
      });
    return true;
  }
}

t.test(
  'router probes: both routers of a prefix are asked every 10 s, each time by a new id',
  async (t) => {
    const routers = new Routers([[PREFIX], [PREFIX], []]);
    routers.network.pass(60_000);
    t.same(
      routers.asked.map(({ node, at }) => `${node} at ${at}`),
      [1, 11, 21, 31, 41, 51].flatMap((second) => [
        `1 at ${second * 1000}`,
        `2 at ${second * 1000}`,
      ]),
    );
    t.equal(new Set(routers.asked.map(({ id }) => id)).size, 12);
    t.same(routers.probes.counters(), { asked: 12, answered: 12, unanswered: 0 });
    t.same(routers.faults, []);
    t.equal(routers.primary, 1, 'and nothing moves while all is well');
  },
);

t.test('router probes: who has no stand-in is not asked, and no timer is set', async (t) => {
  const exits = ['0.0.0.0/0', '::/0'];
  const routers = new Routers([
    [PREFIX, ...exits],
    ['10.0.1.0/24', ...exits],
  ]);
  const { clock, coordinator } = routers.network;
  const before = clock.pending;
  routers.network.pass(60_000);
  t.same(routers.asked, []);
  t.equal(clock.pending, before);

  const prefixes = [PREFIX];
  await coordinator.change(BY, (m, c) => announceRoutes(m, { node: 2, prefixes }, c));
  routers.network.pass(60_000);
  t.same(routers.asked, [], 'announced is not approved');
  await coordinator.change(BY, (m, c) => approveRoutes(m, { node: 2, prefixes }, c));
  routers.network.pass(1000);
  t.equal(routers.asked.length, 2);
  await coordinator.change(BY, (m, c) => deleteNode(m, { node: 2 }, c));
  routers.network.pass(60_000);
  t.equal(routers.asked.length, 2, 'deleted');
  t.equal(clock.pending, before);
});

t.test('router probes: a silent router loses its prefix after 5 s, and is asked on', async (t) => {
  const routers = new Routers([[PREFIX], [PREFIX]]);
  routers.network.pass(2000);
  routers.answering.delete(1);
  routers.network.pass(11_000 + 4999 - 2000);
  t.equal(routers.primary, 1);
  t.same([...routers.raised], []);
  routers.network.pass(1);
  t.equal(routers.primary, 2);
  t.match(routers.raised.get('router-silent'), /1 connected but silent.*: host1$/);
  t.same(routers.probes.counters(), { asked: 4, answered: 3, unanswered: 1 });
  routers.answering.add(1);
  routers.network.pass(5100);
  t.same([...routers.raised], [], 'it answers again');
  t.equal(routers.primary, 2, 'and what works is left where it is');
  routers.answering.delete(2);
  routers.network.pass(15_000);
  t.equal(routers.primary, 1, 'until it is needed');
  t.same(routers.faults, []);
});

t.test('router probes: a client that has never answered in its stream is left alone', async (t) => {
  const routers = new Routers([[PREFIX], [PREFIX]]);
  routers.answering.delete(1);
  routers.network.pass(120_000);
  t.equal(routers.primary, 1);
  t.same([...routers.raised], []);
  t.equal(routers.probes.counters().unanswered, 12);

  routers.answering.add(1);
  routers.network.pass(10_000);
  routers.answering.delete(1);
  routers.network.pass(2000);
  routers.connect(1);
  routers.network.pass(60_000);
  t.equal(routers.primary, 1, 'what it did in its last stream does not count');

  const { id } = must(routers.asked.findLast(({ node }) => node === 1));
  routers.connect(1);
  t.equal(routers.probes.answered(id, machineKey(1)), true);
  routers.network.pass(60_000);
  t.equal(routers.primary, 1, 'nor does an answer to a question in that');
});

t.test('router probes: an answer counts once, in time, and of the machine asked', async (t) => {
  const routers = new Routers([[PREFIX], [PREFIX]]);
  const { probes, network } = routers;
  network.pass(2000);
  routers.answering.delete(1);
  network.pass(10_000);
  const { id } = must(routers.asked.findLast(({ node }) => node === 1));
  t.equal(probes.answered(id, undefined), false, 'outside Noise');
  t.equal(probes.answered(id, machineKey(2)), false, 'another machine');
  t.equal(probes.answered('', machineKey(1)), false);
  t.equal(probes.answered(id, machineKey(1)), true);
  t.equal(probes.answered(id, machineKey(1)), false, 'again');
  network.pass(10_000);
  const { id: late } = must(routers.asked.findLast(({ node }) => node === 1));
  network.pass(4000);
  t.equal(routers.primary, 2);
  t.equal(probes.answered(late, machineKey(1)), false, 'late');
  t.equal(routers.primary, 2);
  t.match(probes.counters(), { unanswered: 1 });
});

t.test('router probes: a stream that is closed or full is judged by others', async (t) => {
  const routers = new Routers([[PREFIX], [PREFIX]]);
  routers.network.pass(2000);
  routers.full = true;
  routers.network.pass(20_000);
  t.equal(routers.primary, 1);
  t.equal(routers.probes.counters().asked, 2);
  routers.full = false;
  routers.answering.delete(1);
  routers.network.pass(9500);
  t.equal(routers.asked.length, 4);
  routers.disconnect(1);
  routers.network.pass(5000);
  t.equal(routers.primary, 1, 'within the grace');
  routers.network.pass(GRACE);
  t.equal(routers.primary, 2);
});

t.test('router probes: a silent router that is the last one has its prefix again', async (t) => {
  const routers = new Routers([[PREFIX], [PREFIX]]);
  routers.network.pass(2000);
  routers.answering.delete(2);
  routers.network.pass(20_000);
  t.match(routers.raised.get('router-silent'), /host2/);
  routers.disconnect(1);
  routers.network.pass(GRACE);
  t.equal(routers.primary, undefined);
  routers.network.pass(10_000);
  t.equal(routers.primary, 2, 'a doubtful router is better than none');
  t.same([...routers.raised], []);
  routers.connect(1);
  routers.network.pass(30_000);
  t.equal(routers.primary, 2, 'nothing is held against it');
});

t.test('router probes: a stall of our own makes nobody unhealthy', async (t) => {
  const held = new HeldClock();
  const routers = new Routers([[PREFIX], [PREFIX]], {
    now: () => held.now,
    setTimer: held.setTimer,
  });
  routers.answering.clear();
  const answer = (): boolean[] =>
    routers.asked.splice(0).map(({ node, id }) => routers.probes.answered(id, machineKey(node)));
  held.pass(1000);
  t.same(answer(), [true, true]);
  held.pass(10_000);
  held.now = millis(held.now + 30_000);
  held.pass(0);
  t.same(answer(), [true, true], 'timers that are due come before what has arrived');
  held.pass(5000);
  t.match(routers.probes.counters(), { answered: 4, unanswered: 0 });
  held.pass(8999);
  t.match(routers.probes.counters(), { unanswered: 0 });
  held.pass(1);
  t.match(routers.probes.counters(), { unanswered: 2 }, 'as it is without a stall');
});

t.test('router probes: after the end nobody is asked', async (t) => {
  const routers = new Routers([[PREFIX], [PREFIX]]);
  routers.network.pass(2000);
  routers.probes.close();
  routers.network.pass(60_000);
  routers.disconnect(1);
  routers.network.pass(GRACE);
  routers.connect(1);
  routers.network.pass(60_000);
  t.equal(routers.asked.length, 2);
});
