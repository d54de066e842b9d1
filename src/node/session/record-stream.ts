/**
 * The text of a ts2021 connection as a stream, for HTTP/2 to run over: a client's end, which takes the early
 * payload away before HTTP/2 sees the first byte.
 *
 *     socket ── records ──> Opener ── text ──> [EarlyReader] ──> reader    the socket waits while the reader is full
 *     socket <── records ── Sealer <── text ── writer                      written when the socket has taken it
 *
 * A false record, or an early payload that is none, ends the stream with its reason.
 */

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { concat, plainBytes } from '../../base/bytes.ts';
import { NetError } from '../../base/errors.ts';
import { EarlyReader } from '../../protocol/tailcfg/early-payload.ts';
import type { Channel } from '../../protocol/tailcfg/ts2021.ts';

type Done = (error?: Error | null) => void;

export class RecordStream extends Duplex {
  readonly #socket: Socket;
  readonly #channel: Channel;
  readonly #heard: () => void;
  #early: EarlyReader | undefined = new EarlyReader();

  /**
   * @param rest what came behind the handshake
   * @param heard is called for each read in which the server has proved to be there
   */
  constructor(socket: Socket, channel: Channel, rest: Uint8Array, heard: () => void) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#channel = channel;
    this.#heard = heard;
    socket.on('data', (bytes: Buffer) => this.#receive(plainBytes(bytes)));
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    if (rest.length > 0) this.#receive(rest);
    socket.resume();
  }

  #receive(bytes: Uint8Array): void {
    if (this.destroyed) return;
    const texts = this.#channel.opener.push(bytes);
    if (typeof texts === 'string') {
      this.destroy(new NetError(`control: ${texts}`));
      return;
    }
    let room = true;
    for (const text of texts) {
      const plain = this.#early === undefined ? text : this.#afterEarly(this.#early, text);
      if (plain !== undefined && plain.length > 0) room = this.push(plain);
    }
    if (!room) this.#socket.pause();
    if (texts.length > 0) this.#heard();
  }

  #afterEarly(reader: EarlyReader, text: Uint8Array): Uint8Array | undefined {
    const early = reader.push(text);
    if (typeof early === 'string') {
      this.destroy(new NetError(`control: ${early}`));
      return undefined;
    }
    if (early !== undefined) this.#early = undefined;
    return early?.rest;
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
