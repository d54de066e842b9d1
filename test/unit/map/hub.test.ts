import t from 'tap';
import { unixMillis } from '../../../src/base/time.ts';
import type { MapStream } from '../../../src/control/map/line.ts';
import { putNode } from '../../../src/control/registry/edit.ts';
import { shareDevices } from '../../../src/control/registry/lan.ts';
import type { LanDevice } from '../../../src/control/registry/model.ts';
import { deleteNode, renameNode, setExpiry } from '../../../src/control/registry/nodes.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { lan } from '../control/world.ts';
import { Life } from './life.ts';
import { MapNetwork } from './network.ts';
import { Reader, stand } from './stand.ts';

t.test('a stream begins with the node itself, the relays and all peers by id', async (t) => {
  const { network, open } = stand();
  const alice = network.world.user('alice');
  const [a] = [network.join(1, alice), network.join(2, alice), network.join(3, alice)];
  network.join(4, null, ['tag:srv']);
  const { reader } = open(must(a));
  t.equal(reader.maps.length, 1);
  t.match(reader.last, {
    Node: { ID: 1, Online: true, MachineAuthorized: true, Addresses: [/^100\.64\./, /^fd7a:/] },
    DERPMap: { Regions: {} },
    Debug: { DisableLogTail: true },
    DNSConfig: { Proxied: true, Domains: ['mesh.internal'], Routes: { 'mesh.internal': [] } },
    Domain: 'mesh.internal',
  });
  t.same(
    reader.last.Peers?.map(({ ID }) => ID),
    [2, 3],
  );
  t.same(reader.last.UserProfiles, [{ ID: 1, LoginName: 'alice', DisplayName: 'alice' }]);
  t.same(reader.faults, []);
});

t.test('a change is told once to those who may see it, and to nobody else', async (t) => {
  const { network, open, hub } = stand();
  const [alice, bob] = [network.world.user('alice'), network.world.user('bob')];
  const nodes = [network.join(1, alice), network.join(2, alice), network.join(3, bob)];
  const [a, b, c] = nodes.map((node) => open(node).reader);
  network.clock.pass(1000);
  const before = [a, b, c].map((reader) => reader?.maps.length);
  network.coordinator.said(2, { endpoints: ['192.0.2.7:41641'], endpointTypes: [1] });
  network.clock.pass(1);
  t.same(must(a).last, {
    PeersChangedPatch: [{ NodeID: 2, Endpoints: ['192.0.2.7:41641'] }],
  });
  network.clock.pass(1000);
  t.same(
    [a, b, c].map((reader) => reader?.maps.length),
    [must(before[0]) + 1, before[1], before[2]],
  );
  t.equal(hub.counters().streams, 3);
});

t.test('another port of a known STUN address wakes nobody; another address does', async (t) => {
  const { network, open } = stand();
  const alice = network.world.user('alice');
  const [a] = [network.join(1, alice), network.join(2, alice)];
  const { reader } = open(must(a));
  const say = (endpoint: string): number => {
    network.coordinator.said(2, { endpoints: [endpoint, '10.0.0.1:1'], endpointTypes: [2, 1] });
    network.clock.pass(1000);
    return reader.maps.length;
  };
  const first = say('192.0.2.7:1000');
  t.equal(say('192.0.2.7:2000'), first, 'a port');
  t.equal(say('192.0.2.8:2000'), first + 1, 'an address');
  network.coordinator.said(2, { endpoints: ['192.0.2.8:3000', '10.0.0.1:1'], homeDerp: 900 });
  network.clock.pass(1000);
  t.match(reader.last.PeersChangedPatch?.[0], {
    DERPRegion: 900,
    Endpoints: ['192.0.2.8:3000', '10.0.0.1:1'],
  });
});

t.test(
  'a slow reader costs nothing while it is full, and is then told what it came to',
  async (t) => {
    const { network, open, hub } = stand();
    const alice = network.world.user('alice');
    const [a] = [network.join(1, alice), network.join(2, alice)];
    const slow = new Reader();
    slow.full = true;
    const { stream } = open(must(a), slow);
    for (let n = 3; n < 60; n++) network.join(n, alice);
    network.make((model, context) => deleteNode(model, { node: 2 }, context));
    network.make((model, context) => renameNode(model, { node: 5, name: 'five' }, context));
    network.clock.pass(60_000);
    t.equal(slow.maps.length, 1, 'nothing was written, keep-alives neither');
    slow.full = false;
    stream.drained();
    network.clock.pass(1000);
    t.equal(slow.maps.length, 2);
    t.equal(slow.last.Peers?.length, 57, 'most peers are others, so all are said at once');
    const fresh = open(must(a)).reader;
    t.same(slow.client.state(), fresh.client.state());
    t.match(hub.counters(), { fallbacks: 1, faults: 0 });
  },
);

t.test('keep-alives come each 50 to 60 seconds, and say nothing else', async (t) => {
  const { network, open } = stand();
  const { reader } = open(network.join(1, network.world.user('alice')));
  network.clock.pass(1000);
  const before = reader.maps.length;
  network.clock.pass(600_000);
  const alive = reader.maps.slice(before);
  t.ok(alive.length >= 10 && alive.length <= 12, `${alive.length} in ten minutes`);
  t.same(new Set(alive.map((map) => JSON.stringify(map))), new Set(['{"KeepAlive":true}']));
});

t.test('a second stream of a node ends the first, whose end then means nothing', async (t) => {
  const { network, open } = stand();
  const alice = network.world.user('alice');
  const [a, b] = [network.join(1, alice), network.join(2, alice)];
  const watcher = open(must(b)).reader;
  const first = open(must(a));
  const second = open(must(a));
  t.equal(first.reader.ended, true);
  first.stream.close('silent');
  network.clock.pass(60_000);
  t.equal(watcher.client.peers.get(1)?.['Online'], true);
  second.stream.close('silent');
  network.clock.pass(1000);
  t.equal(watcher.client.peers.get(1)?.['Online'], false);
  t.match(watcher.last.PeersChangedPatch, [{ NodeID: 1, Online: false, LastSeen: /^20/ }]);
});

t.test('a deleted node is told so and cut off; its peers forget it', async (t) => {
  const { network, open, hub } = stand();
  const alice = network.world.user('alice');
  const [a, b] = [network.join(1, alice), network.join(2, alice)];
  const [gone, left] = [open(must(a)).reader, open(must(b)).reader];
  network.make((model, context) => deleteNode(model, { node: 1 }, context));
  t.equal(gone.ended, true);
  t.match(gone.last.Node, { ID: 1, Expired: true });
  t.ok(Date.parse(must(gone.last.Node?.KeyExpiry)) < network.env.wall());
  network.clock.pass(100);
  t.same(left.last.PeersRemoved, [1]);
  t.equal(hub.counters().streams, 1);
  const late = open(must(a)).reader;
  t.equal(late.ended, true, 'a stream that was asked for meanwhile');
});

t.test('a key that runs out ends what the node sees, and its stream goes on', async (t) => {
  const { network, open } = stand();
  const alice = network.world.user('alice');
  const [a, b] = [network.join(1, alice), network.join(2, alice)];
  const [mine, other] = [open(must(a)).reader, open(must(b)).reader];
  const expire = (at: number | null): void => {
    network.make((model, context) =>
      setExpiry(model, { node: 1, at: at === null ? null : unixMillis(context.now + at) }, context),
    );
    network.clock.pass(120_000);
  };
  expire(60_000);
  t.match(mine.client.state(), {
    Node: { Expired: true },
    peers: [],
    filters: { base: [] },
  });
  t.equal(other.client.peers.get(1)?.['Expired'], true);
  t.equal(mine.ended, false);
  expire(null);
  t.equal(mine.client.peers.size, 1, 'a longer life brings it back without a login');
});

t.test('a LAN device has an address of its own, and old Linux clients are warned', async (t) => {
  const { network, open } = stand();
  const alice = network.world.user('alice');
  const host = network.join(1, alice);
  const own = open(host).reader;
  const [oldest, old, linux, windows] = [
    { version: 113, OS: 'linux' },
    { version: 130, OS: 'linux' },
    { version: 142, OS: 'linux' },
    { version: 113, OS: 'windows' },
  ].map(({ version, OS }, i) => {
    const node = network.join(2 + i, alice);
    network.coordinator.said(node.id, { hostinfo: { OS } });
    return open(node, new Reader(), version).reader;
  });
  const share = (...devices: Parameters<typeof lan>[0][]): readonly LanDevice[] => {
    const request = { node: host.id, devices: devices.map((id) => lan(id)) };
    const shared = must(network.make((model, context) => shareDevices(model, request, context)));
    network.clock.pass(1000);
    return shared;
  };
  const warned = (): string[] =>
    [oldest, old, linux, windows].map((reader) =>
      [...must(reader).client.health, JSON.stringify([...must(reader).client.messages])].join(),
    );
  const quiet = ['[]', '[]', '[]', '[]'];
  t.same(warned(), quiet);
  const { ip4, ip6 } = must(share('cam')[0]);
  const { client, last } = must(linux);
  const addresses = [`${ip4}/32`, `${ip6}/128`];
  const peer = must(client.peers.get(host.id)) as { Addresses: string[]; AllowedIPs: string[] };
  t.same(peer.AllowedIPs.slice(2), addresses);
  t.equal(peer.Addresses.length, 2, 'never an address of the node itself');
  t.same(own.last.Node?.AllowedIPs?.slice(2), addresses);
  t.same(last.DNSConfig?.ExtraRecords, [
    { Name: 'cam.mesh.internal', Type: 'A', Value: ip4 },
    { Name: 'cam.mesh.internal', Type: 'AAAA', Value: ip6 },
  ]);
  t.match(JSON.stringify([...own.client.filters.values()]), new RegExp(`"IP":"${ip4}"`));
  const [first = '', second = '', ...others] = warned();
  t.match(first, /--accept-routes/);
  t.match(second, /lan-accept-routes.*--accept-routes/);
  t.same(others, ['[]', '[]'], 'those who need no flag');
  const request = { node: host.id, devices: [{ ...lan('cam'), family: 4 as const }] };
  network.make((model, context) => shareDevices(model, request, context));
  network.clock.pass(1000);
  t.same(
    linux?.last.DNSConfig?.ExtraRecords,
    [{ Name: 'cam.mesh.internal', Type: 'A', Value: ip4 }],
    'a device that answers by IPv4 alone has no name in the other family',
  );
  share();
  t.same(warned(), quiet, 'withdrawn');
});

t.test('a node with a fault is left out of all maps, and health names it', async (t) => {
  const { network, open, raised } = stand();
  const alice = network.world.user('alice');
  const [a] = [network.join(1, alice), network.join(2, alice), network.join(3, alice)];
  const spoil = (name: string): void => {
    network.make((model) => ({
      ok: true,
      model: putNode(model, { ...must(model.nodes.get(2)), name }),
      events: [{ type: 'node changed', node: 2 }],
      audit: null,
      result: null,
    }));
    network.clock.pass(1000);
  };
  const { reader } = open(must(a));
  spoil('x'.repeat(64));
  t.same([...reader.client.peers.keys()], [3]);
  t.match(raised.get('map-fault'), /node 2.*Name/);
  t.equal(network.log.filter((line) => line.includes('left out')).length, 1);
  spoil('good');
  t.same([...reader.client.peers.keys()].sort(), [2, 3]);
  t.same([...raised], []);
});

t.test('streams that open, stall, drain and close at random end as fresh ones begin', async (t) => {
  const random = seeded(11);
  const network = new MapNetwork({ 'lan:cam': ['bob@'] }, random);
  const { hub, open } = stand(network);
  const users = ['alice', 'bob'].map((login) => network.world.user(login));
  const life = new Life(network, random, users);
  const streams = new Map<number, { reader: Reader; stream: MapStream }>();
  for (let round = 0; round < 3200; round++) {
    life.step();
    const node = random.pick([...network.world.model.nodes.values(), undefined]);
    if (node !== undefined) {
      const known = streams.get(node.id);
      if (known === undefined || known.reader.ended)
        streams.set(node.id, open(node, new Reader(random.below(4) > 0)));
      else if (random.below(3) === 0) known.reader.full = true;
      else if (known.reader.full) {
        known.reader.full = false;
        known.stream.drained();
      } else if (random.below(9) === 0) {
        known.stream.close('closed');
        streams.delete(node.id);
      }
    }
    network.clock.pass(random.below(40));
  }
  for (const { reader, stream } of streams.values()) {
    reader.full = false;
    stream.drained();
  }
  network.clock.pass(5000);
  let compared = 0;
  // Endpoints that were no news may be older.
  const without = (state: unknown): string =>
    JSON.stringify(state, (key, value) => (key === 'Endpoints' ? undefined : value));
  for (const [id, { reader }] of streams) {
    const node = network.world.model.nodes.get(id);
    if (node === undefined || reader.ended) continue;
    const faults = [...reader.faults, ...reader.client.faults];
    if (faults.length > 0) return t.same(faults, [], `node ${id}`);
    const [told, fresh] = [reader, open(node).reader].map(({ client }) => without(client.state()));
    if (told !== fresh) return t.equal(told, fresh, `node ${id}`);
    compared++;
  }
  t.ok(compared > 2, `${compared} streams, ${JSON.stringify(hub.counters())}`);
  hub.close();
  return t.equal(hub.counters().streams, 0);
});
