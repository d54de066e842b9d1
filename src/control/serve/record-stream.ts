/**
 * The text of a ts2021 connection as a stream of Node's, for HTTP/2 to run over.
 *
 *     socket ── records ──> Opener ── text ──> reader       the socket waits while the reader is full
 *     socket <── records ── Sealer <── text ── writer       a write is done when the socket has passed it on
 *
 * Either end's end is the other's, and a false record is the end of both. Texts that are written together leave
 * as one write, their records full.
 */

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { concat } from '../../base/bytes.ts';
import type { RecordDrop } from '../../protocol/tailcfg/records.ts';
import type { Channel } from '../../protocol/tailcfg/ts2021.ts';

export interface RecordEvents {
  /** A record has come that only the machine can have sealed. */
  heard(): void;
  /** One has that nobody has sealed; the stream is over. */
  broken(reason: RecordDrop): void;
}

type Done = (error?: Error | null) => void;

export class RecordStream extends Duplex {
  readonly #socket: Socket;
  readonly #channel: Channel;
  readonly #events: RecordEvents;

  /** Nothing is read before `start`. */
  constructor(socket: Socket, channel: Channel, events: RecordEvents) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#channel = channel;
    this.#events = events;
  }

  /** @param head what came behind the request */
  start(head: Uint8Array): void {
    const socket = this.#socket;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('end', () => this.push(null));
    socket.on('error', () => this.destroy());
    socket.on('close', () => this.destroy());
    socket.resume();
    if (head.length > 0) this.#receive(head);
  }

  #receive(bytes: Uint8Array): void {
    if (this.destroyed) return;
    const texts = this.#channel.opener.push(bytes);
    if (typeof texts === 'string') {
      this.#events.broken(texts);
      this.destroy();
      return;
    }
    let room = true;
    for (const text of texts) room = this.push(text);
    if (!room) this.#socket.pause();
    if (texts.length > 0) this.#events.heard();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    this.#socket.write(this.#channel.sealer.seal(chunk), done);
  }

  override _writev(chunks: readonly { readonly chunk: Uint8Array }[], done: Done): void {
    const text = concat(...chunks.map(({ chunk }) => chunk));
    this.#socket.write(this.#channel.sealer.seal(text), done);
  }

  override _final(done: Done): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#socket.destroy();
    this.#channel.sealer.wipe();
    this.#channel.opener.wipe();
    done(error);
  }
}
