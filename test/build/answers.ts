/**
 * What has to be asked on the machine itself: `node answers.ts KOFFI_NODE`, also under an emulator. Loads koffi's
 * bare native file and prints, as one line of JSON, what the ways to OpenSSL answer.
 */

import { toHex } from '../../src/base/bytes.ts';
import { nodeCryptoAead } from '../../src/crypto/aead-node.ts';
import { refuses } from '../../src/crypto/known-answer.ts';
import { ownKey, peerKey } from '../../src/crypto/x25519.ts';
import { bootClock } from '../../src/linux/clock.ts';
import { loadNative } from '../../src/linux/ffi.ts';
import { batchAead } from '../../src/linux/openssl-batch.ts';
import { evpAead } from '../../src/linux/openssl-evp.ts';
import { rawAead } from '../../src/linux/openssl-raw.ts';
import { opensslX25519 } from '../../src/linux/openssl-x25519.ts';
import { createArena, RX_OUT_BYTES } from '../../src/node/dataplane/arena.ts';
import type { BulkAead } from '../../src/node/dataplane/ports.ts';

export interface Answers {
  readonly arch: string;
  /** By each bulk AEAD: its name where it passed the known-answer test, else why not. */
  readonly aeads: Readonly<Record<string, string>>;
  /** node:crypto's secret, and that of OpenSSL's inner functions. */
  readonly secrets: readonly (string | undefined)[];
  /** CLOCK_BOOTTIME. */
  readonly clock: number;
}

if (import.meta.main) console.log(JSON.stringify(answers(process.argv[2] as string)));

function answers(nativePath: string): Answers {
  const native = loadNative(nativePath);
  const arena = createArena({ activePeers: 64, flows: 64, rules: 64 });
  const places = {
    scratch: arena.layout.aeadScratch,
    rxOut: arena.layout.rxOut,
    rxOutBytes: RX_OUT_BYTES,
  };
  const passes = (aead: BulkAead | undefined): string =>
    aead === undefined ? 'absent' : (refuses(aead, arena.u8, arena.layout.txOut) ?? aead.name);
  const secret = new Uint8Array(32).fill(0x42);
  const peer = ownKey(new Uint8Array(32).fill(0x17)).publicKey;
  const inner = opensslX25519(native)?.sharedSecret(secret, peer);
  const outer = ownKey(secret).agree(peerKey(peer));
  return {
    arch: process.arch,
    aeads: {
      batch: passes(batchAead(native, arena, places)),
      raw: passes(rawAead(native, arena, places)),
      evp: passes(evpAead(native, arena, places, 'node')),
      node: passes(nodeCryptoAead(arena.u8)),
    },
    secrets: [outer, inner].map((bytes) => bytes && toHex(bytes)),
    clock: bootClock(native)(),
  };
}
