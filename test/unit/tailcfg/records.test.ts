import t from 'tap';
import { concat, equalBytes, toHex } from '../../../src/base/bytes.ts';
import { EarlyReader, writeEarlyPayload } from '../../../src/protocol/tailcfg/early-payload.ts';
import { parseChallengePublic } from '../../../src/protocol/tailcfg/keys.ts';
import { MAX_RECORD_TEXT, Opener, Sealer } from '../../../src/protocol/tailcfg/records.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { flipped } from './mutations.ts';
import { naiveRecord } from './naive-record.ts';

const key = seeded(60).bytes(32);

t.test('records: those of the naive twin are ours, byte for byte', async (t) => {
  const random = seeded(61);
  const sealer = new Sealer(key);
  let count = 0n;
  for (let round = 0; round < 100; round++) {
    const text = random.bytes(random.below(2 * MAX_RECORD_TEXT + 10));
    const wanted: Uint8Array[] = [];
    for (let at = 0; at < text.length; at += MAX_RECORD_TEXT)
      wanted.push(naiveRecord(key, text.subarray(at, at + MAX_RECORD_TEXT), count++));
    const found = sealer.seal(text);
    if (!equalBytes(found, concat(...wanted)))
      return t.equal(toHex(found), toHex(concat(...wanted)), `round ${round}`);
  }
  return t.equal(new Sealer(key).seal(new Uint8Array(4077)).length, 4096, 'a full record');
});

t.test('records: a stream cut anywhere gives the text that went in', async (t) => {
  const random = seeded(62);
  for (let round = 0; round < 300; round++) {
    const [sealer, opener] = [new Sealer(key), new Opener(key)];
    const text = random.bytes(random.below(3 * MAX_RECORD_TEXT));
    const cut = random.below(text.length + 1);
    const stream = concat(sealer.seal(text.subarray(0, cut)), sealer.seal(text.subarray(cut)));
    const most = random.pick([1, 2, 5, 100, 4096, 20_000]);
    const texts: Uint8Array[] = [];
    for (let at = 0; at < stream.length; ) {
      const chunk = stream.slice(at, at + 1 + random.below(most));
      at += chunk.length;
      const opened = opener.push(chunk);
      if (typeof opened === 'string') return t.fail(`round ${round}: ${opened}`);
      texts.push(...opened);
      // Whoever reads from a socket uses its memory again.
      chunk.fill(0);
    }
    if (!equalBytes(concat(...texts), text)) return t.fail(`round ${round}: another text`);
  }
  return t.pass('300 streams');
});

t.test('records: one without text says nothing, and counts', async (t) => {
  const opener = new Opener(key);
  t.strictSame(opener.push(naiveRecord(key, new Uint8Array(0), 0n)), []);
  t.strictSame(opener.push(naiveRecord(key, Uint8Array.of(7), 1n)), [Uint8Array.of(7)]);
});

t.test('records: a false one has its reason, at once and for ever', async (t) => {
  const record = naiveRecord(key, Uint8Array.of(1, 2, 3), 0n);
  const reasonOf = (...chunks: Uint8Array[]) => {
    const opener = new Opener(key);
    return chunks.map((chunk) => opener.push(chunk)).at(-1);
  };
  t.equal(reasonOf(flipped(record, 8 * 4)), 'record: forged');
  t.equal(reasonOf(record, record), 'record: forged', 'the same again');
  t.equal(reasonOf(Uint8Array.of(3)), 'record: unknown type', 'by its first byte');
  t.equal(reasonOf(Uint8Array.of(4, 0, 15)), 'record: wrong length', 'less than a tag');
  t.equal(reasonOf(Uint8Array.of(4, 0x0f, 0xfe)), 'record: wrong length', '4097 bytes');
  t.strictSame(reasonOf(Uint8Array.of(4, 0x0f, 0xfd)), [], '4096 bytes are waited for');
  t.equal(reasonOf(flipped(record, 8 * 4), record), 'record: forged', 'a good one afterwards');
});

t.test(
  'records: 20,000 spoiled streams give a reason or wait, and never an exception',
  async (t) => {
    const random = seeded(63);
    const good = concat(
      naiveRecord(key, random.bytes(30), 0n),
      naiveRecord(key, random.bytes(40), 1n),
    );
    const reasons = new Map<string, number>();
    for (let round = 0; round < 20_000; round++) {
      const stream =
        random.below(4) === 0
          ? concat(Uint8Array.of(4, 0, 16 + random.below(60)), random.bytes(random.below(200)))
          : flipped(good, random.below(8 * good.length));
      const opener = new Opener(key);
      const at = random.below(stream.length + 1);
      opener.push(stream.subarray(0, at));
      const last = opener.push(concat(stream.subarray(at), new Uint8Array(4096)));
      const reason = typeof last === 'string' ? last : 'nothing';
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    t.strictSame([...reasons.keys()].sort(), [
      'record: forged',
      'record: unknown type',
      'record: wrong length',
    ]);
  },
);

const challenge = must(parseChallengePublic(`chalpub:${'01'.repeat(32)}`));

t.test('early payload: read however it is cut, and what is behind it is kept', async (t) => {
  const payload = writeEarlyPayload(challenge);
  t.equal(toHex(payload.subarray(0, 9)), 'ffffff5453' + '0000005f');
  const behind = Uint8Array.of(0, 0, 18, 4, 0, 0, 0, 0, 0);
  for (const step of [1, 7, 8, 9, 10, 100, 1000]) {
    const reader = new EarlyReader();
    const stream = concat(payload, behind);
    let at = 0;
    let early: ReturnType<EarlyReader['push']>;
    while (early === undefined && at < stream.length) {
      early = reader.push(stream.subarray(at, at + step));
      at += step;
    }
    if (typeof early !== 'object') return t.fail(`in steps of ${step}: ${early}`);
    t.strictSame(early.challenge, challenge);
    t.strictSame(concat(early.rest, stream.subarray(at)), behind, `in steps of ${step}`);
  }
  return t.strictSame(
    new EarlyReader().push(behind),
    { challenge: undefined, rest: behind },
    'HTTP/2 at once',
  );
});

t.test('early payload: too long or no JSON is a reason, another JSON is none', async (t) => {
  const of = (length: number, text: string) => {
    const head = Uint8Array.of(
      0xff,
      0xff,
      0xff,
      0x54,
      0x53,
      0,
      length >> 16,
      (length >> 8) & 255,
      length & 255,
    );
    return new EarlyReader().push(concat(head, new TextEncoder().encode(text)));
  };
  t.equal(of(1 << 20, ''), 'early payload: too long');
  t.equal(of(2, '{x'), 'early payload: not JSON');
  t.equal(of(4, 'null'), 'early payload: not JSON');
  t.strictSame(of(2, '{}'), { challenge: undefined, rest: new Uint8Array(0) });
});
