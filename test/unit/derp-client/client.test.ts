import t from 'tap';
import { concat, toHex } from '../../../src/base/bytes.ts';
import { nodePublic } from '../../../src/base/keys.ts';
import { boxKey } from '../../../src/crypto/box.ts';
import { ownKey, peerKey } from '../../../src/crypto/x25519.ts';
import { DerpClient } from '../../../src/protocol/derp/client.ts';
import { AnswerHead, upgradeRequest } from '../../../src/protocol/derp/client-upgrade.ts';
import { FRAME } from '../../../src/protocol/derp/constants.ts';
import { frame } from '../../../src/protocol/derp/frames.ts';
import { readClientInfo, serverInfo, serverKey } from '../../../src/protocol/derp/greeting.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

const random = seeded(3);
const node = ownKey(random.bytes(32));
const relay = ownKey(random.bytes(32));
const HEAD = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\n\r\n');
const key = must(boxKey(relay, peerKey(node.publicKey)));
const INFO = serverInfo(key, random.bytes(24), { bytesPerSecond: 1, burstBytes: 1 });

interface World {
  readonly client: DerpClient;
  readonly said: string[];
  readonly written: Uint8Array[];
}

function world(): World {
  const said: string[] = [];
  const written: Uint8Array[] = [];
  const client = new DerpClient(
    { key: node, nonce: new Uint8Array(24) },
    {
      write: (bytes) => written.push(bytes),
      joined: () => said.push('joined'),
      packet: (source, datagram) => said.push(`${toHex(source).slice(0, 4)} ${toHex(datagram)}`),
      gone: (peer, reason) => said.push(`gone ${toHex(peer).slice(0, 4)} ${reason}`),
      pong: (token) => said.push(`pong ${toHex(token)}`),
      health: (text) => said.push(`health ${text}`),
      restarting: (after, tryFor) => said.push(`restarting ${after} ${tryFor}`),
    },
  );
  return { client, said, written };
}

function joined(): World {
  const made = world();
  made.client.receive(concat(HEAD, serverKey(relay.publicKey), INFO));
  made.said.length = 0;
  return made;
}

const A = new Uint8Array(32).fill(0xaa);
const STREAM = [
  frame(FRAME.recvPacket, A, Uint8Array.of(1, 2, 3)),
  frame(FRAME.keepAlive),
  frame(99, Uint8Array.of(1)),
  frame(FRAME.peerGone, A, Uint8Array.of(1)),
  frame(FRAME.ping, new Uint8Array(8).fill(7)),
  frame(FRAME.pong, new Uint8Array(8).fill(8)),
  frame(FRAME.health, Buffer.from('you are two')),
  frame(FRAME.restarting, Uint8Array.of(0, 0, 1, 0, 0, 0, 2, 0)),
  frame(FRAME.recvPacket, A),
];
const HEARD = [
  'aaaa 010203',
  'gone aaaa not here',
  'pong 0808080808080808',
  'health you are two',
  'restarting 256 512',
  'aaaa ',
];

t.test('client: the greeting proves both keys, and then it is joined', async (t) => {
  const { client, said, written } = world();
  t.equal(client.receive(concat(HEAD, serverKey(relay.publicKey))), undefined);
  t.match(readClientInfo(relay, must(written[0])), { node: nodePublic(node.publicKey) });
  t.same(said, []);
  t.equal(client.receive(INFO), undefined);
  t.same(said, ['joined']);
  t.equal(written.length, 1);
});

t.test('client: what comes is handed on in order, however it is cut into pieces', async (t) => {
  const stream = concat(HEAD, serverKey(relay.publicKey), INFO, ...STREAM);
  for (let round = 0; round < 300; round++) {
    const { client, said, written } = world();
    for (let at = 0; at < stream.length; ) {
      const next = at + 1 + (round === 0 ? 0 : random.below(round));
      client.receive(stream.subarray(at, next));
      at = next;
    }
    const pong = toHex(must(written[1], `a pong in round ${round}`));
    if (said.join() !== ['joined', ...HEARD].join() || pong !== '13000000080707070707070707')
      return t.same(said, ['joined', ...HEARD], `round ${round}`);
    if (client.unknownFrames !== 1) return t.equal(client.unknownFrames, 1, `round ${round}`);
  }
  return t.pass('300 rounds');
});

t.test(
  'client: a relay that breaks the rules is named, and nothing is read after it',
  async (t) => {
    const forged = serverInfo(new Uint8Array(32), random.bytes(24), {
      bytesPerSecond: undefined,
      burstBytes: undefined,
    });
    for (const [bytes, fault] of [
      [Buffer.from('HTTP/1.1 404 Not Found\r\n\r\n'), 'derp: upgrade refused'],
      [Buffer.from('SSH-2.0-OpenSSH\r\n\r\n'), 'derp: not HTTP'],
      [Buffer.alloc(9000, 'x'), 'derp: answer too long'],
      [concat(HEAD, STREAM[0] as Uint8Array), 'derp: not a greeting'],
      [concat(HEAD, serverKey(new Uint8Array(32))), 'derp: greeting forged'],
      [concat(HEAD, serverKey(relay.publicKey), forged), 'derp: greeting forged'],
      [concat(HEAD, serverKey(relay.publicKey), frame(FRAME.keepAlive)), 'derp: not a greeting'],
    ] as const) {
      const { client, said } = world();
      t.equal(client.receive(bytes), fault, fault);
      t.equal(client.receive(INFO), fault, 'and it stays so');
      t.same(said, []);
    }
    for (const [bytes, fault] of [
      [frame(FRAME.recvPacket, A.subarray(1)), 'derp: frame malformed'],
      [frame(FRAME.ping, A.subarray(0, 7)), 'derp: frame malformed'],
      [frame(FRAME.restarting, A.subarray(0, 7)), 'derp: frame malformed'],
      [frame(FRAME.peerGone, A.subarray(1)), 'derp: frame malformed'],
      [Uint8Array.of(5, 0, 1, 0, 33), 'derp: frame too long'],
      [Uint8Array.of(99, 255, 255, 255, 255), 'derp: frame too long'],
    ] as const) {
      const { client, said } = joined();
      t.equal(client.receive(concat(bytes, STREAM[0] as Uint8Array)), fault, toHex(bytes));
      t.same(said, []);
    }
  },
);

t.test('client: hostile bytes give calls or a fault, never an exception', async (t) => {
  for (let round = 0; round < 20_000; round++) {
    const { client } = round % 2 === 0 ? joined() : world();
    const type = random.below(24);
    const body = random.bytes(random.below(80));
    client.receive(concat(frame(type, body), random.bytes(random.below(20))));
    client.receive(random.bytes(random.below(20)));
  }
  t.pass('20,000 rounds');
});

t.test('upgrade: a host name of the map begins no header of its own', async (t) => {
  const text = Buffer.from(upgradeRequest('evil\r\nX: y:8443')).toString();
  t.match(text, /^GET \/derp HTTP\/1.1\r\nHost: evilX:y:8443\r\n/);
  t.equal(text.split('\r\n').length, 7);
});

t.test(
  'upgrade: the head of an answer ends where it ends, in one piece and byte by byte',
  async (t) => {
    const bytes = concat(HEAD, Buffer.from('rest\r\n\r\n'));
    t.match(new AnswerHead().push(bytes), { status: 101, rest: Buffer.from('rest\r\n\r\n') });
    const head = new AnswerHead();
    const answers = Array.from(bytes.subarray(0, HEAD.length), (byte) =>
      head.push(Uint8Array.of(byte)),
    );
    t.equal(
      answers.findIndex((answer) => answer !== undefined),
      HEAD.length - 1,
    );
  },
);
