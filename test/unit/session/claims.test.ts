import t from 'tap';
import { unixMillis } from '../../../src/base/time.ts';
import { settle } from '../../../src/protocol/tailcfg/claims.ts';
import type { NodeKeyText } from '../../../src/protocol/tailcfg/keys.ts';
import type { Node } from '../../../src/protocol/tailcfg/types.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';

const NOW = unixMillis(1_800_000_000_000);
const key = (digit: number): NodeKeyText => `nodekey:${String(digit).repeat(64)}`;

type Said = Partial<Node> & { readonly ID: number };

function nodeOf({ ID, ...more }: Said): Node {
  const Addresses = more.Addresses ?? [`100.64.0.${ID}/32`];
  return {
    ID,
    StableID: `n${ID}`,
    Name: `n${ID}.mesh.test.`,
    User: 1,
    Key: key(ID),
    AllowedIPs: Addresses,
    Hostinfo: {},
    ...more,
    Addresses,
  };
}

/** What each peer may send as, after a map that says `peers`; we are node 1 with 100.64.0.1, sharing 100.64.0.9. */
function allowed(peers: readonly Said[]): Record<number, readonly string[]> {
  const self = nodeOf({ ID: 1, AllowedIPs: ['100.64.0.1/32', '100.64.0.9/32', '10.1.0.0/16'] });
  const told = new Map(peers.map((peer, i) => [i, nodeOf(peer)]));
  const settled = settle(self, told, new Set([key(8)]), NOW);
  return Object.fromEntries([...settled.peers].map(([id, peer]) => [id, peer.AllowedIPs ?? []]));
}

const TABLE: readonly [what: string, peers: readonly Said[], owned: Record<number, string[]>][] = [
  [
    'an honest map is as it was said',
    [{ ID: 2, AllowedIPs: ['100.64.0.2/32', '192.168.1.0/24', '0.0.0.0/0', '::/0'] }, { ID: 3 }],
    { 2: ['100.64.0.2/32', '192.168.1.0/24', '0.0.0.0/0', '::/0'], 3: ['100.64.0.3/32'] },
  ],
  [
    'no list of routes means the addresses',
    [
      { ID: 2, AllowedIPs: [] },
      { ID: 3, AllowedIPs: undefined as never },
    ],
    { 2: [], 3: ['100.64.0.3/32'] },
  ],
  [
    'an address of two is the lower ID’s, wherever it stands in the map',
    [
      { ID: 3, Addresses: ['100.64.0.7/32'] },
      { ID: 2, Addresses: ['100.64.0.7/32'] },
    ],
    { 2: ['100.64.0.7/32'], 3: [] },
  ],
  [
    'our address is ours',
    [{ ID: 2, Addresses: ['100.64.0.1/32', '100.64.0.2/32'] }],
    { 2: ['100.64.0.2/32'] },
  ],
  [
    'our shared device is ours',
    [{ ID: 2, AllowedIPs: ['100.64.0.2/32', '100.64.0.9/32'] }],
    { 2: ['100.64.0.2/32'] },
  ],
  [
    'a route over our address goes, a default route is everybody’s',
    [{ ID: 2, AllowedIPs: ['100.64.0.0/24', '64.0.0.0/2', '0.0.0.0/0'] }],
    { 2: ['0.0.0.0/0'] },
  ],
  [
    'the address of another peer as a route, before and behind it',
    [
      { ID: 2, AllowedIPs: ['100.64.0.2/32', '100.64.0.3/32'] },
      { ID: 3, AllowedIPs: ['100.64.0.3/32', '100.64.0.2/32'] },
    ],
    { 2: ['100.64.0.2/32'], 3: ['100.64.0.3/32'] },
  ],
  [
    'a LAN device and a subnet are the first’s who claims them',
    [
      { ID: 2, AllowedIPs: ['100.64.1.1/32', '10.2.0.0/16'] },
      { ID: 3, AllowedIPs: ['100.64.1.1/32', '10.2.0.0/16', '10.2.3.0/24'] },
    ],
    { 2: ['100.64.1.1/32', '10.2.0.0/16'], 3: ['10.2.3.0/24'] },
  ],
  [
    'an address beyond the mesh is no address',
    [
      {
        ID: 2,
        Addresses: ['192.168.1.1/32', '100.64.0.0/24', '100.64.0.2/32'],
        AllowedIPs: ['100.64.0.2/32'],
      },
    ],
    { 2: ['100.64.0.2/32'] },
  ],
  [
    'what is nobody’s',
    [
      {
        ID: 2,
        AllowedIPs: [
          '127.0.0.1/32',
          '169.254.1.0/24',
          '224.0.0.0/4',
          '100.100.100.100/32',
          '::1/128',
          'fe80::/10',
          'fd7a:115c:a1e0::53/128',
        ],
      },
    ],
    { 2: [] },
  ],
  [
    'two peers with one key are one',
    [
      { ID: 3, Key: key(5) },
      { ID: 2, Key: key(5) },
    ],
    { 2: ['100.64.0.2/32'] },
  ],
  [
    'ourselves under another name are nobody',
    [{ ID: 1 }, { ID: 2, Key: key(1) }, { ID: 3, Key: key(8) }, { ID: 4, Key: key(0) }],
    {},
  ],
  [
    'whose key has expired is no peer, and holds nothing',
    [
      { ID: 2, Expired: true, Addresses: ['100.64.0.3/32'] },
      { ID: 3, KeyExpiry: '2027-01-15T08:00:00Z' },
      { ID: 4, KeyExpiry: '2027-01-15T08:00:00.001Z', Addresses: ['100.64.0.3/32'] },
      { ID: 5, KeyExpiry: '0001-01-01T00:00:00Z' },
    ],
    { 4: ['100.64.0.3/32'], 5: ['100.64.0.5/32'] },
  ],
];

t.test('claims: the table of maps that contradict themselves', async (t) => {
  for (const [what, peers, owned] of TABLE) t.same(allowed(peers), owned, what);
});

t.test('claims: each refusal is counted by its reason', async (t) => {
  const told = [
    nodeOf({
      ID: 2,
      Addresses: ['100.64.0.1/32', '10.0.0.1/32'],
      AllowedIPs: ['127.0.0.0/8', '100.0.0.0/8'],
    }),
    nodeOf({ ID: 3, Key: key(2) }),
    nodeOf({ ID: 4, AllowedIPs: ['100.64.0.1/32'] }),
  ];
  const { faults, nextExpiry } = settle(
    nodeOf({ ID: 1 }),
    new Map(told.map((node) => [node.ID, node])),
    new Set(),
    NOW,
  );
  t.same(Object.fromEntries(faults), {
    'peer: the key of another peer': 1,
    'address: of another node': 1,
    'address: no host of the mesh': 1,
    'route: never a peer’s': 1,
    'route: over an address of this node': 1,
    'route: of another node': 1,
  });
  t.equal(nextExpiry, undefined);
});

t.test('claims: 5,000 hostile maps, and no host has two owners or is ours', async (t) => {
  const random = seeded(71);
  for (let round = 0; round < 5000; round++) {
    const peers = Array.from({ length: 1 + random.below(8) }, () => hostile(random));
    const owners = new Map<string, number>();
    const keys = new Set<string>();
    const self = nodeOf({ ID: 1, AllowedIPs: ['100.64.0.1/32', '100.64.0.9/32'] });
    const settled = settle(self, new Map(peers.map((peer, i) => [i, peer])), new Set(), NOW);
    for (const peer of settled.peers.values()) {
      const fault = faultOf(peer, owners, keys);
      if (fault !== undefined) return t.fail(`round ${round}: ${fault}`);
    }
  }
  return t.pass('5,000 maps');
});

function hostile(random: Seeded): Node {
  const prefixes = (): string[] =>
    Array.from({ length: random.below(5) }, () =>
      random.pick([
        `100.64.0.${1 + random.below(12)}/32`,
        `100.64.0.${random.below(16)}/${24 + random.below(9)}`,
        `10.${random.below(3)}.0.0/16`,
        'fd7a:115c:a1e0::1/128',
        '0.0.0.0/0',
        '127.0.0.1/8',
      ]),
    );
  const ID = 1 + random.below(6);
  return nodeOf({ ID, Key: key(random.below(6)), Addresses: prefixes(), AllowedIPs: prefixes() });
}

function faultOf(peer: Node, owners: Map<string, number>, keys: Set<string>): string | undefined {
  if (peer.ID === 1 || peer.Key === key(1) || keys.has(peer.Key)) return `key of ${peer.ID}`;
  keys.add(peer.Key);
  for (const text of peer.AllowedIPs ?? []) {
    if (text === '0.0.0.0/0') continue;
    if (owners.has(text) || text === '100.64.0.1/32' || text === '100.64.0.9/32') return text;
    owners.set(text, peer.ID);
  }
  return undefined;
}
