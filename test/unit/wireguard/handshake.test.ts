import t from 'tap';
import { toHex } from '../../../src/base/bytes.ts';
import { millis } from '../../../src/base/time.ts';
import type { OwnKey } from '../../../src/crypto/x25519.ts';
import { ownKey, peerKey, takeOwnKey } from '../../../src/crypto/x25519.ts';
import { CookieGenerator } from '../../../src/protocol/wireguard/cookie.ts';
import {
  classify,
  readCookieReply,
  readInitiation,
  readResponse,
} from '../../../src/protocol/wireguard/messages.ts';
import type {
  Peering,
  PendingInitiation,
  ReceivedInitiation,
} from '../../../src/protocol/wireguard/noise.ts';
import {
  consumeInitiation,
  consumeResponse,
  createInitiation,
  createResponse,
  openInitiation,
  staticSecret,
} from '../../../src/protocol/wireguard/noise.ts';
import { must } from '../../must.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';
import { HandshakeState } from '../../twins/noise.ts';

const WIREGUARD = {
  protocolName: 'Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s',
  prologue: new TextEncoder().encode('WireGuard v1 zx2c4 Jason@zx2c4.com'),
};

function peering(own: OwnKey, peerPublic: Uint8Array): Peering {
  const peer = peerKey(peerPublic);
  return { own, peer, staticSecret: must(staticSecret(own, peer)) };
}

/** Two ends that know each other. */
function ends(random: Seeded) {
  const [privateA, privateB] = [random.bytes(32), random.bytes(32)];
  const [a, b] = [ownKey(privateA), ownKey(privateB)];
  return {
    a: { secret: privateA, own: a, to: peering(a, b.publicKey) },
    b: { secret: privateB, own: b, to: peering(b, a.publicKey) },
    psk: random.bytes(32),
  };
}

function value<T>(result: T | string | undefined): T {
  if (typeof result === 'string') throw new Error(result);
  return must(result);
}

const pair = (random: Seeded): OwnKey => takeOwnKey(random.bytes(32));

function initiation(random: Seeded, to: Peering, sender = 0x01020304): PendingInitiation {
  return must(createInitiation(to, pair(random), sender, random.bytes(12)));
}

function received(to: Peering, message: Uint8Array): ReceivedInitiation {
  return value(consumeInitiation(value(openInitiation(to.own, message)), to.staticSecret));
}

t.test('noise: two ends agree on keys, names, indices and time', async (t) => {
  const random = seeded(30);
  const { a, b, psk } = ends(random);
  const timestamp = random.bytes(12);
  const pending = must(createInitiation(a.to, pair(random), 0xfffffffe, timestamp));
  const opened = value(openInitiation(b.own, pending.message));
  t.strictSame(Uint8Array.from(opened.claimed), a.own.publicKey);
  const proved = value(consumeInitiation(opened, b.to.staticSecret));
  t.strictSame([proved.timestamp, proved.sender], [timestamp, 0xfffffffe]);
  const answer = value(createResponse(proved, b.to.peer, psk, pair(random), 0x80000001));
  const result = value(consumeResponse(pending, answer.message, psk));
  t.equal(result.sender, 0x80000001);
  t.equal(readResponseReceiver(answer.message), 0xfffffffe);
  t.strictSame(result.keys.send, answer.keys.receive);
  t.strictSame(result.keys.receive, answer.keys.send);
  t.notSame(result.keys.send, result.keys.receive);
});

t.test('noise: as initiator and as responder we understand the twin, and it us', async (t) => {
  const random = seeded(31);
  for (let round = 0; round < 10; round++) {
    const { a, b, psk } = ends(random);
    const [ephemeralA, ephemeralB] = [random.bytes(32), random.bytes(32)];
    const timestamp = random.bytes(12);
    const twin = (role: 'initiator' | 'responder', own: Uint8Array, ephemeral: Uint8Array) =>
      new HandshakeState({
        role,
        ...WIREGUARD,
        staticPrivate: own,
        ephemeralPrivate: ephemeral,
        responderPublic: b.own.publicKey,
        presharedKey: psk,
      });
    const twinA = twin('initiator', a.secret, ephemeralA.slice());
    const twinB = twin('responder', b.secret, ephemeralB.slice());

    // The same secrets on both sides must make the same bytes.
    const pending = must(createInitiation(a.to, takeOwnKey(ephemeralA), 7, timestamp));
    const first = pending.message.slice(8, 116);
    t.equal(toHex(twinA.write(timestamp)), toHex(first), `round ${round}: initiation`);
    t.strictSame(twinB.read(first), timestamp);
    t.strictSame(twinB.remoteStatic, a.own.publicKey);

    const answer = value(
      createResponse(received(b.to, pending.message), b.to.peer, psk, takeOwnKey(ephemeralB), 8),
    );
    const second = answer.message.slice(12, 60);
    t.equal(toHex(twinB.write(new Uint8Array(0))), toHex(second), `round ${round}: response`);
    t.equal(twinA.read(second).length, 0);

    const { keys } = value(consumeResponse(pending, answer.message, psk));
    t.strictSame(twinA.split(), [keys.send, keys.receive]);
    t.strictSame(twinB.split(), [answer.keys.receive, answer.keys.send]);
  }
});

t.test('noise: each false message has its reason', async (t) => {
  const random = seeded(32);
  const { a, b, psk } = ends(random);
  const stranger = ownKey(random.bytes(32));
  const { message } = initiation(random, a.to);

  t.equal(openInitiation(stranger, message), 'handshake: not for us');
  t.equal(openInitiation(b.own, flipped(message, 8 * 60)), 'handshake: not for us');
  t.equal(openInitiation(b.own, zeroed(message, 8, 40)), 'handshake: bad key');
  t.equal(openInitiation(b.own, message.subarray(1)), 'wireguard: unknown type');
  t.equal(openInitiation(b.own, message.subarray(0, 147)), 'wireguard: wrong length');

  // Sealed well, under the name of `a`, by one who lacks a's secret.
  const opened = value(openInitiation(b.own, message));
  t.equal(consumeInitiation(opened, random.bytes(32)), 'handshake: forged initiation');
  const late = value(openInitiation(b.own, flipped(message, 8 * 100)));
  t.equal(consumeInitiation(late, b.to.staticSecret), 'handshake: forged initiation');

  const pending = initiation(random, a.to);
  const answer = value(
    createResponse(received(b.to, pending.message), b.to.peer, psk, pair(random), 1),
  );
  t.equal(consumeResponse(pending, answer.message, random.bytes(32)), 'handshake: forged response');
  t.equal(
    consumeResponse(pending, flipped(answer.message, 8 * 50), psk),
    'handshake: forged response',
  );
  t.equal(
    consumeResponse(pending, flipped(answer.message, 8 * 20), psk),
    'handshake: forged response',
  );
  t.equal(consumeResponse(pending, zeroed(answer.message, 12, 44), psk), 'handshake: bad key');
  t.equal(consumeResponse(pending, message, psk), 'wireguard: unknown type');
  t.strictSame(
    value(consumeResponse(pending, answer.message, psk)).keys.send,
    answer.keys.receive,
    'and the true one is still taken after all of them',
  );
});

t.test('noise: a peer of low order gets neither a secret nor an initiation', async (t) => {
  const own = ownKey(seeded(33).bytes(32));
  const peer = peerKey(new Uint8Array(32));
  t.equal(staticSecret(own, peer), undefined);
  const to = { own, peer, staticSecret: new Uint8Array(32) };
  t.equal(createInitiation(to, pair(seeded(36)), 1, new Uint8Array(12)), undefined);
});

t.test('noise: ephemeral keys are wiped when their handshake is over', async (t) => {
  const random = seeded(34);
  const { a, b, psk } = ends(random);
  const [ephemeralA, ephemeralB] = [pair(random), pair(random)];
  const pending = must(createInitiation(a.to, ephemeralA, 1, random.bytes(12)));
  const answer = value(
    createResponse(received(b.to, pending.message), b.to.peer, psk, ephemeralB, 2),
  );
  t.throws(() => ephemeralB.agree(b.to.peer), /wiped/);
  t.ok(ephemeralA.agree(a.to.peer), 'one that waits for its response is not');
  value(consumeResponse(pending, answer.message, psk));
  t.throws(() => ephemeralA.agree(a.to.peer), /wiped/);
});

t.test('hostile datagrams: 100,000 give a reason each, and never an exception', async (t) => {
  const random = seeded(35);
  const { a, b, psk } = ends(random);
  const pending = initiation(random, a.to);
  const answer = value(
    createResponse(received(b.to, pending.message), b.to.peer, psk, pair(random), 1),
  );
  const cookies = new CookieGenerator(b.own.publicKey);
  cookies.addMacs(pending.message, millis(1));
  const good = [pending.message, answer.message, new Uint8Array(64), new Uint8Array(32)];
  const reasons = new Map<string, number>();
  for (let round = 0; round < 100_000; round++) {
    const datagram = hostile(random, good);
    const opened = openInitiation(b.own, datagram);
    const results: unknown[] = [
      readInitiation(datagram),
      readResponse(datagram),
      readCookieReply(datagram),
    ];
    const judged: unknown[] = [
      typeof opened === 'string' ? opened : consumeInitiation(opened, b.to.staticSecret),
      consumeResponse(pending, datagram, psk),
      cookies.takeReply(datagram, millis(1)),
    ];
    // The readers may find their message well formed; the handshake must not.
    const accepted = judged.some((reason) => typeof reason !== 'string');
    const read = results.filter((result) => typeof result !== 'string').length;
    if (accepted || read > 1) return t.fail(`round ${round}: ${toHex(datagram)} was taken`);
    if ((read === 1) !== ['initiation', 'response', 'cookie reply'].includes(classify(datagram)))
      return t.fail(`round ${round}: ${toHex(datagram)} is read otherwise than classified`);
    for (const reason of [...results, ...judged])
      if (typeof reason === 'string') reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  for (const reason of [
    'wireguard: too short',
    'wireguard: unknown type',
    'wireguard: wrong length',
    'handshake: not for us',
    'handshake: forged initiation',
    'handshake: forged response',
    'cookie: malformed',
    'cookie: forged',
  ])
    t.ok(reasons.has(reason), `${reason}: ${reasons.get(reason)}`);
  return t.strictSame(
    value(consumeResponse(pending, answer.message, psk)).keys.send,
    answer.keys.receive,
    'and the handshake still ends well',
  );
});

/** Random bytes, a good message cut, lengthened or with a bit changed, or its head with random bytes behind. */
function hostile(random: Seeded, good: readonly Uint8Array[]): Uint8Array {
  const type = random.below(4);
  const message = must(good[type]).slice();
  message[0] = type + 1;
  switch (random.below(5)) {
    case 0:
      return random.bytes(random.below(200));
    case 1:
      return message.slice(0, random.below(message.length));
    case 2:
      return Uint8Array.from([...message, ...random.bytes(1 + random.below(20))]);
    case 3: {
      // Neither the index nor the MACs, which the handshake does not look at.
      const sealed = type === 0 ? [8, 116] : type === 1 ? [12, 60] : [8, message.length];
      const bit =
        8 * (sealed[0] as number) +
        random.below(8 * ((sealed[1] as number) - (sealed[0] as number)));
      return flipped(message, bit);
    }
    default:
      message.set(random.bytes(message.length - 8), 8);
      return message;
  }
}

function flipped(message: Uint8Array, bit: number): Uint8Array {
  const copy = message.slice();
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
  return copy;
}

function zeroed(message: Uint8Array, from: number, to: number): Uint8Array {
  return message.slice().fill(0, from, to);
}

function readResponseReceiver(message: Uint8Array): number {
  const response = readResponse(message);
  return typeof response === 'string' ? -1 : response.receiver;
}
