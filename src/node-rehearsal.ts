/**
 * The main thread's half of a first contact, done with itself once the node is ready, as the worker rehearses its
 * packet path: handshakes and disco messages run compiled code then. The first round takes 10 ms, the twelfth
 * 1.1 (two busy cores).
 *
 * Keys of the rehearsal are made for it and wiped; nothing leaves the program.
 */

import { BugError } from './base/errors.ts';
import { discoPublic, nodePublic } from './base/keys.ts';
import { boxKey } from './crypto/box.ts';
import { ownKey, peerKey } from './crypto/x25519.ts';
import { openDisco, sealDisco } from './protocol/disco/messages.ts';
import {
  consumeInitiation,
  consumeResponse,
  createInitiation,
  createResponse,
  openInitiation,
  staticSecret,
} from './protocol/wireguard/noise.ts';

const ROUNDS = 12;
const NO_PRESHARED_KEY: Uint8Array = new Uint8Array(32);

/** Takes some 20 ms. @throws BugError where the two ends do not agree */
export function rehearseContact(random: (lengthBytes: number) => Uint8Array): void {
  const [ours, theirs] = [ownKey(random(32)), ownKey(random(32))];
  const [us, them] = [peerKey(ours.publicKey), peerKey(theirs.publicKey)];
  const secret = staticSecret(ours, them);
  const box = boxKey(ours, them);
  if (secret === undefined || box === undefined) throw new BugError('rehearsal: no common secret');
  const peering = { own: ours, peer: them, staticSecret: secret };
  for (let round = 0; round < ROUNDS; round++) {
    const pending = createInitiation(peering, random(32), round, random(12));
    const opened = pending && openInitiation(theirs, pending.message);
    if (pending === undefined || typeof opened !== 'object')
      throw new BugError('rehearsal: no initiation');
    const received = consumeInitiation(opened, secret);
    if (typeof received === 'string') throw new BugError(received);
    const response = createResponse(received, us, NO_PRESHARED_KEY, random(32), round);
    if (typeof response === 'string') throw new BugError(response);
    const ended = consumeResponse(pending, response.message, NO_PRESHARED_KEY);
    if (typeof ended === 'string') throw new BugError(ended);
    for (const key of [...Object.values(response.keys), ...Object.values(ended.keys)]) key.fill(0);
    const sender = nodePublic(ours.publicKey);
    const ping = { type: 'ping', transaction: random(12), sender } as const;
    const sealed = sealDisco(discoPublic(ours.publicKey), box, random(24), ping);
    if (typeof openDisco(box, sealed) === 'string') throw new BugError('rehearsal: no ping');
  }
  secret.fill(0);
  box.fill(0);
}
