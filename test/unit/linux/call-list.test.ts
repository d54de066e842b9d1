import t from 'tap';
import { callLists } from '../../../src/linux/call-list.ts';
import { loadNative } from '../../../src/linux/ffi.ts';
import { block } from '../../../src/linux/memory.ts';
import { must } from '../../must.ts';

const native = loadNative();
const lists = must(callLists(native));
const copy = must(native.self.addressOf('memcpy'));
const compare = must(native.self.addressOf('CRYPTO_memcmp'));

t.test('calls: all that are asked for are made, in their order, and no more', async (t) => {
  const memory = block(native, 64);
  const list = lists(4);
  for (let i = 0; i < 4; i++)
    list.set(i, copy, memory.address + 8 * (i + 1), memory.address + 8 * i, 8);
  memory.u8[0] = 7;
  list.run(0);
  t.equal(memory.u8[8], 0);
  list.run(3);
  t.same(
    [8, 16, 24, 32].map((at) => memory.u8[at]),
    [7, 7, 7, 0],
    'each copies what the one before has copied',
  );
});

t.test('calls: each leaves its own result', async (t) => {
  const memory = block(native, 64);
  memory.u8[16] = 1;
  const list = lists(3);
  for (let i = 0; i < 3; i++) list.set(i, compare, memory.address, memory.address + 8 * i, 8);
  list.run(3);
  t.same(
    [0, 1, 2].map((i) => list.result(i) === 0),
    [true, true, false],
  );
});

t.test('calls: all five arguments arrive, and of whole words', async (t) => {
  const memory = block(native, 64);
  const list = lists(1);
  const print = must(native.self.addressOf('snprintf'));
  const format = block(native, 32);
  format.u8.set(new TextEncoder().encode('%lx %lx\0'));
  list.set(0, print, memory.address, 64, format.address, 2 ** 40 + 1, 2 ** 52 + 2);
  list.run(1);
  const text = Buffer.from(memory.u8).toString('latin1');
  t.equal(text.slice(0, text.indexOf('\0')), '10000000001 10000000000002');
  t.equal(list.result(0), text.indexOf('\0'));
});
