import t from 'tap';
import { concat } from '../../../src/base/bytes.ts';
import type { Endpoint } from '../../../src/base/endpoint.ts';
import { formatEndpoint } from '../../../src/base/endpoint.ts';
import { toMapped } from '../../../src/base/ip.ts';
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  isStun,
} from '../../../src/protocol/disco/stun.ts';
import { seeded } from '../../seeded.ts';

const hex = (bytes: Uint8Array | string): string =>
  typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

// Sent by a stock client 1.102.3, and the answer that it took, 2026-11.
const REQUEST = '000100142112a442a7b092b1e4af1c8d81f28af7802200087461696c6e6f64658028000452e08b9d';
const ANSWER = '0101000c2112a442a7b092b1e4af1c8d81f28af700200008000183bb2b56a447';

t.test('stun: a captured exchange is understood, and written again byte for byte', async (t) => {
  const transaction = decodeRequest(fromHex(REQUEST));
  if (typeof transaction === 'string') throw new Error(transaction);
  t.equal(hex(encodeRequest(transaction)), REQUEST);
  const answer = decodeAnswer(fromHex(ANSWER));
  if (typeof answer === 'string') throw new Error(answer);
  t.equal(formatEndpoint(answer.seenFrom), '10.68.0.5:41641');
  t.equal(hex(encodeAnswer(transaction, answer.seenFrom)), ANSWER);
});

t.test('stun: the IPv6 answer of RFC 5769 2.3 is read, attributes around it and all', async (t) => {
  const sample =
    '010100482112a442b7e7a701bc34d686fa87dfae' +
    '8022000b7465737420766563746f7220' +
    '002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9' +
    '00080014a382954e4be67bf11784c97c8292c275bfe3ed41' +
    '80280004c8fb0b4c';
  const answer = decodeAnswer(fromHex(sample));
  if (typeof answer === 'string') throw new Error(answer);
  t.equal(formatEndpoint(answer.seenFrom), '[2001:db8:1234:5678:11:2233:4455:6677]:32853');
});

t.test('stun: an IPv4 address in the room of an IPv6 one is read as what it is', async (t) => {
  for (const mapped of [true, false]) {
    const address = mapped ? toMapped(Uint8Array.of(192, 0, 2, 1)) : Uint8Array.of(192, 0, 2, 1);
    const seenFrom: Endpoint = { address, port: 41641, scope: 0 };
    const answer = decodeAnswer(encodeAnswer(new Uint8Array(12).fill(7), seenFrom));
    if (typeof answer === 'string') throw new Error(answer);
    t.equal(formatEndpoint(answer.seenFrom), '192.0.2.1:41641');
  }
});

t.test('stun: any answer of either family comes back as it was', async (t) => {
  const random = seeded(1);
  for (let round = 0; round < 1000; round++) {
    const transaction = random.bytes(12);
    const address = random.bytes(random.pick([4, 16]));
    const seenFrom: Endpoint = { address, port: random.below(65_536), scope: 0 };
    const got = decodeAnswer(encodeAnswer(transaction, seenFrom));
    const same =
      typeof got !== 'string' &&
      hex(got.transaction) === hex(transaction) &&
      formatEndpoint(got.seenFrom) === formatEndpoint(seenFrom);
    if (!same) return t.same(got, { transaction, seenFrom }, `round ${round}`);
  }
  return t.pass('1,000 answers');
});

t.test(
  'stun: a request with any bit flipped, cut, or without fingerprint gets no answer',
  async (t) => {
    const whole = fromHex(REQUEST);
    const answered: string[] = [];
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const flipped = whole.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      if (typeof decodeRequest(flipped) !== 'string') answered.push(`bit ${bit}`);
    }
    for (let length = 0; length < whole.length; length++)
      if (typeof decodeRequest(whole.subarray(0, length)) !== 'string') answered.push(`${length}`);
    const bare = concat(fromHex('00010000'), whole.subarray(4, 20));
    if (typeof decodeRequest(bare) !== 'string') answered.push('bare');
    t.same(answered, []);
  },
);

t.test('stun: hostile bytes give a result or a reason, never an exception', async (t) => {
  const random = seeded(2);
  const head = fromHex(ANSWER).subarray(0, 20);
  for (let round = 0; round < 100_000; round++) {
    const bytes = concat(head, random.bytes(random.below(64)));
    bytes[3] = bytes.length - 20;
    decodeAnswer(bytes);
    decodeRequest(bytes);
    isStun(random.bytes(random.below(40)));
  }
  t.pass('100,000 datagrams');
});
