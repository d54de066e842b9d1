import t from 'tap';
import { toBase64 } from '../../../src/base/bytes.ts';
import { formatEndpoint, parseEndpoint } from '../../../src/base/endpoint.ts';
import { formatPrefix } from '../../../src/base/prefix.ts';
import { formatStatus } from '../../../src/node/uapi/answers.ts';
import { routesFor } from '../../../src/node/uapi/routes.ts';
import { differences, toResolve } from '../../../src/node/uapi/sync.ts';
import type { WgConf } from '../../../src/node/uapi/wg-conf.ts';
import { parseWgConf } from '../../../src/node/uapi/wg-conf.ts';
import { must } from '../../must.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';
import { FakeInterface } from './fake-interface.ts';

const random = seeded(31);
const KEYS = Array.from({ length: 5 }, () => toBase64(random.bytes(32)));
const conf = (...lines: string[]): WgConf => parseWgConf(lines.join('\n'), 'wg0.conf');
const peer = (i: number, ...lines: string[]): string =>
  ['[Peer]', `PublicKey = ${KEYS[i]}`, ...lines].join('\n');

t.test('sync: a peer that the file leaves alone is not touched, wherever it is now', async (t) => {
  const before = conf(
    '[Interface]',
    `PrivateKey = ${KEYS[4]}`,
    peer(0, 'Endpoint = 192.0.2.1:1', 'AllowedIPs = 10.0.0.1/32', `PresharedKey = ${KEYS[3]}`),
    peer(1, 'AllowedIPs = 10.0.0.2/32'),
  );
  const target = new FakeInterface();
  target.configure(before.change);
  const roamed = must(parseEndpoint('198.51.100.9:99'));
  must([...target.peers.values()][0]).endpoint = roamed;
  t.same(differences(target.status(), before.change, before.change).peers, []);

  const after = conf(
    '[Interface]',
    `PrivateKey = ${KEYS[4]}`,
    peer(0, 'Endpoint = 192.0.2.1:1', 'AllowedIPs = 10.0.0.1/32', `PresharedKey = ${KEYS[3]}`),
    peer(2, 'AllowedIPs = 10.0.0.2/32', 'PersistentKeepalive = 5'),
  );
  const change = differences(target.status(), before.change, after.change);
  t.match(change.peers, [{ remove: true }, { persistentKeepaliveSeconds: 5 }]);
  t.equal(change.peers.length, 2);
  t.equal(change.listenPort, undefined, 'a port that the kernel chose is kept');
  target.configure(change);
  t.equal(formatEndpoint(must(target.status().peers[0]?.endpoint)), '198.51.100.9:99');
  const moved = conf('[Interface]', peer(0, 'Endpoint = 192.0.2.1:2', 'AllowedIPs = 10.0.0.1/32'));
  const [only] = differences(target.status(), after.change, moved.change).peers.filter(
    ({ remove }) => remove !== true,
  );
  t.match(only, { endpoint: { port: 2 }, presharedKey: null }, 'what the file changed is set');
});

t.test('sync: from any state to any file gives what the file alone would', async (t) => {
  const random = seeded(32);
  for (let round = 0; round < 1000; round++) {
    const [before, after] = [anyConf(random), anyConf(random)];
    const target = new FakeInterface();
    target.configure(before.change);
    target.configure(differences(target.status(), before.change, after.change));
    const fresh = new FakeInterface();
    fresh.configure(after.change);
    if (shown(target) !== shown(fresh))
      return t.equal(shown(target), shown(fresh), `round ${round}`);
  }
  return t.pass('1,000 pairs of files');
});

t.test('sync: names are asked for where the file changed them, or none resolved yet', async (t) => {
  const before = conf(
    '[Interface]',
    peer(0, 'Endpoint = a.example:1'),
    peer(1, 'Endpoint = b.example:1'),
    peer(2, 'Endpoint = c.example:1'),
  );
  const target = new FakeInterface();
  target.configure(before.change);
  const peers = [...target.peers.values()];
  for (const peer of peers.slice(0, 2)) peer.endpoint = parseEndpoint('192.0.2.1:1');
  const after = conf(
    '[Interface]',
    peer(0, 'Endpoint = a.example:1'),
    peer(1, 'Endpoint = b.example:2'),
    peer(2, 'Endpoint = c.example:1'),
  );
  t.same(
    toResolve(target.status(), before.unresolved, after.unresolved).map(({ host }) => host),
    ['b.example', 'c.example'],
  );
});

t.test(
  'routes: Table says where they go, and a default route needs more than a route',
  async (t) => {
    const peers = [
      peer(0, 'AllowedIPs = 10.0.0.1/32, 0.0.0.0/0'),
      peer(1, 'AllowedIPs = fd00::/64'),
    ];
    const said = (table: string): readonly [string[], string[]] => {
      const { routes, leftOut } = routesFor(conf('[Interface]', table, ...peers));
      return [
        routes.map((route) => `${formatPrefix(route.prefix)} ${route.table ?? 'main'}`),
        leftOut.map(formatPrefix),
      ];
    };
    const main = [['10.0.0.1/32 main', 'fd00::/64 main'], ['0.0.0.0/0']];
    for (const table of ['', 'Table = auto', 'Table = main', 'Table = 254'])
      t.same(said(table), main, table);
    t.same(said('Table = off'), [[], []]);
    t.same(said('Table = 77'), [['10.0.0.1/32 77', '0.0.0.0/0 77', 'fd00::/64 77'], []]);
    t.throws(() => conf('[Interface]', 'Table = home'), /wg0\.conf:2: Table: wanted a number/);
  },
);

/** Peers and prefixes out of few, so that they meet. */
function anyConf(random: Seeded): WgConf {
  const keys = KEYS.slice(0, 4).filter(() => random.below(3) > 0);
  const any = <T>(values: readonly T[]): T => values[random.below(values.length)] as T;
  return conf(
    '[Interface]',
    ...any([[], ['ListenPort = 5'], ['ListenPort = 6', 'FwMark = 1']]),
    ...keys.flatMap((key) => [
      '[Peer]',
      `PublicKey = ${key}`,
      `AllowedIPs = ${any(['', '10.0.0.0/8', '10.0.0.0/8, 10.1.0.0/16', 'fd00::/8, 10.1.0.0/16'])}`,
      ...any([[], [`PresharedKey = ${KEYS[4]}`]]),
      ...any([['Endpoint = 192.0.2.1:1'], ['Endpoint = 192.0.2.1:2']]),
      ...any([[], ['PersistentKeepalive = 9']]),
    ]),
  );
}

/** Without regard to the order of peers and of their allowed IPs. */
function shown(target: FakeInterface): string {
  const peers = target.status().peers.map((peer) => ({
    ...peer,
    allowedIps: [...peer.allowedIps].sort((a, b) => formatPrefix(a).localeCompare(formatPrefix(b))),
  }));
  peers.sort((a, b) => toBase64(a.publicKey).localeCompare(toBase64(b.publicKey)));
  return formatStatus({ ...target.status(), peers });
}
