import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { toHex } from '../../src/base/bytes.ts';
import { open, seal } from '../../src/crypto/aead.ts';
import { ownKey, peerKey } from '../../src/crypto/x25519.ts';
import { xopen, xseal } from '../../src/crypto/xchacha.ts';
import { loadNative } from '../../src/linux/ffi.ts';
import { opensslX25519 } from '../../src/linux/openssl-x25519.ts';

interface File {
  readonly testGroups: {
    readonly ivSize?: number;
    readonly tests: (Record<string, string> & {
      readonly tcId: number;
      readonly flags: string[];
    })[];
  }[];
}

const FOLDER = process.env['POSTERN_VECTORS'];
const skip =
  !existsSync(`${FOLDER}/x25519_test.json`) && 'POSTERN_VECTORS names no folder with Wycheproof';

const read = (name: string): File => JSON.parse(readFileSync(`${FOLDER}/${name}`, 'utf8')) as File;
const hex = (text: string | undefined): Uint8Array => Uint8Array.fromHex(text ?? '');

/** What handshakes are computed by where this Node has it. An emulated Node is handed its own bare koffi.node. */
const fitted = opensslX25519(loadNative(process.argv[2]));
for (const [name, by] of [
  ['key objects', undefined],
  ["OpenSSL's inner functions", fitted],
] as const)
  t.test(
    `x25519 by ${name}: secrets as Wycheproof says, and none for points of low order`,
    { skip },
    async (t) => {
      if (name !== 'key objects') t.ok(by, 'the pinned Node has them');
      const wrong: number[] = [];
      let refused = 0;
      for (const test of read('x25519_test.json').testGroups.flatMap(({ tests }) => tests)) {
        const secret = ownKey(hex(test['private']), by).agree(peerKey(hex(test['public'])));
        // A non-canonical or twisted point is as good as any (RFC 7748 5); only an all-zero secret is none.
        const wanted = test.flags.includes('ZeroSharedSecret') ? undefined : test['shared'];
        if ((secret && toHex(secret)) !== wanted) wrong.push(test.tcId);
        if (secret === undefined) refused++;
      }
      t.strictSame(wrong, []);
      t.equal(refused, 31);
    },
  );

for (const { file, nonceBits, sealer, opener } of [
  { file: 'chacha20_poly1305_test.json', nonceBits: 96, sealer: seal, opener: open },
  { file: 'xchacha20_poly1305_test.json', nonceBits: 192, sealer: xseal, opener: xopen },
])
  t.test(`${file}: good texts are sealed and opened, bad ones are not`, { skip }, async (t) => {
    const wrong: number[] = [];
    let tested = 0;
    for (const { ivSize, tests } of read(file).testGroups) {
      // Other lengths of nonce are refused by the types: nobody here has one to hand in.
      if (ivSize !== nonceBits) continue;
      for (const test of tests) {
        const [key, nonce, aad] = [hex(test['key']), hex(test['iv']), hex(test['aad'])];
        const sealed = `${test['ct']}${test['tag']}`;
        const opened = opener(key, nonce, hex(sealed), aad);
        const good =
          test['result'] === 'valid'
            ? opened !== undefined &&
              toHex(opened) === test['msg'] &&
              toHex(sealer(key, nonce, hex(test['msg']), aad)) === sealed
            : opened === undefined;
        if (!good) wrong.push(test.tcId);
        tested++;
      }
    }
    t.strictSame(wrong, []);
    t.ok(tested > 300, `${tested} tests`);
  });
