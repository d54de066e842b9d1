import { Readable } from 'node:stream';
import t from 'tap';
import { collect } from '../../../src/base/bytes.ts';

t.test(
  'collect: the whole of a stream to its bound, and nothing more is read past it',
  async (t) => {
    const parts = ['po', 'ste', 'rn'].map((part) => new TextEncoder().encode(part));
    const whole = await collect(Readable.from(parts), 7);
    t.equal(new TextDecoder().decode(whole), 'postern');
    t.equal(whole && Object.getPrototypeOf(whole), Uint8Array.prototype, 'no Buffer');
    t.same(await collect(Readable.from([]), 0), new Uint8Array());
    const bytes = Array.from({ length: 300_000 }, () => new Uint8Array(1));
    t.equal((await collect(Readable.from(bytes), bytes.length))?.length, bytes.length, 'by bytes');
    let given = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      while (true) {
        given++;
        yield new Uint8Array(3);
      }
    }
    t.equal(await collect(endless(), 7), undefined);
    t.equal(given, 3);
  },
);
