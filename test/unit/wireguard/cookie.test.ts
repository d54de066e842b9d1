import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { blake2s } from '@noble/hashes/blake2.js';
import t from 'tap';
import { concat, isZero } from '../../../src/base/bytes.ts';
import { parseEndpoint, sockaddr } from '../../../src/base/endpoint.ts';
import { after, millis } from '../../../src/base/time.ts';
import { COOKIE_TIME } from '../../../src/protocol/wireguard/constants.ts';
import { CookieChecker, CookieGenerator } from '../../../src/protocol/wireguard/cookie.ts';
import { RateLimit } from '../../../src/protocol/wireguard/rate-limit.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

const NOW = millis(1_000_000);
const address = (text: string): Uint8Array => sockaddr(must(parseEndpoint(text)));
const SOURCE = address('192.0.2.7:1111');
const text = (words: string): Uint8Array => new TextEncoder().encode(words);

function setUp(seed: number) {
  const random = seeded(seed);
  const responder = random.bytes(32);
  const message = concat(Uint8Array.of(1, 0, 0, 0), random.bytes(144));
  return {
    random,
    responder,
    message,
    checker: new CookieChecker(responder, random.bytes),
    generator: new CookieGenerator(responder),
  };
}

t.test('mac1: is the one of the paper, and no other fits', async (t) => {
  const { responder, message, checker, generator, random } = setUp(40);
  generator.addMacs(message, NOW);
  const key = blake2s(concat(text('mac1----'), responder));
  t.strictSame(message.slice(116, 132), blake2s(message.slice(0, 116), { key, dkLen: 16 }));
  t.ok(isZero(message.subarray(132)), 'no cookie, no mac2');
  t.equal(checker.mac1Fits(message), true);
  t.equal(new CookieChecker(random.bytes(32), random.bytes).mac1Fits(message), false);
  for (let bit = 0; bit < 8 * 132; bit++) {
    message[bit >> 3] = (message[bit >> 3] as number) ^ (1 << (bit & 7));
    if (checker.mac1Fits(message)) return t.fail(`bit ${bit}`);
    message[bit >> 3] = (message[bit >> 3] as number) ^ (1 << (bit & 7));
  }
  return t.pass('1,056 bits');
});

t.test('cookie: a reply makes mac2 fit, for that source alone', async (t) => {
  const { message, checker, generator } = setUp(41);
  generator.addMacs(message, NOW);
  t.equal(checker.mac2Fits(message, SOURCE, NOW), false);
  const reply = checker.reply(message, SOURCE, NOW);
  t.equal(reply.length, 64);
  t.strictSame(reply.slice(4, 8), message.slice(4, 8), 'names the sender index');
  t.equal(generator.takeReply(reply, NOW), undefined);
  generator.addMacs(message, NOW);
  t.equal(checker.mac2Fits(message, SOURCE, NOW), true);
  for (const other of ['192.0.2.7:1112', '192.0.2.8:1111', '[2001:db8::1]:1111'])
    t.equal(checker.mac2Fits(message, address(other), NOW), false, other);
});

t.test('cookie: the reply is sealed as in the paper', async (t) => {
  const { responder, message, checker, generator } = setUp(42);
  generator.addMacs(message, NOW);
  const reply = checker.reply(message, SOURCE, NOW);
  const key = blake2s(concat(text('cookie--'), responder));
  const cookie = xchacha20poly1305(key, reply.slice(8, 32), message.slice(116, 132)).decrypt(
    reply.slice(32),
  );
  generator.takeReply(reply, NOW);
  generator.addMacs(message, NOW);
  t.strictSame(message.slice(132), blake2s(message.slice(0, 132), { key: cookie, dkLen: 16 }));
});

t.test('cookie: lives for two minutes at either end, and not a millisecond longer', async (t) => {
  const { message, checker, generator } = setUp(43);
  const [last, over] = [after(NOW, millis(COOKIE_TIME - 1)), after(NOW, COOKIE_TIME)];
  generator.addMacs(message, NOW);
  generator.takeReply(checker.reply(message, SOURCE, NOW), NOW);
  generator.addMacs(message, last);
  t.equal(isZero(message.subarray(132)), false);
  t.equal(checker.mac2Fits(message, SOURCE, last), true);
  t.equal(checker.mac2Fits(message, SOURCE, over), false, 'the secret has changed');
  generator.addMacs(message, over);
  t.ok(isZero(message.subarray(132)), 'and the cookie is used no more');
});

t.test('cookie: a reply that we did not ask for, or to another message, is dropped', async (t) => {
  const { message, checker, generator, random } = setUp(44);
  const other = new CookieGenerator(random.bytes(32));
  t.equal(generator.takeReply(random.bytes(64), NOW), 'cookie: malformed');
  t.equal(generator.takeReply(checker.reply(message, SOURCE, NOW), NOW), 'cookie: not asked for');
  generator.addMacs(message, NOW);
  const reply = checker.reply(message, SOURCE, NOW);
  other.addMacs(message.slice(), NOW);
  t.equal(other.takeReply(reply, NOW), 'cookie: forged');
  message[20] = (message[20] as number) ^ 1;
  generator.addMacs(message, NOW);
  t.equal(generator.takeReply(reply, NOW), 'cookie: forged', 'it answers an earlier message');
});

t.test('rate limit: five at once, then one each 50 ms, for each address apart', async (t) => {
  const limit = new RateLimit();
  const burst = Array.from({ length: 7 }, () => limit.allow(SOURCE, NOW));
  t.strictSame(burst, [true, true, true, true, true, false, false]);
  t.equal(limit.allow(address('192.0.2.7:9'), NOW), false, 'another port is the same address');
  t.equal(limit.allow(address('192.0.2.8:1111'), NOW), true);
  t.equal(limit.allow(SOURCE, millis(NOW + 49)), false);
  t.equal(limit.allow(SOURCE, millis(NOW + 50)), true);
  let allowed = 0;
  for (let at = 1000; at < 11_000; at++) if (limit.allow(SOURCE, millis(NOW + at))) allowed++;
  t.equal(allowed, 204, 'in ten seconds: 20 each, and the rest of the burst');
});

t.test('rate limit: IPv6 counts by its /64', async (t) => {
  const limit = new RateLimit();
  for (let i = 1; i <= 5; i++) limit.allow(address(`[2001:db8::${i}]:1`), NOW);
  t.equal(limit.allow(address('[2001:db8::6]:1'), NOW), false);
  t.equal(limit.allow(address('[2001:db8:0:1::1]:1'), NOW), true);
});

t.test('rate limit: a full table forgets the idle and makes the unknown wait', async (t) => {
  const limit = new RateLimit(100);
  const from = (i: number): Uint8Array => address(`10.0.${i >> 8}.${i & 255}:1`);
  for (let i = 0; i < 100; i++) limit.allow(from(i), NOW);
  t.equal(limit.allow(from(100), NOW), false);
  t.equal(limit.allow(from(5), NOW), true, 'the known go on');
  t.equal(limit.allow(from(100), millis(NOW + 50)), true);
  t.equal(limit.size, 2, 'the one with a second message, and the new one');
});
