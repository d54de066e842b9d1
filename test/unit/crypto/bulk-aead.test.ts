import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import t from 'tap';
import { equalBytes, toHex } from '../../../src/base/bytes.ts';
import { nodeCryptoAead } from '../../../src/crypto/aead-node.ts';
import type { TestedAead } from '../../../src/crypto/known-answer.ts';
import { patterned, refuses, SCRATCH_BYTES, TAGS } from '../../../src/crypto/known-answer.ts';
import type { BulkAead } from '../../../src/node/dataplane/ports.ts';
import { seeded } from '../../seeded.ts';

const AT = 64;
const arena = (): Uint8Array => new Uint8Array(new SharedArrayBuffer(AT + SCRATCH_BYTES));

function nonce(low: number, high: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, low, true);
  view.setUint32(8, high, true);
  return bytes;
}

/** A bulk AEAD on @noble, as judge of the answers. */
function nobleAead(bytes: Uint8Array): TestedAead {
  const cipher = (keyAt: number, low: number, high: number) =>
    chacha20poly1305(bytes.slice(keyAt, keyAt + 32), nonce(low, high));
  return {
    seal(keyAt, slot, length, low, high) {
      const text = bytes.slice(slot + 16, slot + 16 + length);
      bytes.set(cipher(keyAt, low, high).encrypt(text), slot + 16);
    },
    open(keyAt, slot, length, low, high) {
      try {
        const text = bytes.slice(slot + 16, slot + 32 + length);
        bytes.set(cipher(keyAt, low, high).decrypt(text), slot + 16);
        return slot + 16;
      } catch {
        return -1;
      }
    },
    settle() {},
    forged: () => false,
    startBatch() {},
    forget() {},
  };
}

t.test('known answer: @noble/ciphers gives the same answers', async (t) => {
  const bytes = arena();
  t.equal(refuses(nobleAead(bytes), bytes, AT), undefined);
});

t.test('known answer: node:crypto passes on shared memory, and leaves nothing there', async (t) => {
  const bytes = arena();
  const aead: BulkAead = nodeCryptoAead(bytes);
  t.equal(refuses(aead, bytes, AT), undefined);
  t.ok(bytes.every((byte) => byte === 0));
});

t.test('known answer: every fault is refused, and told apart', async (t) => {
  const faults: [
    name: string,
    fault: (good: TestedAead, bytes: Uint8Array) => Partial<TestedAead>,
  ][] = [
    ['seals the RFC 8439 text wrongly', () => ({ seal() {} })],
    ['opens the RFC 8439 text wrongly', () => ({ open: () => -1 })],
    [
      'seals the RFC 8439 text wrongly',
      (good) => ({ seal: (k, s, n, low) => good.seal(k, s, n, low, 0) }),
    ],
    [
      'sealing 1420 bytes changes bytes beside them',
      (good, bytes) => ({
        seal(k, s, n, low, high) {
          good.seal(k, s, n, low, high);
          bytes[s + 32 + n] = 0;
        },
      }),
    ],
    [
      'sealing 1420 bytes changes bytes beside them',
      (good, bytes) => ({
        seal(k, s, n, low, high) {
          good.seal(k, s, n, low, high);
          bytes.fill(0, s - 48, s + 16);
        },
      }),
    ],
    [
      'opens 1420 bytes among others wrongly',
      (good, bytes) => ({
        open(k, s, n, low, high) {
          const text = good.open(k, s, n, low, high);
          if (n < 1420) bytes.fill(0, s - 24, s);
          return text;
        },
      }),
    ],
    [
      'seals 16 bytes among others wrongly',
      (good) => {
        let waiting = 0;
        return {
          // Of several at once it does the first.
          seal(...all) {
            if (waiting++ === 0) good.seal(...all);
          },
          settle() {
            waiting = 0;
          },
        };
      },
    ],
    ['opens the RFC 8439 text wrongly', () => ({ forged: () => true })],
    ['opens 16 bytes among others wrongly', () => ({ forged: (i) => i === 1 })],
    [
      'takes 0 bytes with a changed bit at 15',
      (good, bytes) => ({
        open(k, s, n, low, high) {
          // Compares 15 bytes of the tag.
          const place = s + 16 + n + 15;
          const was = bytes[place] as number;
          for (let last = 0; last < 256; last++) {
            bytes[place] = last;
            const text = good.open(k, s, n, low, high);
            if (text >= 0) return text;
          }
          bytes[place] = was;
          return -1;
        },
      }),
    ],
  ];
  for (const [reason, fault] of faults) {
    const bytes = arena();
    const good = nodeCryptoAead(bytes);
    const methods: TestedAead = {
      seal: (...all) => good.seal(...all),
      open: (...all) => good.open(...all),
      settle: () => good.settle(),
      forged: () => good.forged(),
      startBatch: () => good.startBatch(),
      forget: (keyAt) => good.forget(keyAt),
    };
    t.equal(refuses({ ...methods, ...fault(methods, bytes) }, bytes, AT), reason);
  }
});

t.test('known answer: the written tags are those of @noble/ciphers', async (t) => {
  const key = Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i);
  for (const [i, [length, tag]] of TAGS.entries())
    t.equal(
      toHex(chacha20poly1305(key, nonce(i, 0)).encrypt(patterned(length)).slice(length)),
      tag,
      `${length} bytes`,
    );
});

t.test('node aead: agrees with @noble/ciphers for any text, key and counter', async (t) => {
  const random = seeded(20);
  const bytes = arena();
  const [aead, judge] = [nodeCryptoAead(bytes), nobleAead(bytes)];
  for (let round = 0; round < 300; round++) {
    const length = random.below(1500);
    const [low, high] = [random.below(2 ** 32), random.below(2 ** 21)];
    const text = random.bytes(length);
    const keyAt = 64 * random.below(3);
    bytes.set(random.bytes(32), keyAt);
    aead.forget(keyAt);
    bytes.set(text, 272);
    if (round % 2) aead.seal(keyAt, 256, length, low, high);
    else judge.seal(keyAt, 256, length, low, high);
    const opener = round % 2 ? judge : aead;
    const at = opener.open(keyAt, 256, length, low, high);
    if (at < 0 || !equalBytes(bytes.slice(at, at + length), text)) return t.fail(`round ${round}`);
  }
  return t.pass('300 texts');
});

t.test(
  'node aead: keeps a key until it is told to forget it, and leaves a forged datagram',
  async (t) => {
    const bytes = arena();
    const aead = nodeCryptoAead(bytes);
    bytes.fill(1, 0, 32);
    aead.seal(0, 64, 32, 0, 0);
    const sealed = bytes.slice(80, 128);
    bytes.fill(2, 0, 32);
    t.equal(aead.open(0, 64, 32, 0, 0), 80, 'the old key still');
    aead.forget(0);
    bytes.set(sealed, 80);
    t.equal(aead.open(0, 64, 32, 0, 0), -1, 'the new one');
    t.strictSame(bytes.slice(80, 128), sealed);
  },
);
