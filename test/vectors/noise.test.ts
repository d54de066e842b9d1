import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { concat, toHex } from '../../src/base/bytes.ts';
import { seal } from '../../src/crypto/aead.ts';
import { SymmetricState } from '../../src/crypto/symmetric-state.ts';
import type { OwnKey, PeerKey } from '../../src/crypto/x25519.ts';
import { ownKey, peerKey } from '../../src/crypto/x25519.ts';
import { must } from '../must.ts';
import { CipherState, HandshakeState } from '../twins/noise.ts';

interface Vector {
  readonly protocol_name: string;
  readonly init_prologue: string;
  readonly init_psks?: string[];
  readonly init_static: string;
  readonly init_ephemeral: string;
  readonly init_remote_static: string;
  readonly resp_static: string;
  readonly resp_ephemeral: string;
  readonly handshake_hash?: string;
  readonly messages: { readonly payload: string; readonly ciphertext: string }[];
}

const FILE = `${process.env['POSTERN_VECTORS']}/noise-ik-25519-chachapoly-blake2s.json`;
const OURS = ['Noise_IK_25519_ChaChaPoly_BLAKE2s', 'Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s'];
const skip = !existsSync(FILE) && 'POSTERN_VECTORS names no folder with the Noise vectors';

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text);

/** Vectors of the cacophony and snow projects, for the patterns used here. */
function vectors(): { name: string; vector: Vector }[] {
  const sets = JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, Vector[]>;
  return Object.entries(sets).flatMap(([origin, all]) =>
    all
      .filter(({ protocol_name }) => OURS.includes(protocol_name))
      .map((vector) => ({ name: `${origin} ${vector.protocol_name}`, vector })),
  );
}

t.test(
  'the twin gives the ciphertexts of the Noise vectors, in both roles',
  { skip },
  async (t) => {
    for (const { name, vector } of vectors()) {
      const common = {
        protocolName: vector.protocol_name,
        prologue: hex(vector.init_prologue),
        responderPublic: hex(vector.init_remote_static),
        presharedKey: hex(vector.init_psks?.[0] ?? ''),
      };
      const sides = [
        new HandshakeState({
          role: 'initiator',
          staticPrivate: hex(vector.init_static),
          ephemeralPrivate: hex(vector.init_ephemeral),
          ...common,
        }),
        new HandshakeState({
          role: 'responder',
          staticPrivate: hex(vector.resp_static),
          ephemeralPrivate: hex(vector.resp_ephemeral),
          ...common,
        }),
      ] as const;
      for (const [i, { payload, ciphertext }] of vector.messages.slice(0, 2).entries()) {
        t.equal(toHex(must(sides[i]).write(hex(payload))), ciphertext, `${name}: message ${i}`);
        t.equal(toHex(must(sides[1 - i]).read(hex(ciphertext))), payload, `${name}: read ${i}`);
      }
      if (vector.handshake_hash) t.equal(toHex(sides[0].hash), vector.handshake_hash, name);
      t.strictSame(sides[0].split(), sides[1].split());
      const ciphers = sides[0].split().map((key) => new CipherState(key));
      for (const [i, { payload, ciphertext }] of vector.messages.slice(2).entries()) {
        const sealed = must(ciphers[i % 2]).encrypt(new Uint8Array(0), hex(payload));
        t.equal(toHex(sealed), ciphertext, `${name}: transport ${i}`);
      }
    }
  },
);

t.test('the symmetric state gives the ciphertexts of the Noise vectors', { skip }, async (t) => {
  for (const { name, vector } of vectors()) {
    const { messages } = vector;
    const state = SymmetricState.start(vector.protocol_name, hex(vector.init_prologue));
    const withPsk = vector.protocol_name.includes('psk');
    const initiator = ownKey(hex(vector.init_static));
    const responder = ownKey(hex(vector.resp_static));
    const [e, re] = [ownKey(hex(vector.init_ephemeral)), ownKey(hex(vector.resp_ephemeral))];
    const ephemeral = (key: Uint8Array): Uint8Array => {
      if (withPsk) state.mixEphemeral(key);
      else state.mixHash(key);
      return key;
    };
    const mix = (own: OwnKey, peer: PeerKey): void => state.mixKey(must(own.agree(peer)));

    state.mixHash(responder.publicKey);
    const first = [ephemeral(e.publicKey)];
    mix(e, peerKey(responder.publicKey));
    first.push(state.sealAndHash(initiator.publicKey));
    mix(initiator, peerKey(responder.publicKey));
    first.push(state.sealAndHash(hex(must(messages[0]).payload)));
    t.equal(toHex(concat(...first)), messages[0]?.ciphertext, `${name}: message 0`);

    const second = [ephemeral(re.publicKey)];
    mix(re, peerKey(e.publicKey));
    mix(re, peerKey(initiator.publicKey));
    if (withPsk) state.mixKeyAndHash(hex(must(vector.init_psks?.[0])));
    second.push(state.sealAndHash(hex(must(messages[1]).payload)));
    t.equal(toHex(concat(...second)), messages[1]?.ciphertext, `${name}: message 1`);
    if (vector.handshake_hash) t.equal(toHex(state.hash()), vector.handshake_hash, name);

    for (const [i, key] of state.split().entries()) {
      const { payload, ciphertext } = must(messages[2 + i]);
      const sealed = seal(key, new Uint8Array(12), hex(payload), new Uint8Array(0));
      t.equal(toHex(sealed), ciphertext, `${name}: transport ${i}`);
    }
  }
});
