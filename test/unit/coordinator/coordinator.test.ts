import t from 'tap';
import { unixMillis } from '../../../src/base/time.ts';
import { GRACE } from '../../../src/control/coordinator/coordinator.ts';
import { isOnline } from '../../../src/control/registry/live.ts';
import { deleteNode, renameNode, setExpiry } from '../../../src/control/registry/nodes.ts';
import { announceRoutes, approveRoutes } from '../../../src/control/registry/routes.ts';
import { World } from '../control/world.ts';
import { Network, START } from './network.ts';

const BY = { kind: 'user', name: 'root', from: 'control.sock' } as const;
const DISCO = `discokey:${'1'.repeat(64)}` as const;

/** Two nodes of one user; `world` changes the model that the network then starts with. */
function two(change: (world: World, a: number, b: number) => void = () => {}) {
  const world = new World();
  const alice = world.user('alice');
  const [a, b] = [world.join(1, alice).id, world.join(2, alice).id];
  change(world, a, b);
  return { network: new Network(world.model), a, b };
}

t.test('coordinator: a node that comes back within the grace was never away', async (t) => {
  const { network, a } = two();
  const { coordinator } = network;
  const first = coordinator.connect(a);
  t.same(network.heard(), [`node live ${a}`]);
  coordinator.disconnect(a, first, 'closed');
  network.pass(GRACE - 1);
  coordinator.connect(a);
  network.pass(10 * GRACE);
  t.same(network.heard(), []);
  t.ok(isOnline(coordinator.network.live, a));
});

t.test(
  'coordinator: a node that stays away is away after the grace, a silent one at once',
  async (t) => {
    const { network, a, b } = two();
    const { coordinator } = network;
    const sessions = [coordinator.connect(a), coordinator.connect(b)] as const;
    network.heard();
    coordinator.disconnect(b, sessions[1], 'silent');
    t.same(network.heard(), [`node live ${b}`]);
    coordinator.disconnect(a, sessions[0], 'closed');
    network.pass(GRACE);
    t.same(network.heard(), [`node live ${a}`]);
    t.notOk(isOnline(coordinator.network.live, a));
  },
);

t.test(
  'coordinator: the end of a stream that was replaced says nothing, also within a grace',
  async (t) => {
    const { network, a } = two();
    const { coordinator } = network;
    const first = coordinator.connect(a);
    const second = coordinator.connect(a);
    coordinator.disconnect(a, first, 'silent');
    coordinator.disconnect(a, second, 'closed');
    const third = coordinator.connect(a);
    coordinator.disconnect(a, second, 'silent');
    network.pass(10 * GRACE);
    t.ok(isOnline(coordinator.network.live, a));
    coordinator.disconnect(a, third, 'silent');
    t.notOk(isOnline(coordinator.network.live, a));
  },
);

t.test('coordinator: what a node repeats is no news, nor are latencies', async (t) => {
  const { network, a } = two();
  const say = (latency: number): void =>
    network.coordinator.said(a, {
      discoKey: DISCO,
      hostinfo: {
        Hostname: 'a',
        NetInfo: { PreferredDERP: 900, DERPLatency: { '900-v4': latency } },
      },
    });
  say(0.1);
  t.same(network.heard(), [`node live ${a}`]);
  say(0.2);
  t.same(network.heard(), []);
});

t.test(
  'coordinator: a change is told when it is on the disk, and one that is not is not',
  async (t) => {
    const { network, a } = two();
    const rename = (name: string) =>
      network.coordinator.change(BY, (model, context) =>
        renameNode(model, { node: a, name }, context),
      );
    const made = rename('nas');
    t.same(network.heard(), []);
    t.match(await made, { ok: true, result: { name: 'nas' } });
    t.same(network.heard(), [`node changed ${a}`]);
    network.diskFull = true;
    await t.rejects(rename('cam'), { message: /no space left/ });
    t.same(network.heard(), []);
    t.equal(network.coordinator.network.model.nodes.get(a)?.name, 'nas');
    network.diskFull = false;
    t.match(await rename('cam'), { ok: true });
  },
);

t.test(
  'coordinator: a prefix moves to the other router when its own goes, and both are named',
  async (t) => {
    const { network, a, b } = two((world, ...nodes) => {
      for (const node of nodes) {
        const request = { node, prefixes: ['10.0.0.0/24'] };
        world.make((model, context) => announceRoutes(model, request, context));
        world.make((model, context) => approveRoutes(model, request, context));
      }
    });
    const { coordinator } = network;
    const session = coordinator.connect(a);
    coordinator.connect(b);
    t.equal(coordinator.network.live.primaries.get('10.0.0.0/24'), a);
    network.heard();
    coordinator.disconnect(a, session, 'silent');
    t.equal(coordinator.network.live.primaries.get('10.0.0.0/24'), b);
    t.same(network.news.at(-1), { type: 'primaries moved', nodes: [a, b] });
    network.heard();
    coordinator.probed(b, false);
    t.equal(coordinator.network.live.primaries.get('10.0.0.0/24'), b, 'the only one stays');
  },
);

t.test('coordinator: a removed node is forgotten, with the grace that it had', async (t) => {
  const { network, a } = two();
  const { coordinator } = network;
  coordinator.disconnect(a, coordinator.connect(a), 'closed');
  network.heard();
  await coordinator.change(BY, (model, context) => deleteNode(model, { node: a }, context));
  network.pass(10 * GRACE);
  t.same(network.heard(), [`node removed ${a}`]);
});

t.test(
  'coordinator: the end of a key is told when it is reached, also one that was moved',
  async (t) => {
    const { network, a, b } = two((world, ...nodes) => {
      for (const node of nodes)
        world.make((model, context) =>
          setExpiry(model, { node, at: unixMillis(START + 600_000) }, context),
        );
    });
    const move = (expires: number) =>
      network.coordinator.change(BY, (model, context) =>
        setExpiry(model, { node: b, at: unixMillis(expires) }, context),
      );
    await move(START + 1_200_000);
    network.heard();
    network.pass(599_999);
    t.same(network.heard(), []);
    network.pass(1);
    t.same(network.heard(), [`node live ${a}`]);
    network.pass(600_000);
    t.same(network.heard(), [`node live ${b}`]);
  },
);

t.test('coordinator: no key ends by a clock that jumps', async (t) => {
  const { network, a, b } = two((world, node) =>
    world.make((model, context) =>
      setExpiry(model, { node, at: unixMillis(START + 7 * 86_400_000) }, context),
    ),
  );
  network.jumpMillis = 366 * 86_400_000;
  network.pass(3_600_000);
  t.same(network.heard(), []);
  t.notOk(network.networkClock.trusted);
  network.confirmed = true;
  network.pass(120_000);
  const both = [`node live ${a}`, `node live ${b}`];
  t.same(network.heard().toSorted(), both, 'but by one that a time server has set');
});
