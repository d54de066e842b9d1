/**
 * What a node of ours says of the LAN devices that it shares, said in the name of a stock client: a program
 * that takes that client's machine key from its state file.
 *
 *     lan-report URL STATE_FILE DEVICES      says: STATUS and the answer
 *
 * The state file is JSON; `_machinekey` in it is base64 of `privkey:` and 64 digits.
 */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { concat, toBase64, toHex } from '../../../src/base/bytes.ts';
import { ownKey, peerKey } from '../../../src/crypto/x25519.ts';
import { parseMachinePublic, parsePrivate } from '../../../src/protocol/tailcfg/keys.ts';
import { consumeResponse, createInitiation } from '../../../src/protocol/tailcfg/ts2021.ts';
import { must } from '../../must.ts';
import type { Keys } from '../../unit/serve/client.ts';
import { Machine } from '../../unit/serve/client.ts';

const VERSION = 142;

async function join(url: string, keys: Keys): Promise<Machine> {
  const asking = await fetch(`${url}/key?v=${VERSION}`);
  const answer = (await asking.json()) as { publicKey: string };
  const server = must(parseMachinePublic(answer.publicKey), 'the key of the server');
  const pending = must(
    createInitiation(keys.machine, peerKey(server), VERSION, randomBytes(32)),
    'a key that is not of low order',
  );
  const asked = request(`${url}/ts2021`, {
    method: 'POST',
    headers: {
      Upgrade: 'tailscale-control-protocol',
      Connection: 'upgrade',
      'X-Tailscale-Handshake': toBase64(pending.message),
    },
  }).end();
  const [, socket, head] = (await once(asked, 'upgrade')) as [unknown, Socket, Uint8Array];
  for (let received = head; ; ) {
    const read = consumeResponse(pending, received);
    if (typeof read === 'string' || read.type === 'error') throw new Error('refused');
    if (read.type === 'channel') return new Machine(keys, socket, read.channel, read.rest.slice());
    const [more] = (await once(socket, 'data')) as [Uint8Array];
    received = concat(received, more);
  }
}

function keysOf(stateFile: string): Keys {
  const state = JSON.parse(readFileSync(stateFile, 'utf8'));
  const text = Buffer.from(state['_machinekey'], 'base64').toString();
  const machine = ownKey(must(parsePrivate(text), 'a machine key in the state file'));
  const none = '0'.repeat(64);
  return { machine, machineText: `mkey:${toHex(machine.publicKey)}`, node: `nodekey:${none}` };
}

const [url = '', stateFile = '', devices = ''] = process.argv.slice(2);
const machine = await join(url, keysOf(stateFile));
const { status, text } = await machine.post('/machine/lan', `{"devices":${devices}}`, 'PUT');
console.log(status, text);
machine.close();
