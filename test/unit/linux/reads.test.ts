import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ERRNO } from '../../../src/linux/abi.ts';
import { loadNative } from '../../../src/linux/ffi.ts';
import { block } from '../../../src/linux/memory.ts';
import { oneByOne, Reads, readEach } from '../../../src/linux/reads.ts';
import { seeded } from '../../seeded.ts';

const native = loadNative();

for (const [kind, each] of [
  ['in one call', readEach(native)],
  ['one by one', oneByOne(native)],
] as const)
  t.test(`reads: each to its place until one gives nothing, ${kind}`, async (t) => {
    const folder = mkdtempSync(`${tmpdir()}/postern-reads-`);
    t.teardown(() => rmSync(folder, { recursive: true }));
    const text = seeded(1).bytes(50);
    writeFileSync(join(folder, 'text'), text);
    const fd = openSync(join(folder, 'text'), 'r');
    const memory = block(native, 128);
    const places = { at: memory.address, strideBytes: 16, capacityBytes: 12, count: 8 };
    const reads = new Reads(native, fd, places, each);

    t.equal(reads.run(0), 0);
    t.equal(reads.run(2), 2, 'no more than it was asked for');
    t.same(reads.results.slice(0, 2), Int32Array.of(12, 12));
    for (const i of [0, 1])
      t.same(memory.u8.slice(16 * i, 16 * i + 16), padded(text.subarray(12 * i, 12 * i + 12)));
    t.same(memory.u8.slice(32), new Uint8Array(96), 'and nothing behind');

    t.equal(reads.run(8), 4, 'the last of them gives nothing');
    t.same(reads.results.slice(0, 4), Int32Array.of(12, 12, 2, 0));
    t.same(memory.u8.slice(32, 34), text.subarray(48));

    closeSync(fd);
    t.equal(new Reads(native, -1, places, each).run(8), 1);
    const lost = new Reads(native, -1, places, each);
    lost.run(8);
    t.equal(lost.results[0], -ERRNO.EBADF);
  });

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(16);
  whole.set(bytes);
  return whole;
}
