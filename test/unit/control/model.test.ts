import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import type { Context, Outcome } from '../../../src/control/registry/change.ts';
import { addRecord } from '../../../src/control/registry/dns.ts';
import { register } from '../../../src/control/registry/enroll.ts';
import { shareDevices } from '../../../src/control/registry/lan.ts';
import type { Model } from '../../../src/control/registry/model.ts';
import { deviceKey, devicesOf } from '../../../src/control/registry/model.ts';
import {
  deleteNode,
  noteHostname,
  renameNode,
  setExpiry,
  tagNode,
} from '../../../src/control/registry/nodes.ts';
import { announceRoutes, approveRoutes } from '../../../src/control/registry/routes.ts';
import type { Row } from '../../../src/control/registry/rows.ts';
import { modelOf, rowsBetween } from '../../../src/control/registry/rows.ts';
import { DAY, lan, machine, nodeKey, registration, World } from './world.ts';

t.test(
  'model: any run of changes keeps one holder each, and comes back from its rows',
  async (t) => {
    const world = new World({ pool: '100.64.7.0/25' });
    const users = ['alice', 'bob', 'carol'].map((login) => world.user(login));
    const { random } = world;
    const stored = new Map<string, Row>();
    const { settings } = world.model;
    let before = modelOf([], settings);
    const rounds = 1500;
    let refusals = 0;
    for (let round = 0; round < rounds; round++) {
      const node = 1 + random.below(Math.max(1, world.model.counters.nextNode - 1));
      const change = anyChange(world, node, random.pick(users).id);
      const outcome = change(world.model, world.context());
      if (outcome.ok) world.model = outcome.model;
      else refusals++;
      world.pass(random.below(DAY));
      for (const row of rowsBetween(before, world.model)) {
        if (row.body === null) stored.delete(`${row.kind} ${row.key}`);
        else stored.set(`${row.kind} ${row.key}`, row);
      }
      before = world.model;
      const fault = faultOf(world.model);
      if (fault !== undefined) return t.fail(`round ${round}: ${fault}`);
      if (round % 50 !== 0 && round !== rounds - 1) continue;
      const loaded = modelOf([...stored.values()], settings);
      const [a, b] = [plain({ ...world.model, approvals: loaded.approvals }), plain(loaded)];
      if (!isDeepStrictEqual(a, b)) return t.same(b, a, `round ${round}`);
    }
    t.comment(
      `${world.model.nodes.size} nodes, ${world.model.devices.size} devices, ${refusals} refusals`,
    );
    return t.ok(refusals > 20 && world.model.nodes.size > 20);
  },
);

function anyChange(world: World, node: number, user: number) {
  const { random } = world;
  const hostname = random.pick(['nas', 'cam', 'Box', 'nas-1', '']);
  type Any = (model: Model, context: Context) => Outcome<unknown>;
  const n = random.below(60);
  const tags = random.below(4) === 0 ? ['tag:a'] : [];
  const request = registration({
    ...machine(n),
    nodeKey: nodeKey(n * 10 + random.below(3)),
    authKey: world.authKey({ user, tags }).token,
    hostname,
    ephemeral: random.below(3) === 0,
  });
  const join: Any = (model, context) => register(model, request, context);
  const changes: Any[] = [
    join,
    join,
    join,
    (model, context) =>
      renameNode(model, { node, name: random.pick(['nas', 'x', 'y', '']) }, context),
    (model, context) => noteHostname(model, { node, hostname }, context),
    (model, context) => setExpiry(model, { node, at: random.pick([null, world.now]) }, context),
    (model, context) => tagNode(model, { node, tags: [random.pick(['tag:a', 'tag:b'])] }, context),
    (model, context) =>
      announceRoutes(model, { node, prefixes: [`10.${random.below(3)}.0.0/16`] }, context),
    (model, context) => approveRoutes(model, { node, prefixes: ['10.1.0.0/16'] }, context),
    (model, context) =>
      shareDevices(
        model,
        {
          node,
          devices: ['nas', 'cam', 'x'].filter(() => random.below(2) === 0).map((id) => lan(id)),
        },
        context,
      ),
    (model, context) =>
      addRecord(
        model,
        { name: `${random.pick(['x', 'y', 'z'])}.mesh.internal`, type: 'A', value: '192.0.2.1' },
        context,
      ),
    (model, context) => deleteNode(model, { node }, context),
  ];
  return random.pick(changes);
}

/** What is wrong with a model, looked at without any index. */
function faultOf(model: Model): string | undefined {
  const nodes = [...model.nodes.values()];
  const devices = [...model.devices.values()];
  const records = new Set(
    [...model.records.values()].map(({ name }) => name.split('.')[0] as string),
  );
  const twice = (texts: readonly string[]): boolean => new Set(texts).size !== texts.length;
  const holders = [...nodes, ...devices];
  if (twice([...holders.map(({ name }) => name), ...records])) return 'a name has two holders';
  if (twice(holders.map(({ ip4 }) => ip4))) return 'an address has two holders';
  if (twice(nodes.map(({ nodeKey }) => nodeKey))) return 'a node key has two holders';
  if (nodes.some(({ user, tags }) => (user === null) !== tags.length > 0))
    return 'two owners or none';
  if (holders.some(({ ip4 }) => model.rests.has(ip4))) return 'an address rests and is in use';
  if (devices.some(({ node }) => !model.nodes.has(node))) return 'a device outlived its node';
  if (nodes.some(({ id }) => id >= model.counters.nextNode)) return 'an id would be given twice';
  for (const { id, nodeKey, name, machine } of nodes) {
    if (model.index.nodeByKey.get(nodeKey) !== id) return 'the index of node keys is wrong';
    if (model.index.labels.get(name) !== `node ${id}`) return 'the index of names is wrong';
    if (!model.index.nodesByMachine.get(machine)?.includes(id))
      return 'the index of machines is wrong';
  }
  for (const device of devices)
    if (!devicesOf(model, device.node).includes(device))
      return `${deviceKey(device.node, device.id)} is lost`;
  return undefined;
}

/** Maps as sorted lists, so that two models can be compared. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('entries' in value && 'changedSince' in value) {
    const entries = [...(value.entries as () => Iterable<[string | number, unknown]>)()];
    return entries
      .map(([key, one]): [string, unknown] => [String(key), plain(one)])
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }
  if (Array.isArray(value))
    return value.every((one) => typeof one !== 'object') ? [...value].sort() : value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
}
