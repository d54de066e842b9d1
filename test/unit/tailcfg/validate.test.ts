import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import type { Node } from '../../../src/protocol/tailcfg/types.ts';
import type { Read } from '../../../src/protocol/tailcfg/validate.ts';
import {
  MAX_REQUEST_BYTES,
  mapFault,
  nodeFault,
  readMapRequest,
  readMapResponse,
  readRegisterRequest,
  readRegisterResponse,
  registerFault,
} from '../../../src/protocol/tailcfg/validate.ts';
import { MAP_REQUEST, REGISTER_REQUEST } from '../../../src/protocol/tailcfg/vocabulary.ts';
import { seeded } from '../../seeded.ts';
import { spoiled } from './mutations.ts';
import { MAP, map, node, REGISTER, REGISTERED } from './sample-bodies.ts';

const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const reasonOf = (read: Read<unknown>): string => ('reason' in read ? read.reason : 'none');
const detailOf = (read: Read<unknown>): string => ('reason' in read ? read.detail : 'none');

t.test('read: a body that uses every field comes back as it was', async (t) => {
  t.strictSame(readRegisterRequest(bytes(REGISTER)), { value: REGISTER });
  t.strictSame(readMapRequest(bytes(MAP)), { value: MAP });
  t.strictSame(readRegisterResponse(bytes(REGISTERED)), { value: REGISTERED });
  t.strictSame(readMapResponse(bytes(map(3))), { value: map(3) });
  t.equal(mapFault(map(3)), undefined);
  t.equal(registerFault(REGISTERED), undefined);
});

t.test('read: what no shape names is left out, and null is the same as absent', async (t) => {
  const { Auth, Followup, ...rest } = REGISTER;
  const later = { ...rest, Auth: null, Followup: null, NLKey: 'nlpub:1', Later: [[[]]] };
  t.strictSame(readRegisterRequest(bytes(later)), { value: rest });
  t.ok(Auth && Followup !== undefined);
  const body = JSON.stringify({ ...MAP, Hostinfo: { Hostname: 'x', Cloud: 'aws', TPM: {} } });
  const read = readMapRequest(bytes(body.replace('{', '{"__proto__":{"Stream":1},')));
  t.strictSame(read, { value: { ...MAP, Hostinfo: { Hostname: 'x' } } });
});

t.test('read: each way to be no body has its reason', async (t) => {
  const long = new Uint8Array(MAX_REQUEST_BYTES + 1).fill(0x20);
  t.equal(reasonOf(readMapRequest(long)), 'body: too large');
  t.equal(reasonOf(readMapRequest(Uint8Array.of(0x22, 0xff, 0x22))), 'body: not UTF-8');
  t.equal(reasonOf(readMapRequest(bytes('{"Version":'))), 'body: not JSON');
  t.equal(reasonOf(readMapRequest(new Uint8Array(0))), 'body: not JSON');
  const nested = (levels: number) => `{"x":${'['.repeat(levels)}${']'.repeat(levels)}}`;
  t.equal(reasonOf(readMapRequest(bytes(nested(500_000)))), 'body: too deep');
  t.equal(reasonOf(readMapRequest(bytes(nested(32)))), 'body: too deep');
  t.equal(reasonOf(readMapRequest(bytes(nested(31)))), 'body: wrong shape');
  const brackets = { ...MAP, Compress: `\\"${'['.repeat(50)}` };
  t.strictSame(readMapRequest(bytes(brackets)), { value: brackets }, 'brackets in a text are none');
});

t.test('read: a detail names the place and the kind, and no text that was sent', async (t) => {
  const cases: readonly [change: object, detail: string][] = [
    [{ NodeKey: undefined }, 'RegisterRequest.NodeKey: is missing'],
    [
      { NodeKey: `nodekey:${'0'.repeat(64)}` },
      'RegisterRequest.NodeKey: wanted a nodekey: that is not zero, found a text of 72',
    ],
    [
      { Auth: { AuthKey: 'x'.repeat(257) } },
      'RegisterRequest.Auth.AuthKey: wanted a text of at most 256, found a text of 257',
    ],
    [
      { Hostinfo: { Services: [{ Proto: 'tcp', Port: 65_536 }] } },
      'RegisterRequest.Hostinfo.Services[0].Port: wanted a whole number of 0 to 65535, found 65536',
    ],
    [
      { Hostinfo: { NetInfo: { DERPLatency: { '900-v4': 'secret' } } } },
      'RegisterRequest.Hostinfo.NetInfo.DERPLatency[field 0]: wanted a finite number, found a text of 6',
    ],
    [
      { Hostinfo: { RoutableIPs: Array(1025).fill('10.0.0.0/8') } },
      'RegisterRequest.Hostinfo.RoutableIPs: wanted at most 1024 elements, found 1025',
    ],
    [
      { Expiry: '2026-02-30T00:00:00Z' },
      'RegisterRequest.Expiry: wanted a time of at most 64, found a text of 20',
    ],
    [{ Hostinfo: [] }, 'RegisterRequest.Hostinfo: wanted an object, found a list'],
  ];
  for (const [change, detail] of cases)
    t.equal(detailOf(readRegisterRequest(bytes({ ...REGISTER, ...change }))), detail);
});

t.test('hostile bodies: 50,000 give a value within its bounds or a reason', async (t) => {
  const random = seeded(70);
  const reasons = new Map<string, number>();
  for (let round = 0; round < 50_000; round++) {
    const [good, read, shape] = random.pick([
      [REGISTER, readRegisterRequest, REGISTER_REQUEST] as const,
      [MAP, readMapRequest, MAP_REQUEST] as const,
    ]);
    const body = bytes(spoiled(random, good));
    // Every second one has bytes spoiled besides.
    for (let i = random.below(2) * random.below(4); i > 0; i--)
      body[random.below(body.length)] = random.below(256);
    const found = read(body);
    const reason = reasonOf(found);
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    if ('reason' in found) continue;
    if (shape.fault(found.value, true) !== undefined)
      return t.fail(`round ${round}: what was read has ${shape.fault(found.value, true)}`);
    if (!isDeepStrictEqual(read(bytes(found.value)), found))
      return t.fail(`round ${round}: what was read does not come back`);
  }
  for (const reason of ['none', 'body: not UTF-8', 'body: not JSON', 'body: wrong shape'])
    t.ok(reasons.has(reason), `${reason}: ${reasons.get(reason)}`);
  return t.equal(reasons.size, 4);
});

t.test('mapFault: what must not leave is named by its place', async (t) => {
  const whole = map(2);
  const peer = node(1);
  const cases: readonly [change: object, fault: string][] = [
    [{ Peers: [peer, null] }, '.Peers[1]: wanted an object, found null'],
    [
      { Peers: [peer, { ...peer, Key: '' }] },
      '.Peers[1].Key: wanted a nodekey:, found a text of 0',
    ],
    [{ Peers: [{ ...peer, Hostinfo: undefined }] }, '.Peers[0].Hostinfo: is missing'],
    [
      { Peers: [{ ...peer, Name: 'cam' }] },
      '.Peers[0].Name: wanted a full name of at most 254, found a text of 3',
    ],
    [
      { Node: { ...peer, Addresses: ['100.64.0.1'] } },
      '.Node.Addresses[0]: wanted a prefix of at most 64, found a text of 10',
    ],
    [{ Node: { ...peer, Online: 'yes' } }, '.Node.Online: wanted true or false, found a text of 3'],
    [
      { Node: { ...peer, LastSeen: new Date(0) } },
      '.Node.LastSeen: wanted a time of at most 64, found object',
    ],
    [
      { PeersRemoved: [1.5] },
      '.PeersRemoved[0]: wanted a whole number of 1 to 9007199254740991, found 1.5',
    ],
    [{ PeersRemovd: [1] }, ': field PeersRemovd is not known'],
    [{ OnlineChange: { n1: true } }, '.OnlineChange: the name of field 0 is none that is known'],
    [
      { DNSConfig: { Routes: { 'mesh.internal': null } } },
      '.DNSConfig.Routes[field 0]: wanted a list, found null',
    ],
    [
      { PacketFilters: { base: [{ DstPorts: [] }] } },
      '.PacketFilters[field 0][0].SrcIPs: is missing',
    ],
    [
      { Node: { ...peer, CapMap: { knob: [() => 1] } } },
      '.Node.CapMap[field 0][0]: wanted JSON of at most 8 levels and 4096 values',
    ],
  ];
  for (const [change, fault] of cases)
    t.equal(mapFault({ ...whole, ...change }), `MapResponse${fault}`);
  t.equal(nodeFault({ ...peer, ID: 0 })?.slice(0, 8), 'Node.ID:');
});

t.test(
  'mapFault: a node that passed is not looked at again, and one at fault never passes',
  async (t) => {
    const passed = new WeakSet<Node>();
    const [good, bad] = [node(1), { ...node(2), Name: '' }];
    t.match(mapFault({ Peers: [good, bad] }, passed), /^MapResponse.Peers\[1\].Name: /);
    t.strictSame([passed.has(good), passed.has(bad)], [true, false]);
    t.equal(mapFault({ Peers: [good], PeersChanged: [good, node(3)] }, passed), undefined);
    t.match(mapFault({ PeersChanged: [bad] }, passed), /^MapResponse.PeersChanged\[0\].Name: /);
    t.match(mapFault({ Peers: [null] as never }, passed), /found null/);
    t.match(mapFault({ Peers: {} as never }, passed), /^MapResponse.Peers: wanted a list/);
  },
);

t.test('mapFault: what it lets pass is read by a client of ours as it was sent', async (t) => {
  const random = seeded(71);
  const good = map(2);
  const strange = [undefined, Number.NaN, Number.POSITIVE_INFINITY, 1n, new Date(0), () => 1];
  let passed = 0;
  for (let round = 0; round < 20_000; round++) {
    const response = spoiled(random, good, strange) as typeof good;
    if (mapFault(response) !== undefined) continue;
    passed++;
    const text = JSON.stringify(response);
    const read = readMapResponse(bytes(text));
    if ('reason' in read) return t.fail(`round ${round}: ${read.detail}`);
    // Null and undefined are the same as absent, so both are compared without them.
    const again = readMapResponse(bytes(read.value));
    if (!isDeepStrictEqual(again, read)) return t.fail(`round ${round}: ${text}`);
  }
  return t.ok(passed > 2000 && passed < 18_000, `${passed} of 20,000 passed`);
});
