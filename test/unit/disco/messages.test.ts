import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import type { Endpoint } from '../../../src/base/endpoint.ts';
import { formatEndpoint } from '../../../src/base/endpoint.ts';
import { discoPublic, nodePublic } from '../../../src/base/keys.ts';
import { boxKey } from '../../../src/crypto/box.ts';
import { ownKey, peerKey } from '../../../src/crypto/x25519.ts';
import type { DiscoMessage } from '../../../src/protocol/disco/messages.ts';
import {
  decodeDisco,
  discoSender,
  encodeDisco,
  isDisco,
  openDisco,
  relayEndpoint,
  sealDisco,
} from '../../../src/protocol/disco/messages.ts';
import { must } from '../../must.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

t.test('disco: a pong by relay is written as a stock client took it', async (t) => {
  // Of a prototype of ours, understood by a stock client 1.102.3, 2026-11.
  const plaintext = '02006e66314302df1da6f38d6eda00000000000000000000ffff7f03032803e7';
  const message = decodeDisco(fromHex(plaintext));
  if (typeof message === 'string' || message.type !== 'pong') throw new Error('no pong');
  t.equal(formatEndpoint(message.seenFrom), '127.3.3.40:999');
  t.equal(hex(encodeDisco({ ...message, seenFrom: relayEndpoint(999) })), plaintext);
});

const FRAMES = `${process.env['POSTERN_VECTORS']}/frames.json`;

interface Frame {
  readonly what: string;
  readonly hex: string;
  readonly senderDiscoPublic?: string;
  readonly recipientDiscoPublic?: string;
  readonly plaintextHex?: string;
  readonly opensTo?: {
    readonly type?: string;
    readonly transaction?: string;
    readonly node?: string;
    readonly observed?: { readonly ip: string; readonly port: number };
    readonly endpoints?: readonly { readonly ip: string; readonly port: number }[];
  };
}

t.test(
  'disco: captured packets open, and what a stock client took is sealed the same way',
  { skip: !existsSync(FRAMES) && 'POSTERN_VECTORS names no folder with frames.json' },
  async (t) => {
    const { keys, frames } = JSON.parse(readFileSync(FRAMES, 'utf8')) as {
      keys: Record<string, string>;
      frames: Frame[];
    };
    const own = ownKey(fromHex(must(keys['ownDiscoPrivate'])));
    const disco = frames.filter(({ what }) => what.startsWith('disco'));
    t.ok(disco.length >= 8, 'enough of them');
    for (const frame of disco) {
      const packet = fromHex(frame.hex);
      t.ok(isDisco(packet), frame.what);
      const other = must(frame.senderDiscoPublic ?? frame.recipientDiscoPublic);
      const sender = frame.senderDiscoPublic ?? hex(own.publicKey);
      t.equal(hex(discoSender(packet)), sender, frame.what);
      const key = must(boxKey(own, peerKey(fromHex(other))));
      const message = openDisco(key, packet);
      if (typeof message === 'string') throw new Error(`${frame.what}: ${message}`);
      if (frame.plaintextHex === undefined) t.same(shown(message), frame.opensTo, frame.what);
      else {
        t.equal(hex(encodeDisco(message)), frame.plaintextHex, frame.what);
        const nonce = packet.subarray(38, 62);
        const sealed = sealDisco(discoPublic(own.publicKey), key, nonce, message);
        t.equal(hex(sealed), frame.hex, frame.what);
      }
    }
  },
);

t.test('disco: any message comes back as it was', async (t) => {
  const random = seeded(1);
  for (let round = 0; round < 1000; round++) {
    const message = anyMessage(random);
    const got = decodeDisco(encodeDisco(message));
    const same = typeof got !== 'string' && hex(encodeDisco(got)) === hex(encodeDisco(message));
    if (!same || got.type !== message.type) return t.same(got, message, `round ${round}`);
  }
  return t.pass('1,000 messages');
});

t.test('disco: hostile bytes give a message or a reason, never an exception', async (t) => {
  const random = seeded(2);
  for (let round = 0; round < 100_000; round++) {
    const body = random.bytes(random.below(80));
    body[0] = random.below(5);
    decodeDisco(body);
  }
  const many = new Uint8Array(2 + 18 * 10_000);
  many[0] = 3;
  const call = decodeDisco(many);
  t.ok(typeof call !== 'string' && call.type === 'call-me-maybe' && call.endpoints.length === 64);
});

t.test('disco: a packet with any bit of its box flipped does not open', async (t) => {
  const random = seeded(3);
  const [a, b] = [ownKey(random.bytes(32)), ownKey(random.bytes(32))];
  const key = must(boxKey(a, peerKey(b.publicKey)));
  const packet = sealDisco(discoPublic(a.publicKey), key, random.bytes(24), anyMessage(random));
  const opened: number[] = [];
  for (let bit = 38 * 8; bit < packet.length * 8; bit++) {
    const flipped = packet.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    if (typeof openDisco(key, flipped) !== 'string') opened.push(bit);
  }
  t.same(opened, []);
  t.type(openDisco(must(boxKey(b, peerKey(a.publicKey))), packet), 'object', 'unharmed it opens');
});

const shown = (message: DiscoMessage): unknown => {
  const place = ({ address, port }: Endpoint) => ({ ip: address.join('.'), port });
  switch (message.type) {
    case 'ping':
      return { type: 'ping', transaction: hex(message.transaction), node: hex(message.sender) };
    case 'pong': {
      const observed = place(message.seenFrom);
      return { type: 'pong', transaction: hex(message.transaction), observed };
    }
    case 'call-me-maybe':
      return { type: 'callMeMaybe', endpoints: message.endpoints.map(place) };
  }
};

function anyMessage(random: Seeded): DiscoMessage {
  const transaction = random.bytes(12);
  const endpoint = (): Endpoint => ({
    address: random.bytes(random.pick([4, 16])),
    port: random.below(65_536),
    scope: 0,
  });
  switch (random.below(3)) {
    case 0:
      return { type: 'ping', transaction, sender: nodePublic(random.bytes(32)) };
    case 1:
      return { type: 'pong', transaction, seenFrom: endpoint() };
    default:
      return {
        type: 'call-me-maybe',
        endpoints: Array.from({ length: random.below(65) }, endpoint),
      };
  }
}
