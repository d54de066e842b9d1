import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { concat } from '../../../src/base/bytes.ts';
import { openBox, sealBox } from '../../../src/crypto/box.ts';
import { ownKey } from '../../../src/crypto/x25519.ts';
import { FRAME, HEADER_BYTES } from '../../../src/protocol/derp/constants.ts';
import { frame } from '../../../src/protocol/derp/frames.ts';
import {
  clientInfo,
  readClientInfo,
  readServerInfo,
  readServerKey,
  serverInfo,
  serverKey,
} from '../../../src/protocol/derp/greeting.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

const hex = (bytes: Uint8Array | string): string =>
  typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const FRAMES = `${process.env['POSTERN_VECTORS']}/frames.json`;
const random = seeded(1);
const [relay, node] = [ownKey(random.bytes(32)), ownKey(random.bytes(32))];

/** A ClientInfo frame, as bytes. */
const greeting = (): Uint8Array => {
  const info = clientInfo(node, relay.publicKey, random.bytes(24));
  return typeof info === 'string' ? new Uint8Array() : info;
};

t.test(
  'greeting: what a stock relay said is understood, and ours to it is written again byte for byte',
  { skip: !existsSync(FRAMES) && 'POSTERN_VECTORS names no folder with frames.json' },
  async (t) => {
    const { keys, frames } = JSON.parse(readFileSync(FRAMES, 'utf8')) as {
      keys: Record<string, string>;
      frames: { what: string; hex: string }[];
    };
    const bytesOf = (what: string): Uint8Array =>
      fromHex(must(frames.find((one) => one.what.startsWith(what))).hex);
    const own = ownKey(fromHex(must(keys['ownNodePrivate'])));
    const their = fromHex(must(keys['relayPublic']));
    t.equal(hex(own.publicKey), keys['ownNodePublic']);
    t.equal(hex(readServerKey(frame(FRAME.serverKey, bytesOf('DERP ServerKey')))), hex(their));
    t.equal(hex(serverKey(their).subarray(HEADER_BYTES)), hex(bytesOf('DERP ServerKey')));
    const sent = bytesOf('DERP ClientInfo');
    const nonce = sent.subarray(HEADER_BYTES + 32, HEADER_BYTES + 56);
    t.equal(hex(clientInfo(own, their, nonce)), hex(sent));
    const said = frame(FRAME.serverInfo, bytesOf('DERP ServerInfo'));
    t.same(readServerInfo(own, their, said), { bytesPerSecond: undefined, burstBytes: undefined });
  },
);

t.test('greeting: a client proves its key, and learns the rate it may send at', async (t) => {
  const greeted = readClientInfo(relay, greeting());
  if (typeof greeted === 'string') throw new Error(greeted);
  t.same(greeted.node, node.publicKey);
  const limits = { bytesPerSecond: 1000, burstBytes: 5000 };
  const said = serverInfo(greeted.boxKey, random.bytes(24), limits);
  t.same(readServerInfo(node, relay.publicKey, said), limits);
});

t.test('greeting: another key, a flipped bit and a cut are refused', async (t) => {
  const whole = greeting();
  const asAnother = whole.slice();
  asAnother.set(ownKey(random.bytes(32)).publicKey, HEADER_BYTES);
  t.equal(readClientInfo(relay, asAnother), 'derp: greeting forged', "in another's name");
  const zero = whole.slice();
  zero.fill(0, HEADER_BYTES, HEADER_BYTES + 32);
  t.equal(readClientInfo(relay, zero), 'derp: greeting forged', 'a key of low order');
  const accepted: number[] = [];
  for (let at = HEADER_BYTES; at < whole.length; at++) {
    const flipped = whole.slice();
    flipped[at] = (flipped[at] as number) ^ (1 << random.below(8));
    // The top bit of a Curve25519 key does not count, but the client is another by name.
    const got = readClientInfo(relay, flipped);
    if (typeof got !== 'string' && at !== HEADER_BYTES + 31) accepted.push(at);
    if (typeof readClientInfo(relay, whole.slice(0, at)) !== 'string') accepted.push(-at);
  }
  t.same(accepted, []);
});

t.test('greeting: what is in the box has to be a JSON object', async (t) => {
  const greeted = readClientInfo(relay, greeting());
  if (typeof greeted === 'string') throw new Error(greeted);
  for (const said of ['', 'null', '[]', '7', '{"version":2', '\xff'])
    t.equal(
      readClientInfo(
        relay,
        frame(
          FRAME.clientInfo,
          concat(node.publicKey, sealBox(greeted.boxKey, random.bytes(24), Buffer.from(said))),
        ),
      ),
      'derp: greeting malformed',
      JSON.stringify(said),
    );
});

t.test('box: the example of the NaCl paper opens', async (t) => {
  // "Cryptography in NaCl", section 10: Bob's shared key, nonce and box of 131 bytes with Alice.
  const key = '1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389';
  const nonce = '69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37';
  const sealed = sealBox(fromHex(key), fromHex(nonce), fromHex(PAPER_MESSAGE));
  t.equal(hex(sealed.subarray(24, 40)), 'f3ffc7703f9400e52a7dfb4b3d3305d9', 'its authenticator');
  t.equal(hex(must(openBox(fromHex(key), sealed))), PAPER_MESSAGE);
});

const PAPER_MESSAGE =
  'be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c6129' +
  '6cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde' +
  '048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705';
