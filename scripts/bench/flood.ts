/**
 * Sends initiations as fast as they are answered; run inside a lab's host, as a program of its own.
 *
 *     node flood.ts FILE ADDRESS PORT      says one line of JSON: what came back, and when
 *
 * They go in bursts, the next one when the last is answered: long enough that the responder is hardly ever
 * waiting for us, and short enough that it does not believe itself under attack and ask for cookies instead
 * of answering (wireguard-go does from 128 messages waiting, ours from 32 without a pause). What has had no answer
 * when nothing has come for a while is lost.
 */

import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import {
  COOKIE_REPLY_BYTES,
  INITIATION_BYTES,
  RESPONSE_BYTES,
} from '../../src/protocol/wireguard/messages.ts';

export interface Flooded {
  readonly sent: number;
  readonly answered: number;
  readonly cookies: number;
  readonly lost: number;
  /** From the first datagram to the last answer. */
  readonly seconds: number;
  /** The answer to the first initiation; empty where it was lost. */
  readonly firstHex: string;
}

const BURST = 10;
const PATIENCE_MS = 200;
/** Where the receiver's index stands: of a response, and of a cookie reply. */
const RESPONSE_TO_AT = 8;
const COOKIE_TO_AT = 4;

function flood(datagrams: Buffer, address: string, port: number): void {
  const count = datagrams.length / INITIATION_BYTES;
  const socket = createSocket('udp4');
  const waiting = new Set<number>();
  let sent = 0;
  let answered = 0;
  let cookies = 0;
  let lost = 0;
  let firstHex = '';
  let began = 0;
  let last = 0;
  const fill = (): void => {
    if (waiting.size > 0) return;
    for (; waiting.size < BURST && sent < count; sent++) {
      waiting.add(sent);
      socket.send(datagrams, sent * INITIATION_BYTES, INITIATION_BYTES);
    }
    if (waiting.size > 0) return;
    clearInterval(patience);
    socket.close();
    const seconds = (last - began) / 1000;
    const result: Flooded = { sent, answered, cookies, lost, seconds, firstHex };
    console.log(JSON.stringify(result));
  };
  const patience = setInterval(() => {
    if (performance.now() - last < PATIENCE_MS) return;
    lost += waiting.size;
    waiting.clear();
    fill();
  }, PATIENCE_MS);
  socket.on('message', (datagram) => {
    const isResponse = datagram.length === RESPONSE_BYTES;
    if (!isResponse && datagram.length !== COOKIE_REPLY_BYTES) return;
    const to = datagram.readUInt32LE(isResponse ? RESPONSE_TO_AT : COOKIE_TO_AT);
    if (!waiting.delete(to)) return;
    last = performance.now();
    if (isResponse) answered++;
    else cookies++;
    if (isResponse && to === 0) firstHex = datagram.toString('hex');
    fill();
  });
  socket.connect(port, address, () => {
    began = performance.now();
    last = began;
    fill();
  });
}

const [file = '', address = '', port = ''] = process.argv.slice(2);
if (import.meta.main) flood(readFileSync(file), address, Number(port));
