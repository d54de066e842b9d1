import t from 'tap';
import { formatEndpoint } from '../../../src/base/endpoint.ts';
import {
  decodePortMap,
  encodePcpMap,
  encodePmpAddress,
  encodePmpMap,
} from '../../../src/protocol/disco/port-map.ts';
import { decodeRequest, encodeAnswer } from '../../../src/protocol/disco/stun.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { at, relayMap, Stand } from './stand.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

t.test('port-map: requests have the bytes of their RFCs', async (t) => {
  const request = { internalPort: 41_641, externalPort: 41_641, lifetimeSeconds: 7200 };
  t.equal(hex(encodePmpAddress()), '0000');
  t.equal(hex(encodePmpMap(request)), '00010000a2a9a2a900001c20');
  t.equal(hex(encodePmpMap({ ...request, lifetimeSeconds: 0 })), '00010000a2a9000000000000');
  t.equal(
    hex(encodePcpMap(request, Uint8Array.of(192, 168, 1, 10), fromHex('0102030405060708090a0b0c'))),
    '0201000000001c2000000000000000000000ffffc0a8010a' +
      '0102030405060708090a0b0c11000000a2a9a2a900000000000000000000ffff00000000',
  );
});

t.test('port-map: hostile bytes give an answer or a reason, never an exception', async (t) => {
  const random = seeded(5);
  for (let round = 0; round < 100_000; round++) {
    const bytes = random.bytes(random.below(64));
    bytes[0] = random.below(3);
    bytes[1] = random.pick([128, 129, 130, 1]);
    bytes[3] = random.below(2);
    decodePortMap(bytes);
  }
  t.pass('100,000 datagrams');
});

const GATEWAY = at('192.168.1.1:5351');

/** A stand whose STUN sees 203.0.113.50, behind a gateway. */
function behindGateway(): Stand {
  const stand = new Stand();
  stand.gateway = GATEWAY.address;
  stand.paths.setRelayMap(relayMap([900, '198.51.100.1']));
  const transaction = decodeRequest(must(stand.udp[0]).datagram);
  if (typeof transaction === 'string') throw new Error(transaction);
  stand.paths.receive(encodeAnswer(transaction, at('203.0.113.50:20000')), at('198.51.100.1:3478'));
  return stand;
}

/** The answer to the PCP request that was sent first. */
function pcpAnswer(stand: Stand, address: string, port: number, result = 0): Uint8Array {
  const answer = must(stand.gatewayed.find(({ datagram }) => datagram[0] === 2)).datagram.slice();
  answer[1] = 0x81;
  answer[3] = result;
  new DataView(answer.buffer).setUint16(42, port);
  answer.set(at(`${address}:1`).address, 56);
  return answer;
}

const mapped = (stand: Stand): string[] =>
  stand.paths
    .endpoints()
    .filter(({ type }) => type === 'port-mapped')
    .map(({ endpoint }) => formatEndpoint(endpoint));

t.test('port-mapping: a PCP gateway gives a port, which is renewed and given back', async (t) => {
  const stand = behindGateway();
  t.equal(stand.gatewayed[0]?.to, '192.168.1.1:5351');
  stand.paths.onGateway(pcpAnswer(stand, '203.0.113.50', 41_641), GATEWAY);
  t.same(mapped(stand), ['203.0.113.50:41641']);
  const asked = stand.gatewayed.length;
  await stand.live(3_500_000);
  t.equal(stand.gatewayed.length, asked, 'asked no more');
  await stand.live(110_000);
  t.ok(stand.gatewayed.length > asked, 'renewed after half of two hours');
  await stand.paths.close();
  const last = must(stand.gatewayed.at(-1)).datagram;
  t.equal(hex(last.subarray(0, 8)), '0201000000000000', 'given back');
});

t.test('port-mapping: NAT-PMP needs both of its answers', async (t) => {
  const stand = behindGateway();
  const map = fromHex('0081000000000001a2a9c00000001c20');
  stand.paths.onGateway(map, GATEWAY);
  t.same(mapped(stand), []);
  stand.paths.onGateway(fromHex('0080000000000001cb007132'), GATEWAY);
  stand.paths.onGateway(map, GATEWAY);
  t.same(mapped(stand), ['203.0.113.50:49152']);
  stand.paths.onGateway(pcpAnswer(stand, '203.0.113.50', 49_152), GATEWAY);
  const asked = stand.gatewayed.length;
  await stand.paths.close();
  t.same(
    stand.gatewayed.slice(asked).map(({ datagram }) => hex(datagram.subarray(0, 8))),
    ['0201000000000000', '00010000a2a90000'],
    'given back by both, since either may own it',
  );
});

t.test('port-mapping: no foreign mapping, whatever a gateway or its neighbour says', async (t) => {
  const stand = behindGateway();
  stand.paths.onGateway(pcpAnswer(stand, '203.0.113.50', 41_641), at('192.168.1.66:5351'));
  stand.paths.onGateway(pcpAnswer(stand, '203.0.113.50', 41_641), at('192.168.1.1:53'));
  const nonce = pcpAnswer(stand, '203.0.113.50', 41_641);
  nonce[24] = (nonce[24] as number) ^ 1;
  stand.paths.onGateway(nonce, GATEWAY);
  const port = pcpAnswer(stand, '203.0.113.50', 41_641);
  port[40] = 0;
  stand.paths.onGateway(port, GATEWAY);
  stand.paths.onGateway(pcpAnswer(stand, '203.0.113.50', 41_641, 2), GATEWAY);
  stand.paths.onGateway(pcpAnswer(stand, '203.0.113.50', 0), GATEWAY);
  t.same(mapped(stand), []);
  stand.paths.onGateway(pcpAnswer(stand, '198.51.100.200', 41_641), GATEWAY);
  t.same(mapped(stand), [], 'another address than STUN sees');
  t.match(stand.paths.counters(), {
    'port-map: from a stranger': 2,
    'port-map: other nonce': 1,
    'port-map: other port': 1,
    'port-map: refused': 1,
    'port-map: absurd mapping': 1,
  });
});

t.test('port-mapping: a silent gateway is asked five times and left alone', async (t) => {
  const stand = behindGateway();
  await stand.live(60_000);
  const asked = stand.gatewayed.filter(({ to }) => to === '192.168.1.1:5351');
  t.equal(asked.length, 15, 'five tries of three datagrams');
});
