import { hash, hkdfSync } from 'node:crypto';
import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { x25519 } from '@noble/curves/ed25519.js';
import { blake2s as nobleBlake2s } from '@noble/hashes/blake2.js';
import { hmac as nobleHmac } from '@noble/hashes/hmac.js';
import t from 'tap';
import { concat, equalBytes, isZero, plainBytes, toHex } from '../../../src/base/bytes.ts';
import { open, seal } from '../../../src/crypto/aead.ts';
import { Blake2sMac, blake2s, hmac } from '../../../src/crypto/blake2s.ts';
import { kdf } from '../../../src/crypto/hkdf.ts';
import type { X25519 } from '../../../src/crypto/x25519.ts';
import { isX25519, ownKey, peerKey, takeOwnKey } from '../../../src/crypto/x25519.ts';
import { xopen, xseal } from '../../../src/crypto/xchacha.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text);
const SUNSCREEN = new TextEncoder().encode(
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
);
const KEY = hex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f');
const AAD = hex('50515253c0c1c2c3c4c5c6c7');

t.test('x25519: the exchange of RFC 7748 6.1', async (t) => {
  const alice = ownKey(hex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'));
  const bob = ownKey(hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'));
  t.equal(
    toHex(alice.publicKey),
    '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
  );
  const secret = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
  t.equal(toHex(must(alice.agree(peerKey(bob.publicKey)))), secret);
  t.equal(toHex(must(bob.agree(peerKey(alice.publicKey)))), secret);
});

t.test('x25519: points of low order give no secret', async (t) => {
  const own = ownKey(new Uint8Array(32).fill(7));
  // The seven of cr.yp.to/ecdh.html, "small order".
  for (const point of [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ])
    t.equal(own.agree(peerKey(hex(point))), undefined, point);
});

/** Functions as linux/openssl-x25519.ts finds them. */
const NOBLE: X25519 = {
  publicKey: (secret) => x25519.getPublicKey(secret),
  sharedSecret: (secret, peer) => (isZero(peer) ? undefined : x25519.getSharedSecret(secret, peer)),
};

t.test('x25519: functions that are not what they are taken for are found out', async (t) => {
  t.ok(isX25519(NOBLE));
  t.notOk(isX25519({ ...NOBLE, publicKey: (secret) => NOBLE.publicKey(secret).reverse() }));
  t.notOk(isX25519({ ...NOBLE, sharedSecret: (secret) => secret }));
  t.notOk(isX25519({ ...NOBLE, sharedSecret: () => undefined }));
  const zeros = new Uint8Array(32);
  const careless = {
    ...NOBLE,
    sharedSecret: (s: Uint8Array, p: Uint8Array) => NOBLE.sharedSecret(s, p) ?? zeros,
  };
  t.notOk(isX25519(careless), 'a secret of a point of low order');
  const pair = ownKey(new Uint8Array(32).fill(7), careless);
  t.equal(pair.agree(peerKey(zeros)), undefined, 'which is none even then');
});

t.test('x25519: pairs of either kind agree, and a wiped one is of no use', async (t) => {
  const random = seeded(6);
  const [a, b] = [random.bytes(32), random.bytes(32)];
  const fitted = takeOwnKey(a.slice(), NOBLE);
  const object = ownKey(b);
  t.same(fitted.publicKey, ownKey(a).publicKey);
  t.same(fitted.agree(peerKey(object.publicKey)), object.agree(peerKey(fitted.publicKey)));
  const given = random.bytes(32);
  takeOwnKey(given, NOBLE);
  t.same(given, new Uint8Array(32), 'the bytes are taken');
  for (const pair of [fitted, object]) {
    pair.wipe();
    t.throws(() => pair.agree(peerKey(NOBLE.publicKey(b))), /wiped/);
  }
});

t.test('secrets and plaintexts are plain arrays, whose `slice` copies', async (t) => {
  const random = seeded(7);
  const own = ownKey(random.bytes(32));
  const key = random.bytes(32);
  const nonce = new Uint8Array(12);
  const sealed = seal(key, nonce, SUNSCREEN, AAD);
  for (const bytes of [
    must(own.agree(peerKey(own.publicKey))),
    own.publicKey,
    sealed,
    must(open(key, nonce, Buffer.from(sealed), AAD)),
    plainBytes(Buffer.from('abc')),
  ])
    t.equal(bytes.constructor, Uint8Array);
  t.same(plainBytes(Buffer.from('xabcx').subarray(1, 4)), Uint8Array.of(97, 98, 99));
});

t.test('x25519: agrees with @noble/curves for any keys', async (t) => {
  const random = seeded(10);
  for (let round = 0; round < 30; round++) {
    const secret = random.bytes(32);
    const peer = random.bytes(32);
    const own = ownKey(secret);
    const agrees =
      equalBytes(own.publicKey, x25519.getPublicKey(secret)) &&
      equalBytes(must(own.agree(peerKey(peer))), x25519.getSharedSecret(secret, peer));
    if (!agrees) return t.fail(`round ${round}`);
  }
  return t.pass('30 pairs');
});

t.test(
  'blake2s: the digest of RFC 7693 B, and the keyed one of the reference vectors',
  async (t) => {
    t.equal(
      toHex(blake2s(new TextEncoder().encode('abc'))),
      '508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982',
    );
    const key = Uint8Array.from({ length: 32 }, (_, i) => i);
    t.equal(
      toHex(new Blake2sMac(key, 32).of(Uint8Array.of(0))),
      '40d15fee7c328830166ac3f918650f807e7e01e177258cdc0a39b11f598066f1',
    );
  },
);

t.test('blake2s, hmac, kdf: agree with OpenSSL and @noble/hashes at every length', async (t) => {
  const random = seeded(11);
  for (let length = 0; length < 300; length++) {
    const message = random.bytes(length);
    const key = random.bytes(32);
    const cut = random.below(length + 1);
    const pairs: [Uint8Array, Uint8Array][] = [
      [
        blake2s(message.subarray(0, cut), message.subarray(cut)),
        hash('blake2s256', message, 'buffer'),
      ],
      [
        hmac(key, message.subarray(0, cut), message.subarray(cut)),
        nobleHmac(nobleBlake2s, key, message),
      ],
      [
        concat(...kdf(key, message, 3)),
        new Uint8Array(hkdfSync('blake2s256', message, key, '', 96)),
      ],
      [
        concat(...kdf(key, message, 1)),
        new Uint8Array(hkdfSync('blake2s256', message, key, '', 32)),
      ],
    ];
    if (length > 0) {
      const mac = new Blake2sMac(key, 16);
      mac.of(random.bytes(70));
      pairs.push([mac.of(message), nobleBlake2s(message, { key, dkLen: 16 })]);
    }
    const wrong = pairs.findIndex(([ours, theirs]) => !equalBytes(ours, theirs));
    if (wrong >= 0) return t.fail(`length ${length}, function ${wrong}`);
  }
  return t.pass('300 lengths');
});

t.test('aead: seals the text of RFC 8439 2.8.2, and opens it again', async (t) => {
  const nonce = hex('070000004041424344454647');
  const sealed =
    'd31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b' +
    '1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc' +
    '3ff4def08e4b7a9de576d26586cec64b6116' +
    '1ae10b594f09e26a7e902ecbd0600691';
  t.equal(toHex(seal(KEY, nonce, SUNSCREEN, AAD)), sealed);
  t.strictSame(open(KEY, nonce, hex(sealed), AAD), SUNSCREEN);
});

t.test(
  'xchacha: seals the text of draft-irtf-cfrg-xchacha A.3.1, and opens it again',
  async (t) => {
    const nonce = hex('404142434445464748494a4b4c4d4e4f5051525354555657');
    const sealed =
      'bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39' +
      'ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9' +
      '21f9664c97637da9768812f615c68b13b52e' +
      'c0875924c1c7987947deafd8780acf49';
    t.equal(toHex(xseal(KEY, nonce, SUNSCREEN, AAD)), sealed);
    t.strictSame(xopen(KEY, nonce, hex(sealed), AAD), SUNSCREEN);
  },
);

t.test(
  'aead and xchacha: one changed bit anywhere, or a text cut short, opens to nothing',
  async (t) => {
    const random = seeded(12);
    for (let round = 0; round < 1000; round++) {
      const text = random.bytes(random.below(40));
      const [nonce, xnonce] = [random.bytes(12), random.bytes(24)];
      const sealed = seal(KEY, nonce, text, AAD);
      const xsealed = xseal(KEY, xnonce, text, AAD);
      const agree =
        equalBytes(sealed, chacha20poly1305(KEY, nonce, AAD).encrypt(text)) &&
        equalBytes(xsealed, xchacha20poly1305(KEY, xnonce, AAD).encrypt(text));
      if (!agree) return t.fail(`round ${round}: @noble seals otherwise`);
      const bit = random.below(8 * sealed.length);
      for (const bytes of [sealed, xsealed])
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      if (open(KEY, nonce, sealed, AAD) || xopen(KEY, xnonce, xsealed, AAD))
        return t.fail(`round ${round}: bit ${bit} changed and opened`);
      if (open(KEY, nonce, random.bytes(random.below(16)), AAD))
        return t.fail('opened what has no tag');
    }
    return t.pass('1,000 texts');
  },
);
