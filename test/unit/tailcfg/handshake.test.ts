import t from 'tap';
import { concat, toHex } from '../../../src/base/bytes.ts';
import type { OwnKey } from '../../../src/crypto/x25519.ts';
import { ownKey, peerKey } from '../../../src/crypto/x25519.ts';
import type { Channel, PendingInitiation } from '../../../src/protocol/tailcfg/ts2021.ts';
import {
  consumeResponse,
  createInitiation,
  createResponse,
  errorFrame,
  openInitiation,
} from '../../../src/protocol/tailcfg/ts2021.ts';
import { must } from '../../must.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';
import { HandshakeState } from '../../twins/noise.ts';
import { flipped } from './mutations.ts';
import { naiveRecord } from './naive-record.ts';

const VERSION = 142;
const EMPTY = new Uint8Array(0);

function value<T>(result: T | string | undefined): T {
  if (typeof result === 'string') throw new Error(result);
  return must(result);
}

interface Ends {
  readonly machine: OwnKey;
  readonly machineSecret: Uint8Array;
  readonly server: OwnKey;
  readonly serverSecret: Uint8Array;
}

function ends(random: Seeded): Ends {
  const [machineSecret, serverSecret] = [random.bytes(32), random.bytes(32)];
  return {
    machine: ownKey(machineSecret),
    machineSecret,
    server: ownKey(serverSecret),
    serverSecret,
  };
}

function initiation(random: Seeded, { machine, server }: Ends): PendingInitiation {
  return must(createInitiation(machine, peerKey(server.publicKey), VERSION, random.bytes(32)));
}

function channelOf(result: ReturnType<typeof consumeResponse>): Channel {
  const answer = value(result);
  if (typeof answer === 'string' || answer.type !== 'channel') throw new Error('no channel');
  return answer.channel;
}

t.test('ts2021: two ends agree, and each knows the other by then', async (t) => {
  const random = seeded(50);
  const both = ends(random);
  const pending = initiation(random, both);
  t.equal(pending.message.length, 101);
  const opened = value(openInitiation(both.server, pending.message));
  t.equal(opened.version, VERSION);
  t.strictSame(Uint8Array.from(opened.machine), both.machine.publicKey);
  const { message, channel } = value(createResponse(opened, random.bytes(32)));
  t.equal(message.length, 51);

  const early = channel.sealer.seal(new TextEncoder().encode('first words'));
  const stream = concat(message, early);
  t.strictSame(consumeResponse(pending, stream.subarray(0, 2)), { type: 'more', wantBytes: 3 });
  t.strictSame(consumeResponse(pending, stream.subarray(0, 50)), { type: 'more', wantBytes: 51 });
  const answer = value(consumeResponse(pending, stream));
  if (typeof answer === 'string' || answer.type !== 'channel') return t.fail('no channel');
  t.strictSame(answer.rest, early, 'what came behind the response is not lost');
  const texts = answer.channel.opener.push(answer.rest);
  t.equal(new TextDecoder().decode(must(texts[0] as Uint8Array)), 'first words');
  return t.strictSame(
    channel.opener.push(answer.channel.sealer.seal(Uint8Array.of(1, 2))),
    [Uint8Array.of(1, 2)],
    'and back',
  );
});

t.test('ts2021: as machine and as server we understand the twin, and it us', async (t) => {
  const random = seeded(51);
  for (let round = 0; round < 10; round++) {
    const both = ends(random);
    const version = 113 + round;
    const [ephemeralM, ephemeralS] = [random.bytes(32), random.bytes(32)];
    const twin = (role: 'initiator' | 'responder') =>
      new HandshakeState({
        role,
        protocolName: 'Noise_IK_25519_ChaChaPoly_BLAKE2s',
        prologue: new TextEncoder().encode(`Tailscale Control Protocol v${version}`),
        staticPrivate: role === 'initiator' ? both.machineSecret : both.serverSecret,
        ephemeralPrivate: (role === 'initiator' ? ephemeralM : ephemeralS).slice(),
        responderPublic: both.server.publicKey,
      });
    const [twinM, twinS] = [twin('initiator'), twin('responder')];
    const pending = must(
      createInitiation(both.machine, peerKey(both.server.publicKey), version, ephemeralM),
    );
    // The same secrets on both sides must make the same bytes.
    const first = twinM.write(EMPTY);
    t.equal(
      toHex(pending.message),
      `${version.toString(16).padStart(4, '0')}010060${toHex(first)}`,
      `round ${round}: initiation`,
    );
    twinS.read(first);
    t.strictSame(twinS.remoteStatic, both.machine.publicKey);
    const opened = value(openInitiation(both.server, pending.message));
    const { message, channel } = value(createResponse(opened, ephemeralS));
    const second = twinS.write(EMPTY);
    t.equal(toHex(message), `020030${toHex(second)}`, `round ${round}: response`);
    twinM.read(second);

    // What the keys are shows in the first record of each direction.
    const ours = channelOf(consumeResponse(pending, message));
    const [toServer, toMachine] = twinM.split();
    t.strictSame(twinS.split(), [toServer, toMachine]);
    const text = random.bytes(100);
    t.strictSame(ours.sealer.seal(text), naiveRecord(toServer, text, 0n), `round ${round}: up`);
    t.strictSame(channel.sealer.seal(text), naiveRecord(toMachine, text, 0n), 'down');
  }
});

t.test('ts2021: each false message has its reason', async (t) => {
  const random = seeded(52);
  const both = ends(random);
  const pending = initiation(random, both);
  const { message } = pending;
  const stranger = ownKey(random.bytes(32));
  t.equal(openInitiation(stranger, message), 'ts2021: not for us');
  t.equal(openInitiation(both.server, flipped(message, 8 * 1)), 'ts2021: not for us', 'version');
  t.equal(openInitiation(both.server, flipped(message, 8 * 60)), 'ts2021: not for us', 'static');
  t.equal(openInitiation(both.server, flipped(message, 8 * 100)), 'ts2021: not for us', 'tag');
  t.equal(openInitiation(both.server, message.slice().fill(0, 5, 37)), 'ts2021: bad key');
  t.equal(openInitiation(both.server, flipped(message, 8 * 2)), 'ts2021: unknown type');
  t.equal(openInitiation(both.server, flipped(message, 8 * 4)), 'ts2021: wrong length');
  t.equal(openInitiation(both.server, message.subarray(1)), 'ts2021: wrong length');

  const { message: response } = value(
    createResponse(value(openInitiation(both.server, message)), random.bytes(32)),
  );
  t.equal(consumeResponse(pending, flipped(response, 8 * 10)), 'ts2021: forged response');
  t.equal(consumeResponse(pending, flipped(response, 8 * 50)), 'ts2021: forged response');
  t.equal(consumeResponse(pending, response.slice().fill(0, 3, 35)), 'ts2021: bad key');
  t.equal(consumeResponse(pending, flipped(response, 8 * 2)), 'ts2021: wrong length');
  t.equal(consumeResponse(pending, Uint8Array.of(4, 0, 48)), 'ts2021: unknown type');
  t.equal(consumeResponse(pending, Uint8Array.of(3, 255, 255)), 'ts2021: wrong length');
  t.ok(channelOf(consumeResponse(pending, response)), 'and the true one is still taken after all');
});

t.test('ts2021: a refusal is read as its text, without control characters', async (t) => {
  const random = seeded(53);
  const pending = initiation(random, ends(random));
  const refusal = errorFrame('too old\u001b[2J, please\nupdate');
  t.strictSame(consumeResponse(pending, refusal.subarray(0, 9)), {
    type: 'more',
    wantBytes: refusal.length,
  });
  t.strictSame(consumeResponse(pending, refusal), {
    type: 'error',
    text: 'too old [2J, please update',
  });
});

t.test(
  'ts2021: a server key of low order gets no initiation, and ephemerals are wiped',
  async (t) => {
    const random = seeded(54);
    const both = ends(random);
    const ephemeral = random.bytes(32);
    const low = peerKey(new Uint8Array(32));
    t.equal(createInitiation(both.machine, low, VERSION, ephemeral), undefined);
    t.strictSame(ephemeral, new Uint8Array(32));
    const answering = random.bytes(32);
    const { message } = initiation(random, both);
    value(createResponse(value(openInitiation(both.server, message)), answering));
    t.strictSame(answering, new Uint8Array(32));
  },
);

t.test('hostile handshakes: 20,000 give a reason each, and never an exception', async (t) => {
  const random = seeded(55);
  const both = ends(random);
  const pending = initiation(random, both);
  const answer = value(
    createResponse(value(openInitiation(both.server, pending.message)), random.bytes(32)),
  );
  const reasons = new Map<string, number>();
  for (let round = 0; round < 20_000; round++) {
    const good = random.pick([pending.message, answer.message]);
    const hostile = hostileFrame(random, good);
    const opened = openInitiation(both.server, hostile);
    const consumed = consumeResponse(pending, hostile);
    // Cut short it may be waited for, and anybody may send an error; a channel it must not be.
    const taken = typeof consumed !== 'string' && consumed.type === 'channel';
    if (typeof opened !== 'string' || taken)
      return t.fail(`round ${round}: ${toHex(hostile)} was taken`);
    const said = typeof consumed === 'string' ? consumed : consumed.type;
    for (const reason of [opened, said]) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  for (const reason of ['ts2021: not for us', 'ts2021: forged response', 'ts2021: wrong length'])
    t.ok(reasons.has(reason), `${reason}: ${reasons.get(reason)}`);
  return t.ok(channelOf(consumeResponse(pending, answer.message)), 'and the true one is taken');
});

/** Random bytes, or a good frame cut, with a bit changed, or its head with random bytes behind. */
function hostileFrame(random: Seeded, good: Uint8Array): Uint8Array {
  switch (random.below(4)) {
    case 0:
      return random.bytes(random.below(200));
    case 1:
      return good.slice(0, random.below(good.length));
    case 2:
      return flipped(good, random.below(8 * good.length));
    default:
      return concat(good.subarray(0, 5), random.bytes(good.length - 5));
  }
}
