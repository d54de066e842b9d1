import { readFileSync } from 'node:fs';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import t from 'tap';
import { kernelsWasm } from '../../../scripts/kernels.ts';
import { nodeCryptoAead } from '../../../src/crypto/aead-node.ts';
import { echo } from '../../../src/linux/echo.ts';
import { loadNative } from '../../../src/linux/ffi.ts';
import { batchAead } from '../../../src/linux/openssl-batch.ts';
import { evpAead } from '../../../src/linux/openssl-evp.ts';
import { rawAead } from '../../../src/linux/openssl-raw.ts';
import { tunPort } from '../../../src/linux/tun.ts';
import { UdpSocketPort } from '../../../src/linux/udp-port.ts';
import type { Arena } from '../../../src/node/dataplane/arena.ts';
import {
  createArena,
  KEYPAIR,
  keypairAt,
  RX_OUT_BYTES,
  tunPlaces,
} from '../../../src/node/dataplane/arena.ts';
import { loadKernels } from '../../../src/node/dataplane/kernels.ts';
import { Plane } from '../../../src/node/dataplane/plane.ts';
import type { BulkAead } from '../../../src/node/dataplane/ports.ts';
import { rehearse } from '../../../src/node/dataplane/rehearsal.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

const native = loadNative();
const wasm = readFileSync(await kernelsWasm());
const random = seeded(1);

const AEADS: readonly (readonly [string, (arena: Arena) => BulkAead])[] = [
  ['batch', (arena) => must(batchAead(native, arena, placesOf(arena)))],
  ['raw', (arena) => must(rawAead(native, arena, placesOf(arena)))],
  ['evp', (arena) => must(evpAead(native, arena, placesOf(arena)))],
  ['node', (arena) => nodeCryptoAead(arena.u8)],
];

for (const [name, make] of AEADS)
  for (const offload of ['full', 'plain'] as const)
    t.test(`rehearsal: nothing of it stays, ${name}, ${offload} device`, async (t) => {
      const arena = createArena({ activePeers: 4, flows: 1024, rules: 16 });
      const { layout, u8 } = arena;
      const aead = make(arena);
      const stage = echo(native, arena);
      const tun = tunPort(
        stage.native,
        arena,
        { fd: -1, offload },
        tunPlaces(layout, offload !== 'plain'),
        stage.each,
      );
      const place = { fd: -1, family: 4, gso: true, regionAt: layout.udp4 } as const;
      const udp = new UdpSocketPort(stage.native, arena, place);
      const plane = new Plane({
        arena,
        base: native.addressOf(arena.memory.buffer),
        kernels: loadKernels(wasm, arena.memory),
        aead,
        tun,
        hashSeed: [1, 2],
        mtuBytes: 1420,
        mesh: false,
        now: () => 1_000_000,
        notify: () => {},
        catchUp: () => {},
      });
      plane.useSockets(udp, null);
      rehearse(plane, arena, udp, stage, tun.vnetHeader, 1_000_000);

      const tables = u8.subarray(layout.peersAt, layout.rulesAt);
      t.equal(
        tables.findIndex((byte) => byte !== 0),
        -1,
        'no peer and no key',
      );
      const flows = u8.subarray(layout.flowsAt, layout.tunRead);
      t.equal(
        flows.findIndex((byte) => byte !== 0),
        -1,
        'no flow',
      );

      const keyAt = keypairAt(layout, 0) + KEYPAIR.sendKey;
      const key = random.bytes(32);
      const text = random.bytes(64);
      u8.set(key, keyAt);
      u8.set(text, layout.txOut + 16);
      aead.seal(keyAt, layout.txOut, text.length, 5, 0);
      aead.settle();
      const sealed = u8.slice(layout.txOut + 16, layout.txOut + 32 + text.length);
      const nonce = Uint8Array.of(0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0);
      const expected = chacha20poly1305(key, nonce).encrypt(text);
      t.equal(sealed.toHex(), expected.toHex(), 'the next key of the place is used, not the last');
    });

t.test(
  'keypairs: a place that gets other keys seals under them, whatever was kept for it',
  async (t) => {
    const arena = createArena({ activePeers: 4, flows: 1024, rules: 16 });
    const forgotten: number[] = [];
    const aead = { ...nodeCryptoAead(arena.u8), forget: (at: number) => forgotten.push(at) };
    const stage = echo(native, arena);
    const plane = new Plane({
      arena,
      base: native.addressOf(arena.memory.buffer),
      kernels: loadKernels(wasm, arena.memory),
      aead: aead as unknown as BulkAead,
      tun: tunPort(
        stage.native,
        arena,
        { fd: -1, offload: 'plain' },
        tunPlaces(arena.layout, false),
        stage.each,
      ),
      hashSeed: [1, 2],
      mtuBytes: 1420,
      mesh: false,
      now: () => 1,
      notify: () => {},
      catchUp: () => {},
    });
    plane.apply({ type: 'activate', peer: 1, slot: 0 });
    plane.apply({ type: 'keypair', slot: 0, keypair: 3, as: 'next' });
    const at = keypairAt(arena.layout, 3);
    t.same(forgotten, [at + KEYPAIR.sendKey, at + KEYPAIR.receiveKey]);
  },
);

function placesOf({ layout }: Arena): { scratch: number; rxOut: number; rxOutBytes: number } {
  return { scratch: layout.aeadScratch, rxOut: layout.rxOut, rxOutBytes: RX_OUT_BYTES };
}
