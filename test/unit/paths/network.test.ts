import t from 'tap';
import type { Endpoint } from '../../../src/base/endpoint.ts';
import { formatEndpoint } from '../../../src/base/endpoint.ts';
import { millis } from '../../../src/base/time.ts';
import { HomeRelay } from '../../../src/node/paths/home-relay.ts';
import { decodeRequest, encodeAnswer } from '../../../src/protocol/disco/stun.ts';
import { must } from '../../must.ts';
import { at, Other, relayMap, Stand } from './stand.ts';

const HERE = at('203.0.113.50:20000');

/** Answers the STUN requests sent so far, as servers would that see us at `seen`. */
function answerStun(stand: Stand, seen: (server: string) => Endpoint | undefined): void {
  for (const { to, datagram } of stand.udp.splice(0)) {
    const transaction = decodeRequest(datagram);
    const from = seen(to);
    if (typeof transaction !== 'string' && from !== undefined)
      stand.paths.receive(encodeAnswer(transaction, from), at(to));
  }
}

const texts = (stand: Stand): string[] =>
  stand.paths.endpoints().map(({ endpoint, type }) => `${type} ${formatEndpoint(endpoint)}`);

t.test('netcheck: an answer gives our endpoint, home relay and NetInfo', async (t) => {
  const stand = new Stand();
  stand.paths.setRelayMap(relayMap([900, '198.51.100.1'], [901, '198.51.100.2']));
  t.same(
    stand.udp.map(({ to }) => to),
    ['198.51.100.1:3478', '198.51.100.2:3478'],
  );
  stand.clock.runTo(1030);
  answerStun(stand, () => HERE);
  t.same(texts(stand), ['local 192.168.1.10:41641', 'stun 203.0.113.50:20000']);
  t.same(stand.preferred, [900]);
  t.match(stand.infos, [
    { WorkingUDP: true, MappingVariesByDestIP: false, PreferredDERP: 900, WorkingIPv6: false },
  ]);
  t.same(must(stand.infos[0]).DERPLatency, { '900-v4': 0.03, '901-v4': 0.03 });
});

t.test(
  'netcheck: two servers that see two ports make a hard NAT, and a guess is told',
  async (t) => {
    const stand = new Stand();
    stand.paths.setRelayMap(relayMap([900, '198.51.100.1'], [900, '198.51.100.2']));
    answerStun(stand, (server) => ({ ...HERE, port: server.includes('.1:') ? 20_001 : 20_002 }));
    t.match(stand.infos, [{ MappingVariesByDestIP: true }]);
    t.same(texts(stand), [
      'local 192.168.1.10:41641',
      'stun 203.0.113.50:20001',
      'stun-local-port 203.0.113.50:41641',
    ]);
  },
);

t.test(
  'netcheck: strangers, old transactions and addresses that cannot be ours change nothing',
  async (t) => {
    const stand = new Stand();
    stand.paths.setRelayMap(relayMap([900, '198.51.100.1']));
    const before = texts(stand);
    const transaction = decodeRequest(must(stand.udp[0]).datagram);
    if (typeof transaction === 'string') throw new Error(transaction);
    const server = at('198.51.100.1:3478');
    const say = (seen: string, from = server, id = transaction): boolean =>
      stand.paths.receive(encodeAnswer(id, at(seen)), from);
    t.ok(say('203.0.113.66:1', at('198.51.100.66:3478')));
    t.ok(say('203.0.113.66:1', server, stand.random.bytes(12)));
    for (const bogus of [
      '224.0.0.1:9',
      '127.0.0.1:9',
      '10.1.2.3:9',
      '100.64.0.9:9',
      '[2001:db8::1]:9',
    ])
      say(bogus);
    t.same(texts(stand), before);
    t.match(stand.paths.counters(), {
      'stun: from a stranger': 1,
      'stun: unknown transaction': 1,
      'stun: bogus address': 5,
    });
    say('203.0.113.50:20000');
    t.ok(texts(stand).includes('stun 203.0.113.50:20000'), 'the true one still counts');
  },
);

t.test('netcheck: a private address counts from a server that is private itself', async (t) => {
  const stand = new Stand();
  stand.paths.setRelayMap(relayMap([900, '10.68.0.1']));
  answerStun(stand, () => at('10.68.0.5:41641'));
  t.ok(texts(stand).includes('stun 10.68.0.5:41641'));
});

t.test('netcheck: where UDP is blocked, HTTPS chooses the home relay', async (t) => {
  const stand = new Stand();
  stand.https = (region) => ({ 900: 80, 901: 20 })[region];
  stand.paths.setRelayMap(relayMap([900, '198.51.100.1'], [901, '198.51.100.2']));
  await stand.live(5000);
  t.same(stand.preferred, [901]);
  t.match(stand.infos, [{ WorkingUDP: false, DERPLatency: { '901-v4': 0.02 } }]);
});

t.test('netcheck: a relay known by name is looked up and asked', async (t) => {
  const stand = new Stand();
  stand.paths.setRelayMap(relayMap([900, 'relay.example']));
  await stand.live(10);
  t.equal(stand.udp[0]?.to, '198.51.100.9:3478');
});

t.test('netcheck: rounds go on while a peer is active, and end with it', async (t) => {
  const stand = new Stand();
  const other = new Other(stand);
  stand.paths.setPeers([other.peer()]);
  stand.paths.setRelayMap(relayMap([900, '198.51.100.1']));
  answerStun(stand, () => HERE);
  await stand.live(600_000);
  t.equal(stand.udp.length, 0, 'silent for ten minutes');
  stand.paths.wanted(other.nodeKey);
  answerStun(stand, () => HERE);
  let rounds = 0;
  for (let second = 0; second < 130; second++) {
    stand.traffic = { sent: stand.clock.now(), received: millis(0) };
    await stand.live(1000);
    if (stand.udp.length > 0) rounds++;
    answerStun(stand, () => HERE);
  }
  t.ok(rounds >= 5 && rounds <= 7, `${rounds} rounds in 130 s`);
  await stand.live(60_000);
  stand.udp.length = 0;
  await stand.live(600_000);
  t.equal(stand.udp.length, 0, 'silent again');
});

t.test('netcheck: a path that has died may be our NAT, so that STUN is asked anew', async (t) => {
  const stand = new Stand();
  const other = new Other(stand);
  stand.paths.setPeers([other.peer('198.51.100.77:41641')]);
  stand.paths.setRelayMap(relayMap([900, '198.51.100.1']));
  stand.paths.wanted(other.nodeKey);
  let alive = true;
  /** A tenth of a second; whether STUN was asked in it. */
  const lives = async (): Promise<boolean> => {
    stand.traffic = { sent: stand.clock.now(), received: millis(0) };
    await stand.live(100);
    const sent = [...stand.udp];
    answerStun(stand, () => HERE);
    stand.udp.push(...sent);
    if (alive) other.answer();
    else stand.udp.length = 0;
    return sent.some(({ to }) => to === '198.51.100.1:3478');
  };
  while (stand.clock.now() < 10_000) await lives();
  while (!(await lives()));
  alive = false;
  const died = stand.clock.now();
  while (!(await lives()));
  const askedAfter = stand.clock.now() - died;
  t.ok(askedAfter < 4700, `${askedAfter} ms after its death, and not 20 s after the last`);
});

t.test(
  'home relay: stays unless another is clearly shorter or it has been silent twice',
  async (t) => {
    const home = new HomeRelay();
    home.setMap(relayMap([1, '198.51.100.1'], [2, '198.51.100.2']));
    const ROWS: readonly [
      one: number | undefined,
      two: number | undefined,
      home: number,
      why: string,
    ][] = [
      [30, 50, 1, 'the shorter'],
      [50, 31, 1, 'the least of the last minutes counts'],
      [30, 21, 1, 'not by 10 ms'],
      [60, 12, 2, 'clearly'],
      [11, undefined, 2, 'one miss'],
      [11, undefined, 1, 'two'],
      [undefined, undefined, 1, 'no answer at all says nothing of the relays'],
    ];
    for (const [i, [one, two, chosen, why]] of ROWS.entries()) {
      const entries = [
        [1, one],
        [2, two],
      ].filter((entry): entry is [number, number] => entry[1] !== undefined);
      t.equal(home.measured(new Map(entries), millis(i * 20_000)), chosen, why);
    }
    t.equal(home.setMap(relayMap([2, '198.51.100.2'])), 2, 'gone from the map');
  },
);
