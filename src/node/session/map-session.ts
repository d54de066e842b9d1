/**
 * One membership at work: the map stream and, beside it on the same connection, what the node says of itself.
 *
 *     update ──────────────────────────────┐  at the start; when something is new, gathered for a moment;
 *     stream ── frames ──> map(…)           │  and by itself every five minutes: a server that has deleted us may
 *        └── PingRequest ──> answered       │  keep the stream open, and only this 404 tells
 *     120 s without a frame ──> over <──────┘
 *
 * Source: reference/protocol.md 00 (8), 3.1 to 3.3.
 */

import { fromBase64 } from '../../base/bytes.ts';
import { NetError } from '../../base/errors.ts';
import { after, millis } from '../../base/time.ts';
import type { MapResponse, PingRequest } from '../../protocol/tailcfg/map-types.ts';
import type { MapRequest } from '../../protocol/tailcfg/types.ts';
import { printable } from './connect.ts';
import type { ControlClient, Reply } from './control-client.ts';
import { FrameCutter, readFrame } from './map-frames.ts';
import type { SessionPorts } from './ports.ts';

const SILENCE = millis(120_000);
const GATHER = millis(50);
const BY_ITSELF = millis(300_000);
const PATH = '/machine/map';

/** The server does not know us under this key (any more). */
export class NotMemberError extends Error {
  override readonly name = 'NotMemberError';
}

export interface MapSessionOptions {
  readonly ports: Pick<SessionPorts, 'env' | 'probe'>;
  readonly client: ControlClient;
  streamRequest(): MapRequest;
  updateRequest(): MapRequest;
  /** In order; the first has our own node in it. */
  map(map: MapResponse): void;
  /** A frame has come, a keep-alive perhaps. */
  heard(): void;
  count(reason: string, detail?: string): void;
}

export class MapSession {
  readonly #options: MapSessionOptions;
  readonly #over = new AbortController();
  #cancelSilence: () => void = () => {};
  #cancelUpdate: (() => void) | undefined;
  #updating = false;
  #dirty = false;
  #begun = false;

  constructor(options: MapSessionOptions) {
    this.#options = options;
  }

  /**
   * Runs until it ends.
   *
   * @throws NotMemberError, NetError, or the signal's reason
   */
  async run(signal: AbortSignal): Promise<never> {
    const { client } = this.#options;
    const stop = (): void => this.#over.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    void client.closed.then((reason) => this.#over.abort(reason));
    try {
      signal.throwIfAborted();
      void this.#update();
      this.#heard();
      const cutter = new FrameCutter();
      const data = (bytes: Uint8Array): void => {
        for (const frame of cutter.push(bytes)) this.#take(frame);
      };
      const body = this.#options.streamRequest();
      const reply = await client.stream(PATH, body, data, this.#over.signal);
      throw refusalOf(reply) ?? new NetError('control: the server ended the map');
    } finally {
      signal.removeEventListener('abort', stop);
      this.#cancelSilence();
      this.#cancelUpdate?.();
      this.#over.abort(new NetError('control: the map is over'));
    }
  }

  /** Something of the update is new. */
  changed(): void {
    this.#dirty = true;
    if (!this.#updating) this.#updateIn(GATHER);
  }

  #take(frame: Uint8Array): void {
    this.#heard();
    this.#options.heard();
    const { count, map } = this.#options;
    const found = readFrame(frame, count);
    if (found === undefined) return;
    if (found.PingRequest !== undefined) void this.#answer(found.PingRequest);
    if (found.KeepAlive === true) return;
    if (!this.#begun && found.Node === undefined)
      throw new NetError('control: the first map has no node of ours in it');
    this.#begun = true;
    map(found);
  }

  #heard(): void {
    const { env } = this.#options.ports;
    this.#cancelSilence();
    this.#cancelSilence = env.setTimer(after(env.now(), SILENCE), () =>
      this.#over.abort(new NetError('control: no map and no keep-alive for 120 s')),
    );
  }

  async #update(): Promise<void> {
    const { client, updateRequest } = this.#options;
    this.#updating = true;
    this.#dirty = false;
    try {
      const body = updateRequest();
      const reply = await client.ask({ method: 'POST', path: PATH, body }, this.#over.signal);
      const refusal = reply.status === 200 ? undefined : refusalOf(reply);
      if (refusal !== undefined) this.#over.abort(refusal);
    } catch (error) {
      this.#over.abort(error);
    }
    this.#updating = false;
    if (!this.#over.signal.aborted) this.#updateIn(this.#dirty ? GATHER : BY_ITSELF);
  }

  #updateIn(wait: typeof GATHER): void {
    const { env } = this.#options.ports;
    this.#cancelUpdate?.();
    this.#cancelUpdate = env.setTimer(after(env.now(), wait), () => void this.#update());
  }

  /** A failure is the asker's to notice. */
  async #answer(request: PingRequest): Promise<void> {
    const { client, count, ports } = this.#options;
    const url = URL.parse(request.URL);
    if (url === null) return count('ping: no address');
    const path = url.pathname + url.search;
    try {
      if ((request.Types ?? '') === '') {
        count('ping: answered');
        await client.ask({ method: 'HEAD', path }, this.#over.signal);
        return;
      }
      const body = request.Types === 'c2n' ? c2n(request) : await ports.probe?.(request);
      if (body === undefined) return count('ping: of a kind that is not answered');
      count('ping: answered');
      await client.ask({ method: 'POST', path, body }, this.#over.signal);
    } catch {
      count('ping: answer failed');
    }
  }
}

function refusalOf({ status, body }: Reply): Error | undefined {
  const text = `control: map: ${status} ${printable(body.subarray(0, 512))}`.trim();
  if (status === 401 || status === 404) return new NotMemberError(text);
  return status === 200 ? undefined : new NetError(text);
}

/** An HTTP request to the node; `/echo` is the one thing that is answered, since all others make us do something. */
function c2n({ Payload }: PingRequest): Uint8Array | undefined {
  const request = new TextDecoder().decode(fromBase64(Payload ?? '') ?? new Uint8Array(0));
  const [head, ...rest] = request.split('\r\n\r\n');
  const path = /^[A-Z]+ (\/\S*) HTTP\/1\.[01]\r\n/.exec(`${head}\r\n`)?.[1];
  const echo = path === '/echo' ? rest.join('\r\n\r\n') : undefined;
  const status = echo === undefined ? '501 Not Implemented' : '200 OK';
  const body = new TextEncoder().encode(echo ?? '');
  const answer = `HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\n\r\n${echo ?? ''}`;
  return path === undefined ? undefined : new TextEncoder().encode(answer);
}
