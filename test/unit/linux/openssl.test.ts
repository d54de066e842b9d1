import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { x25519 } from '@noble/curves/ed25519.js';
import t from 'tap';
import { equalBytes, toHex } from '../../../src/base/bytes.ts';
import { refuses } from '../../../src/crypto/known-answer.ts';
import type { Native } from '../../../src/linux/ffi.ts';
import { loadNative } from '../../../src/linux/ffi.ts';
import { batchAead } from '../../../src/linux/openssl-batch.ts';
import { evpAead } from '../../../src/linux/openssl-evp.ts';
import { rawAead } from '../../../src/linux/openssl-raw.ts';
import { opensslX25519 } from '../../../src/linux/openssl-x25519.ts';
import type { Arena } from '../../../src/node/dataplane/arena.ts';
import { createArena, RX_OUT_BYTES } from '../../../src/node/dataplane/arena.ts';
import type { BulkAead } from '../../../src/node/dataplane/ports.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

const HEADER_BYTES = 16;
const TAG_BYTES = 16;
const LONGEST = 65_000;

const native = loadNative();
const arena = createArena({ activePeers: 16, flows: 16, rules: 16 });
const { rxIn, rxOut, txOut, aeadScratch, groScratch, filterScratch, keypairsAt } = arena.layout;
const { u8 } = arena;
// Each fit has a scratch place of its own.
const places = (scratch: number) => ({ scratch, rxOut, rxOutBytes: RX_OUT_BYTES });

const FITS: readonly (readonly [string, BulkAead | undefined])[] = [
  ['batch', batchAead(native, arena, { rxOut, rxOutBytes: RX_OUT_BYTES })],
  ['raw', rawAead(native, arena, places(aeadScratch))],
  ["Node's EVP", evpAead(native, arena, places(groScratch))],
  ["the system's EVP", evpAead(native, arena, places(filterScratch), 'system')],
];

for (const [name, fit] of FITS) {
  const skip = fit === undefined && `${name} is not on this machine`;

  t.test(`${name}: passes the known-answer test`, { skip }, async (t) => {
    t.equal(refuses(must(fit), u8, txOut), undefined);
  });

  t.test(
    `${name}: any length of 0 to 65,000 is sealed and opened as noble does`,
    { skip },
    async (t) => t.equal(anyLength(must(fit), arena), undefined),
  );

  t.test(
    `${name}: plaintexts of a batch stay as they are while the rest of it is opened`,
    { skip },
    async (t) => t.equal(chains(must(fit)), undefined),
  );

  t.test(`${name}: another key at a forgotten place is taken up`, { skip }, async (t) => {
    const aead = must(fit);
    const key = keypairsAt;
    for (const round of [1, 2, 3]) {
      u8.fill(round, key, key + 32);
      aead.forget(key);
      u8.fill(0, rxIn, rxIn + 100);
      aead.seal(key, rxIn, 20, round, 0);
      aead.settle();
      const sealed = u8.slice(rxIn + HEADER_BYTES, rxIn + HEADER_BYTES + 20 + TAG_BYTES);
      t.equal(toHex(sealed), toHex(twin(key, round, 0).encrypt(new Uint8Array(20))));
      aead.startBatch();
      t.not(openOne(aead, key, rxIn, 20, round, 0), -1);
    }
  });
}

for (const [name, fit] of FITS.slice(0, 2))
  t.test(`${name}: the places of plaintexts end where their region ends`, async (t) => {
    const aead = must(fit);
    aead.startBatch();
    const slot = sealAt(aead, rxIn, new Uint8Array(LONGEST));
    aead.settle();
    for (let opened = 0; opened < Math.floor(RX_OUT_BYTES / (LONGEST + 64)); opened++)
      t.equal(aead.open(keypairsAt, rxIn, LONGEST, 7, 0) > 0, true);
    t.throws(() => aead.open(keypairsAt, rxIn, LONGEST, 7, 0), { name: 'BugError' });
    t.equal(slot, rxIn + LONGEST + 32);
    aead.settle();
    aead.startBatch();
  });

t.test('batch: more than a list holds are sealed all the same', async (t) => {
  const aead = must(FITS[0]?.[1]);
  const random = seeded(3);
  u8.set(random.bytes(32), keypairsAt);
  const texts = Array.from({ length: 200 }, () => random.bytes(4 * random.below(70)));
  let slot = rxIn;
  for (const text of texts) slot = sealAt(aead, slot, text);
  aead.settle();
  slot = rxIn;
  const wrong = texts.filter((text) => {
    const at = slot + HEADER_BYTES;
    slot = at + text.length + TAG_BYTES;
    return !equalBytes(u8.subarray(at, slot), twin(keypairsAt, 7, 0).encrypt(text));
  });
  t.same(wrong, []);
});

t.test('batch: a key that is forgotten has sealed what waited for it', async (t) => {
  const aead = must(FITS[0]?.[1]);
  u8.fill(1, keypairsAt, keypairsAt + 32);
  u8.fill(0, rxIn, rxIn + 100);
  aead.seal(keypairsAt, rxIn, 20, 1, 0);
  const wanted = twin(keypairsAt, 1, 0).encrypt(new Uint8Array(20));
  aead.forget(keypairsAt);
  u8.fill(2, keypairsAt, keypairsAt + 32);
  aead.settle();
  t.equal(toHex(u8.slice(rxIn + HEADER_BYTES, rxIn + HEADER_BYTES + 36)), toHex(wanted));
});

t.test('batch: none where nobody may have a page to execute', async (t) => {
  const refused = (name: string, result: number): Native => ({
    ...native,
    self: {
      ...native.self,
      find: (wanted, ...types) =>
        wanted === name ? ((() => result) as never) : native.self.find(wanted, ...types),
    },
  });
  const places = { rxOut, rxOutBytes: RX_OUT_BYTES };
  t.equal(batchAead(refused('mmap', 2 ** 64 - 1), arena, places), undefined);
  t.equal(batchAead(refused('mprotect', -1), arena, places), undefined);
});

const curve = opensslX25519(native);
t.test(
  'x25519: agrees with noble, and a point of low order gives no secret',
  { skip: curve === undefined && 'this Node does not export ossl_x25519' },
  async (t) => {
    const random = seeded(5);
    for (let round = 0; round < 20; round++) {
      const own = random.bytes(32);
      const peer = x25519.getPublicKey(random.bytes(32));
      t.same(must(curve).publicKey(own), x25519.getPublicKey(own));
      t.same(must(curve).sharedSecret(own, peer), x25519.getSharedSecret(own, peer));
    }
    t.equal(must(curve).sharedSecret(random.bytes(32), new Uint8Array(32)), undefined);
  },
);

/** The second implementation, with the key that stands at `keyAt`. */
function twin(
  keyAt: number,
  low: number,
  high: number,
): { encrypt(text: Uint8Array): Uint8Array; decrypt(sealed: Uint8Array): Uint8Array } {
  const nonce = new Uint8Array(12);
  const view = new DataView(nonce.buffer);
  view.setUint32(4, low, true);
  view.setUint32(8, high, true);
  return chacha20poly1305(u8.slice(keyAt, keyAt + 32), nonce);
}

/** Opens a datagram by itself: its plaintext's place, or -1. */
function openOne(aead: BulkAead, ...datagram: Parameters<BulkAead['open']>): number {
  const place = aead.open(...datagram);
  aead.settle();
  return place < 0 || aead.forged(0) ? -1 : place;
}

/** Seals `text` under counter 7; where the next datagram goes. */
function sealAt(aead: BulkAead, slot: number, text: Uint8Array): number {
  u8.set(text, slot + HEADER_BYTES);
  aead.seal(keypairsAt, slot, text.length, 7, 0);
  return slot + HEADER_BYTES + text.length + TAG_BYTES;
}

/** What went wrong first, of 150 datagrams with random bytes all around them. */
function anyLength(aead: BulkAead, { u8 }: Arena): string | undefined {
  const random = seeded(1);
  const from = rxIn - 64;
  const to = rxIn + 65_536 + 64;
  for (let round = 0; round < 150; round++) {
    const length = round < 66 ? round : random.below(LONGEST + 1);
    const slot = rxIn + 4 * random.below(16);
    const text = slot + HEADER_BYTES;
    const end = text + length + TAG_BYTES;
    const [low, high] = [random.below(2 ** 32), random.below(2 ** 21)];
    u8.set(random.bytes(32), keypairsAt);
    u8.set(random.bytes(1024), from);
    u8.set(random.bytes(96), end - 48);
    aead.forget(keypairsAt);
    const before = u8.slice(from, to);
    aead.seal(keypairsAt, slot, length, low, high);
    aead.settle();
    const sealed = twin(keypairsAt, low, high).encrypt(
      before.slice(text - from, text - from + length),
    );
    const wanted = before.slice();
    wanted.set(sealed, text - from);
    if (!equalBytes(u8.subarray(from, to), wanted))
      return `round ${round}: sealing ${length} bytes`;
    const changed = text + random.below(length + TAG_BYTES);
    u8[changed] = (u8[changed] as number) ^ (1 << random.below(8));
    aead.startBatch();
    if (openOne(aead, keypairsAt, slot, length, low, high) !== -1)
      return `round ${round}: a changed bit at ${changed - text} of ${length} is taken`;
    u8.set(sealed, text);
    const opened = openOne(aead, keypairsAt, slot, length, low, high);
    const plain = before.subarray(text - from, text - from + length);
    if (opened === -1 || !equalBytes(u8.subarray(opened, opened + length), plain))
      return `round ${round}: opening ${length} bytes`;
  }
  return undefined;
}

/** As the kernel joins them: equal datagrams end to end, a shorter one last; one of them is forged. */
function chains(aead: BulkAead): string | undefined {
  const random = seeded(2);
  u8.set(random.bytes(32), keypairsAt);
  aead.forget(keypairsAt);
  for (let round = 0; round < 60; round++) {
    const length = 4 * random.below(round < 30 ? 40 : 400);
    const count = Math.min(64, Math.floor(65_000 / (length + 32)));
    const texts = Array.from({ length: count }, (_, i) =>
      random.bytes(i === count - 1 ? random.below(length + 1) : length),
    );
    const slots: number[] = [];
    let at = rxIn;
    for (const text of texts) {
      slots.push(at);
      at = sealAt(aead, at, text);
    }
    aead.settle();
    const forged = random.below(count);
    const bad = (slots[forged] as number) + HEADER_BYTES;
    u8[bad] = (u8[bad] as number) ^ 1;
    aead.startBatch();
    const opened = slots.map((slot, i) =>
      aead.open(keypairsAt, slot, (texts[i] as Uint8Array).length, 7, 0),
    );
    aead.settle();
    let placed = 0;
    for (const [i, place] of opened.entries())
      if (place >= 0 && aead.forged(placed++)) opened[i] = -1;
    for (const [i, place] of opened.entries()) {
      const text = texts[i] as Uint8Array;
      if ((place === -1) !== (i === forged)) return `round ${round}: datagram ${i} of ${count}`;
      if (place !== -1 && !equalBytes(u8.subarray(place, place + text.length), text))
        return `round ${round}: plaintext ${i} of ${count} was touched`;
    }
  }
  return undefined;
}
