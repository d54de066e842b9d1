import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { unixMillis } from '../../../src/base/time.ts';
import type { Netmap } from '../../../src/node/session/netmap.ts';
import { EMPTY_NETMAP, isNews, netmapOf } from '../../../src/node/session/netmap.ts';
import type { Told } from '../../../src/protocol/tailcfg/fold.ts';
import { fold, NOTHING_TOLD, sameJson } from '../../../src/protocol/tailcfg/fold.ts';
import type { MapResponse } from '../../../src/protocol/tailcfg/map-types.ts';
import { salvageMap } from '../../../src/protocol/tailcfg/salvage.ts';
import type { Node } from '../../../src/protocol/tailcfg/types.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { ModelClient } from '../map/client.ts';
import { MapNetwork, saidBy } from '../map/network.ts';
import { stand } from '../map/stand.ts';
import { spoiled } from '../tailcfg/mutations.ts';

const NOW = unixMillis(1_800_000_000_000);

const nodeOf = (ID: number, more: Partial<Node> = {}): Node => ({
  ID,
  StableID: `n${ID}`,
  Name: `n${ID}.mesh.test.`,
  User: 1,
  Key: `nodekey:${ID.toString(16).padStart(64, '0')}`,
  Addresses: [`100.64.0.${ID}/32`],
  AllowedIPs: [`100.64.0.${ID}/32`],
  Hostinfo: {},
  ...more,
});

const folded = (...maps: MapResponse[]): Told =>
  maps.reduce((told, map) => fold(told, map, NOW), NOTHING_TOLD);

t.test('fold: each field, what is absent, and what deletes', async (t) => {
  const first: MapResponse = {
    Node: nodeOf(1),
    Peers: [nodeOf(2), nodeOf(3)],
    DERPMap: { Regions: {} },
    DNSConfig: { Proxied: true },
    Domain: 'mesh.test',
    PacketFilter: [{ SrcIPs: ['*'] }],
    UserProfiles: [{ ID: 1, LoginName: 'a', DisplayName: 'A' }],
    Health: ['slow'],
    DisplayMessages: { one: { Title: 'a', Text: 'b', Severity: 'low' } },
    SSHPolicy: { rules: [{ principals: [], sshUsers: {}, action: { accept: true } }] },
    ControlTime: '2026-11-23T06:50:03Z',
  };
  const before = folded(first);
  t.same([...before.peers.keys()], [2, 3]);
  const rows: readonly [string, MapResponse, Partial<Record<keyof Told, unknown>>][] = [
    ['an empty list of all peers is no news', { Peers: [] }, { peers: [2, 3] }],
    ['all peers', { Peers: [nodeOf(4)] }, { peers: [4] }],
    ['one more, one less', { PeersChanged: [nodeOf(5)], PeersRemoved: [2] }, { peers: [3, 5] }],
    ['an unknown one removed', { PeersRemoved: [9] }, { peers: [2, 3] }],
    ['an empty name is no news', { Domain: '' }, { domain: 'mesh.test' }],
    ['no health is news', { Health: [] }, { health: [] }],
    ['a policy without rules', { SSHPolicy: { rules: [] } }, { sshPolicy: { rules: [] } }],
    ['filters by name', { PacketFilters: { x: [] } }, { filters: ['base', 'x'] }],
    ['one deleted', { PacketFilters: { base: null } }, { filters: [] }],
    ['all deleted, then one', { PacketFilters: { x: [], '*': null } }, { filters: ['x'] }],
    ['the old form replaces one', { PacketFilter: [] }, { filters: ['base'] }],
    ['messages deleted', { DisplayMessages: { '*': null } }, { messages: [] }],
    [
      'a profile more',
      { UserProfiles: [{ ID: 2, LoginName: 'b', DisplayName: 'B' }] },
      { users: [1, 2] },
    ],
    ['alive', { KeepAlive: true, Peers: [nodeOf(9)] }, { peers: [2, 3] }],
  ];
  for (const [what, map, after] of rows) {
    const told = fold(before, map, NOW);
    for (const [field, wanted] of Object.entries(after)) {
      const found = told[field as keyof Told];
      t.same(found instanceof Map ? [...found.keys()] : found, wanted, what);
    }
  }
  t.equal(folded({ Node: nodeOf(1) }).filters, undefined, 'no filter came: nothing may enter');
});

t.test('fold: a patch changes what it names, and the order of a map is the client’s', async (t) => {
  const before = folded({
    Node: nodeOf(1),
    Peers: [nodeOf(2, { LastSeen: '2026-01-01T00:00:00Z' })],
  });
  const change = {
    NodeID: 2,
    DERPRegion: 7,
    Cap: 142,
    CapMap: { x: [] },
    Endpoints: ['192.0.2.1:1'],
    Key: `nodekey:${'a'.repeat(64)}`,
    DiscoKey: `discokey:${'b'.repeat(64)}`,
    Online: true,
    LastSeen: '2026-02-02T00:00:00Z',
    KeyExpiry: '2027-01-01T00:00:00Z',
  } as const;
  const { NodeID: _, DERPRegion, ...same } = change;
  const told = fold(before, { PeersChangedPatch: [change, { NodeID: 9, Online: true }] }, NOW);
  t.same([...told.peers.values()], [{ ...nodeOf(2), ...same, HomeDERP: DERPRegion }]);
  const seen = fold(before, { OnlineChange: { 2: false }, PeerSeenChange: { 2: true } }, NOW);
  t.match(seen.peers.get(2), { Online: false, LastSeen: '2027-01-15T08:00:00.000Z' });
  const unseen = fold(before, { PeerSeenChange: { 2: false, 9: true } }, NOW);
  t.equal(unseen.peers.get(2)?.LastSeen, undefined);
  const none = fold(before, { PeersChangedPatch: [{ NodeID: 2, DERPRegion: 0 }] }, NOW);
  t.equal(none.peers, before.peers === none.peers ? before.peers : none.peers);
  t.equal(none.peers.get(2), before.peers.get(2), 'a region of 0 is no news');
});

t.test(
  'fold: what is told again is the same object, and what a new stream leaves out is gone',
  async (t) => {
    const map: MapResponse = {
      Node: nodeOf(1),
      Peers: [nodeOf(2), nodeOf(3)],
      PacketFilters: { base: [{ SrcIPs: ['*'] }] },
      DNSConfig: { Proxied: true },
    };
    const before = folded(map);
    const first = netmapOf(EMPTY_NETMAP, before, new Set(), NOW).netmap;
    const again = fold(before, structuredClone(map), NOW, true);
    t.notOk(isNews(netmapOf(first, again, new Set(), NOW).changed), 'told again: no news');
    const less = fold(before, { Node: nodeOf(1), Peers: [nodeOf(3)] }, NOW, true);
    const { netmap, changed } = netmapOf(first, less, new Set(), NOW);
    t.same([...changed.removed], [2]);
    t.equal(netmap.filters, undefined);
    t.equal(netmap.dns, first.dns, 'a part that is told once stays');
  },
);

t.test('fold: 300 lives of a network, folded from what our own server sends', async (t) => {
  const random = seeded(61);
  const { network, open } = stand(new MapNetwork());
  const alice = network.world.user('alice');
  const nodes = Array.from({ length: 12 }, (_, i) => network.join(i + 1, alice));
  const { reader } = open(must(nodes[0]));
  let told = NOTHING_TOLD;
  let netmap: Netmap = EMPTY_NETMAP;
  let at = 0;
  for (let round = 0; round < 300; round++) {
    const { id } = random.pick(nodes);
    network.coordinator.said(id, saidBy(random));
    network.clock.pass(random.below(2000));
    for (; at < reader.maps.length; at++) told = fold(told, must(reader.maps[at]), NOW, at === 0);
    netmap = netmapOf(netmap, told, new Set(), NOW).netmap;
    const judge = new ModelClient();
    for (const map of reader.maps) judge.take(map);
    const wanted = [...judge.peers.values()].map((peer) => ({ ...peer, LastSeen: undefined }));
    const found = [...netmap.peers.values()].map((peer) => ({ ...peer, LastSeen: undefined }));
    if (!sameJson(found, wanted)) return t.same(found, wanted, `round ${round}`);
  }
  return t.equal(netmap.peers.size, 11);
});

const FOLDER = `${process.env['POSTERN_VECTORS'] ?? ''}/map`;
const skip = !existsSync(FOLDER) && 'POSTERN_VECTORS names no folder with map/';
const vector = (name: string): unknown =>
  JSON.parse(readFileSync(`${FOLDER}/${name}.json`, 'utf8'));
const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

t.test('fold: the maps that headscale sent, one after another', { skip }, async (t) => {
  let told = NOTHING_TOLD;
  const take = (name: string): Node | undefined => {
    const found = salvageMap(bytes(vector(name)));
    if ('reason' in found) throw new Error(found.detail);
    t.same(found.lost, [], name);
    told = fold(told, found.map, NOW);
    return told.peers.get(1);
  };
  take('map-first-full');
  t.match(told, { domain: 'ctl.test', dns: { Proxied: true } });
  t.equal(told.self?.Name, 'pna.mesh.test.');
  t.ok(told.peers.has(1));
  take('delta-control-time-only');
  t.ok(told.peers.has(1));
  t.match(take('delta-peer-online'), { Online: true });
  t.match(take('delta-peer-restarted-new-disco-key'), { DiscoKey: /discokey:03/ });
  take('delta-peer-added');
  t.ok(told.peers.has(3));
  take('delta-peer-offline-patch');
  t.equal(told.peers.get(3)?.Online, false);
  take('delta-peer-offline-node');
  t.match(told.peers.get(3), { LastSeen: /2026/ });
  take('delta-self-node-home-derp');
  t.equal(told.self?.HomeDERP, 999);
  take('keep-alive');
  t.equal(take('delta-peer-removed'), undefined);
  t.ok(told.peers.has(3));
});

t.test('salvage: 4,000 spoiled maps keep every peer that was not touched', { skip }, async (t) => {
  const random = seeded(62);
  const whole = vector('map-first-full') as MapResponse;
  const peers = Array.from({ length: 6 }, (_, i) => ({
    ...structuredClone(must(whole.Peers?.[0])),
    ID: 10 + i,
  }));
  const map = { ...whole, Peers: peers };
  let mended = 0;
  for (let round = 0; round < 4000; round++) {
    const sent = JSON.parse(JSON.stringify(spoiled(random, map))) as MapResponse;
    const found = salvageMap(bytes(sent));
    if ('reason' in found) continue;
    const told = fold(NOTHING_TOLD, found.map, NOW);
    netmapOf(EMPTY_NETMAP, told, new Set(), NOW);
    if (found.lost.length > 0) mended++;
    if (!Array.isArray(sent.Peers)) continue;
    const untouched = sent.Peers.filter((peer, i) => sameJson(peer, peers[i]));
    const lost = untouched.filter(({ ID }) => !told.peers.has(ID));
    if (lost.length > 0) return t.fail(`round ${round}: lost ${lost.length}: ${found.lost}`);
  }
  return t.ok(mended > 1000, `${mended} maps had a part at fault, and were read`);
});

t.test('salvage: what is at fault goes alone, and nothing by it gains a right', async (t) => {
  const lost = (map: unknown): { map: MapResponse; lost: readonly string[] } => {
    const found = salvageMap(bytes(map));
    if ('reason' in found) throw new Error(found.detail);
    return found;
  };
  const many = Array.from({ length: 10_000 }, (_, i) => `192.0.2.1:${1 + i}`);
  const capped = lost({ Peers: [{ ...nodeOf(2), Endpoints: many }] });
  t.equal(capped.map.Peers?.[0]?.Endpoints?.length, 256);
  t.equal(capped.lost.length, 1);
  t.same(lost({ Peers: [{ ...nodeOf(2), KeyExpiry: 'never' }, nodeOf(3)] }).map.Peers, [nodeOf(3)]);
  t.same(lost({ Peers: [{ ...nodeOf(2), Name: '' }] }).map.Peers, [
    { ...nodeOf(2), Name: 'node-2.invalid.' },
  ]);
  const rules = [
    { SrcIPs: ['10.0.0.1'] },
    { SrcIPs: ['x'], IPProto: [6] },
    { SrcIPs: ['*'], IPProto: ['6'] },
  ];
  t.same(lost({ PacketFilters: { a: rules, b: null, c: 7 } }).map.PacketFilters, {
    a: [{ SrcIPs: ['10.0.0.1'] }],
    b: null,
    c: [],
  });
  const accept = { principals: [], sshUsers: {}, action: { accept: true } };
  const policy = { rules: [accept, { ...accept, action: 7 }, accept] };
  t.same(lost({ SSHPolicy: policy }).map.SSHPolicy, { rules: [accept] });
  t.same(lost({ Later: { x: 1 }, Peers: [{ ...nodeOf(2), Later: 1 }] }), {
    map: { Peers: [nodeOf(2)] },
    lost: [],
  });
  t.match(salvageMap(bytes([])), { reason: 'body: wrong shape' });
});
