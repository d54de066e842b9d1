/** What a map means to the rooms of a node, and that only what differs is told. */

import t from 'tap';
import { formatIp } from '../../../src/base/ip.ts';
import { formatPrefix } from '../../../src/base/prefix.ts';
import type { Netmap } from '../../../src/node/session/netmap.ts';
import { EMPTY_NETMAP } from '../../../src/node/session/netmap.ts';
import { DEFAULT_PREFS } from '../../../src/node/session/prefs.ts';
import {
  approvedRoutes,
  exitNodeOf,
  namesSetting,
  peerSteps,
  routerSetting,
} from '../../../src/node-apply.ts';
import type { Node } from '../../../src/protocol/tailcfg/types.ts';
import { must } from '../../must.ts';

const CHOICE = { acceptRoutes: false, exitNode: '' };

function node(id: number, more: Partial<Node> = {}): Node {
  const digits = id.toString(16).padStart(2, '0').repeat(32);
  return {
    ID: id,
    StableID: `n${id}`,
    Name: `host${id}.mesh.internal.`,
    User: 1,
    Key: `nodekey:${digits}`,
    DiscoKey: `discokey:${digits}`,
    Addresses: [`100.64.0.${id}/32`, `fd7a:115c:a1e0::${id}/128`],
    Endpoints: [`192.0.2.${id}:41641`],
    HomeDERP: 900,
    Hostinfo: {},
    ...more,
  };
}

const mapOf = (self: Node, ...peers: readonly Node[]): Netmap => ({
  ...EMPTY_NETMAP,
  self,
  peers: new Map(peers.map((peer) => [peer.ID, peer])),
});

const router = node(2, {
  AllowedIPs: [
    '100.64.0.2/32',
    'fd7a:115c:a1e0::2/128',
    '100.64.0.77/32',
    '192.168.8.0/24',
    '0.0.0.0/0',
    '::/0',
  ],
});

t.test('apply: hosts of the mesh are taken from each peer, routes by choice alone', async (t) => {
  const map = mapOf(node(1), router);
  const taken = (choice: typeof CHOICE): readonly string[] =>
    must(peerSteps(new Map(), map, choice, true).peers.get(2)).prefixes.map(formatPrefix);
  const own = ['100.64.0.2/32', 'fd7a:115c:a1e0::2/128', '100.64.0.77/32'];
  t.same(taken(CHOICE), own, 'its addresses and its LAN device');
  t.same(taken({ ...CHOICE, acceptRoutes: true }), [...own, '192.168.8.0/24']);
  t.same(taken({ ...CHOICE, exitNode: 'n2' }), [...own, '0.0.0.0/0', '::/0']);
  t.same(taken({ ...CHOICE, exitNode: 'n3' }), own, 'another exit node is none');
});

t.test('apply: a map of before costs nothing, a change is told as a difference', async (t) => {
  const first = peerSteps(new Map(), mapOf(node(1), router, node(3)), CHOICE, true);
  t.equal(first.tunnel.length, 2);
  const same = peerSteps(
    first.peers,
    mapOf(node(1), router, must(first.peers.get(3)).node),
    CHOICE,
    false,
  );
  t.same([same.tunnel, same.changed, same.gone], [[], [], []]);

  const moved = node(3, { Endpoints: ['192.0.2.99:1'] });
  const path = peerSteps(first.peers, mapOf(node(1), router, moved), CHOICE, false);
  t.same(path.tunnel, [], 'an endpoint is no business of the tunnel');
  t.equal(path.changed.length, 1);

  const more = node(3, { AllowedIPs: ['100.64.0.3/32', '100.64.0.88/32'] });
  const step = must(peerSteps(first.peers, mapOf(node(1), router, more), CHOICE, false).tunnel[0]);
  t.same(
    step.allowedIps.map(({ prefix, remove }) => `${remove ? '-' : '+'}${formatPrefix(prefix)}`),
    ['-fd7a:115c:a1e0::3/128', '+100.64.0.88/32'],
  );
});

t.test(
  'apply: who goes, or comes with another key, is removed before the new one is there',
  async (t) => {
    const first = peerSteps(new Map(), mapOf(node(1), router, node(3)), CHOICE, true);
    const key: Node['Key'] = `nodekey:${'cd'.repeat(32)}`;
    const rotated = peerSteps(
      first.peers,
      mapOf(node(1), router, node(3, { Key: key })),
      CHOICE,
      false,
    );
    t.same(
      rotated.tunnel.map(({ remove }) => remove === true),
      [true, false],
    );
    t.equal(rotated.gone.length, 1);
    const gone = peerSteps(first.peers, mapOf(node(1), router), CHOICE, false);
    t.same(
      gone.tunnel.map(({ remove }) => remove === true),
      [true],
    );
    t.same([...gone.peers.keys()], [2]);
  },
);

t.test('apply: an exit node is named in any way, and only one that offers it', async (t) => {
  const map = mapOf(node(1), router, node(3));
  for (const name of ['n2', 'host2', 'HOST2.mesh.internal.', '100.64.0.2', 'fd7a:115c:a1e0::2'])
    t.equal(exitNodeOf(map, name)?.ID, 2, name);
  for (const name of ['', 'n3', 'host3', '100.64.0.3', 'host', 'host2.other.'])
    t.equal(exitNodeOf(map, name), undefined, name);
});

t.test('apply: what we offer counts as far as the server approves it', async (t) => {
  const self = node(1, { AllowedIPs: ['100.64.0.1/32', '10.1.0.0/16', '0.0.0.0/0'] });
  const prefs = {
    ...DEFAULT_PREFS,
    advertiseRoutes: ['10.1.0.0/16', '10.2.0.0/16'],
    advertiseExitNode: true,
    snatExcept: ['10.1.0.0/16'],
  };
  t.same(approvedRoutes(mapOf(self), prefs).map(formatPrefix), ['10.1.0.0/16', '0.0.0.0/0']);
  const { advertised, exit, addresses } = routerSetting(mapOf(self), prefs, new Map(), []);
  t.same(
    advertised.map(({ prefix, snat }) => [formatPrefix(prefix), snat]),
    [
      ['10.1.0.0/16', false],
      ['0.0.0.0/0', true],
    ],
  );
  t.equal(exit, false, 'to offer an exit is not to use one');
  t.same(addresses.map(formatPrefix), ['100.64.0.1/32', 'fd7a:115c:a1e0::1/128']);
});

t.test(
  'apply: names are those of nodes and extra records, below the domain of the network',
  async (t) => {
    const map: Netmap = {
      ...mapOf(node(1), node(3)),
      dns: {
        Proxied: true,
        Domains: ['mesh.internal'],
        ExtraRecords: [{ Name: 'Cam.mesh.internal.', Value: '100.64.0.77' }],
        Routes: {
          'corp.example.': [{ Addr: '10.0.0.53' }],
          'far.example': [{ Addr: 'https://dns.example/dns-query' }],
          'own.example': [],
        },
      },
    };
    const { hosts, ownDomains, routes, manageSystem } = namesSetting(map, DEFAULT_PREFS);
    t.same([...hosts.keys()].sort(), [
      'cam.mesh.internal',
      'host1.mesh.internal',
      'host3.mesh.internal',
    ]);
    t.same(must(hosts.get('cam.mesh.internal')).map(formatIp), ['100.64.0.77']);
    t.ok(ownDomains.includes('mesh.internal'));
    t.same(
      [...routes.keys()],
      ['corp.example', 'own.example'],
      'no domain of ours for want of a resolver',
    );
    t.equal(manageSystem, true);
    const off = namesSetting({ ...map, dns: { ...map.dns, Proxied: false } }, DEFAULT_PREFS);
    t.equal(off.hosts.size, 0, 'without MagicDNS no name is ours');
    t.equal(namesSetting(map, { ...DEFAULT_PREFS, acceptDns: false }).manageSystem, false);
  },
);
