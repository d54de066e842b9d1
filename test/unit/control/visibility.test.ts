import t from 'tap';
import { shareDevices } from '../../../src/control/registry/lan.ts';
import type { MeshNode } from '../../../src/control/registry/model.ts';
import { announceRoutes, approveRoutes } from '../../../src/control/registry/routes.ts';
import { ownersOnly, peersOf, reachableDevices } from '../../../src/control/registry/visibility.ts';
import { must } from '../../must.ts';
import { lan, nodeKey, World } from './world.ts';

/** alice: laptop and gateway, with nas and a plain WireGuard phone behind it. bob: laptop. And a tagged node. */
function household(lanOwners: Record<string, string[]> = {}) {
  const world = new World({}, ownersOnly(lanOwners));
  const alice = world.user('alice');
  const bob = world.user('bob');
  const nodes = {
    laptop: world.join(1, alice, { hostname: 'laptop' }),
    gateway: world.join(2, alice, { hostname: 'gateway' }),
    bobs: world.join(3, bob, { hostname: 'bobs' }),
    tagged: world.join(4, null, { hostname: 'tagged' }, ['tag:server']),
  };
  const phone = lan('phone', { kind: 'wireguard', publicKey: nodeKey(77), owner: 'bob' });
  world.make((model, context) =>
    shareDevices(model, { node: nodes.gateway.id, devices: [lan('nas'), phone] }, context),
  );
  const names = (list: readonly { name: string }[]): string =>
    list.map(({ name }) => name).join(' ');
  const ips = (holder: { ip4: string; ip6: string }): string[] => [holder.ip4, holder.ip6];
  const device = (id: string) => must(world.model.devices.get(`${nodes.gateway.id}/${id}`));
  return {
    world,
    nodes,
    ips,
    device,
    peers: (node: MeshNode) => names(peersOf(world.model, world.policy, node)),
    devices: (node: MeshNode) =>
      names(reachableDevices(world.model, world.policy, node, nodes.gateway.id)),
    rules: (node: MeshNode) =>
      world.policy.rulesFor(world.model, must(world.model.nodes.get(node.id))),
  };
}

t.test('default policy: a user’s nodes and their LAN devices, and nothing else', async (t) => {
  const { nodes, peers, devices } = household();
  t.equal(peers(nodes.laptop), 'gateway');
  t.equal(peers(nodes.gateway), 'laptop');
  t.equal(peers(nodes.bobs), '');
  t.equal(peers(nodes.tagged), '');
  t.equal(devices(nodes.laptop), 'nas phone');
  t.equal(devices(nodes.bobs), '', 'what a node says of a device’s owner counts for nothing');
  t.equal(devices(nodes.tagged), '');
});

t.test('default policy: the receiver’s filter names sources and destinations', async (t) => {
  const { nodes, rules, ips, device, world } = household();
  const phone = device('phone');
  const alices = [...ips(nodes.laptop), ...ips(nodes.gateway), ...ips(phone)];
  t.same(rules(nodes.laptop), [{ sources: alices, destinations: ips(nodes.laptop) }]);
  t.same(rules(nodes.gateway), [
    { sources: alices, destinations: ips(nodes.gateway) },
    { sources: alices, destinations: ips(device('nas')) },
    { sources: alices, destinations: ips(phone) },
  ]);
  t.same(rules(nodes.bobs), [{ sources: ips(nodes.bobs), destinations: ips(nodes.bobs) }]);
  t.same(rules(nodes.tagged), []);
  const prefixes = ['10.0.0.0/24'];
  const node = nodes.gateway.id;
  world.make((model, context) => announceRoutes(model, { node, prefixes }, context));
  t.notMatch(JSON.stringify(rules(nodes.gateway)), '10.0.0.0');
  world.make((model, context) => approveRoutes(model, { node, prefixes }, context));
  t.same(rules(nodes.gateway)[0]?.destinations, [...ips(nodes.gateway), ...prefixes]);
});

t.test(
  'lanOwners: a device is whose the policy says, and its node becomes a peer for that alone',
  async (t) => {
    const { nodes, peers, devices, rules, ips, device } = household({
      'lan:nas': ['bob@', 'nobody@'],
      'lan:phone': ['bob'],
    });
    t.equal(peers(nodes.bobs), 'gateway');
    t.equal(peers(nodes.gateway), 'laptop bobs', 'a tunnel has two ends');
    t.equal(devices(nodes.bobs), 'nas phone');
    t.equal(devices(nodes.laptop), '', 'not its node’s owner’s any more');
    const bobs = [...ips(nodes.bobs), ...ips(device('phone'))];
    t.same(rules(nodes.gateway)[1], { sources: bobs, destinations: ips(device('nas')) });
    t.notOk(rules(nodes.gateway)[0]?.sources.some((source) => bobs.includes(source)));
    t.same(rules(nodes.bobs)[0]?.sources, bobs, 'his phone counts as his');
  },
);

t.test('default policy: being peers is symmetric, and a withdrawn device parts them', async (t) => {
  const { world, nodes, peers } = household({ 'lan:nas': ['bob@'] });
  const all = [...world.model.nodes.values()];
  for (const a of all)
    for (const b of all)
      if (world.policy.arePeers(world.model, a, b) !== world.policy.arePeers(world.model, b, a))
        return t.fail(`${a.name} and ${b.name}`);
  t.equal(peers(nodes.bobs), 'gateway');
  world.make((model, context) =>
    shareDevices(model, { node: nodes.gateway.id, devices: [] }, context),
  );
  return t.equal(peers(nodes.bobs), '');
});
