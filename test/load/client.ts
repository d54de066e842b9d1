/**
 * A simulated node: what a stock client does towards its coordination server, without tunnel and relay.
 *
 *     key, connect ──> register ──> stream: first map, deltas, keep-alives
 *                        └──> update (lite), logout
 *
 *     stream   | length 4, LITTLE endian | zstd frame of JSON |, repeated
 *
 * Frames are handed on as they lie on the wire, with the time of their arrival; whoever wants to know what
 * they say unpacks them when the measurement is over. A node costs some 30 kB here, so thousands fit.
 */

import { randomBytes } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { concat, toHex } from '../../src/base/bytes.ts';
import { nodePublic } from '../../src/base/keys.ts';
import type { OwnKey, PeerKey } from '../../src/crypto/x25519.ts';
import { ownKey } from '../../src/crypto/x25519.ts';
import { formatNodePublic, NO_NODE_KEY } from '../../src/protocol/tailcfg/keys.ts';
import type { Hostinfo, RegisterResponse } from '../../src/protocol/tailcfg/types.ts';
import { ControlConnection, fetchKey, VERSION } from './connection.ts';

/** Compressed; the map of 10,000 nodes has less. */
const MAX_FRAME_BYTES = 64 * 2 ** 20;
/** What a stock client sends as the time of its logout, and as no time. */
const LONG_AGO = '1970-01-01T00:02:03Z';
const NO_TIME = '0001-01-01T00:00:00Z';

/** @param at of performance.now(), as its last byte came; `frame` is the receiver's to keep */
export type OnFrame = (frame: Uint8Array, at: number) => void;

export class SimulatedNode {
  readonly hostname: string;
  readonly machine: OwnKey = ownKey(randomBytes(32));
  readonly node: OwnKey = ownKey(randomBytes(32));
  readonly #url: URL;
  readonly #disco = `discokey:${toHex(randomBytes(32))}`;
  readonly #nodeKey: string;
  #server: PeerKey | undefined;
  #connection: ControlConnection | undefined;
  #endpoints: readonly string[];
  #region = 0;
  /** Of streams: how many ended that we did not end, and why the last did. */
  endings = 0;
  lastEnding = '';
  frames = 0;
  frameBytes = 0;
  onFrame: OnFrame | undefined;
  onEnded: (() => void) | undefined;

  constructor(url: URL, index: number) {
    this.hostname = `load-${index}`;
    this.#url = url;
    this.#nodeKey = formatNodePublic(nodePublic(this.node.publicKey));
    this.#endpoints = [`10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}:41641`];
  }

  get isConnected(): boolean {
    return this.#connection?.isClosed === false;
  }

  get receivedBytes(): number {
    return this.#connection?.receivedBytes ?? 0;
  }

  /** Opens a connection, cutting the last; the server's key is asked for once. */
  async connect(): Promise<void> {
    this.close();
    this.#server ??= await fetchKey(this.#url);
    this.#connection = await ControlConnection.open(this.#url, this.machine, this.#server);
  }

  /** @throws Error quoting what the server says, unless the node is accepted */
  async register(authKey?: string): Promise<RegisterResponse> {
    const answer = await this.#register({ ...(authKey !== undefined && { AuthKey: authKey }) });
    if (answer.Error) throw new Error(`/machine/register: ${answer.Error}`);
    if (answer.AuthURL) throw new Error('/machine/register: a login is wanted');
    if (answer.NodeKeyExpired || !answer.MachineAuthorized)
      throw new Error('/machine/register: not accepted');
    return answer;
  }

  /** Expires the node at the server, or has an ephemeral one deleted. */
  async logout(): Promise<RegisterResponse> {
    return this.#register({}, LONG_AGO);
  }

  /** Opens the stream; fulfilled with its first frame. */
  async openStream(): Promise<Uint8Array> {
    const connection = this.#open();
    const first = Promise.withResolvers<Uint8Array>();
    const reader = new FrameReader((frame) => {
      const at = performance.now();
      this.frames++;
      this.frameBytes += frame.length;
      first.resolve(frame);
      this.onFrame?.(frame, at);
    });
    const ended = (reason: string): void => {
      first.reject(new Error(`the stream ended: ${reason}`));
      if (connection !== this.#connection) return;
      this.endings++;
      this.lastEnding = reason;
      this.onEnded?.();
    };
    const request = { ...this.#mapRequest(), KeepAlive: true, Stream: true };
    const push = (bytes: Uint8Array): void => {
      if (!reader.push(bytes)) connection.close('a frame of the stream is too long');
    };
    first.promise.catch(() => {});
    const status = await connection.stream('/machine/map', request, push, ended);
    if (status !== 200) throw new Error(`/machine/map: ${status}`);
    return first.promise;
  }

  /** A lite update: says where the node is. @returns the status of the answer */
  async update(change: { endpoints?: readonly string[]; region?: number } = {}): Promise<number> {
    this.#endpoints = change.endpoints ?? this.#endpoints;
    this.#region = change.region ?? this.#region;
    const request = {
      ...this.#mapRequest(),
      OmitPeers: true,
      Endpoints: this.#endpoints,
      EndpointTypes: this.#endpoints.map(() => 1),
    };
    return (await this.#open().post('/machine/map', request)).status;
  }

  /** Stops reading, as a client does that hangs. */
  pause(): void {
    this.#connection?.pause();
  }

  resume(): void {
    this.#connection?.resume();
  }

  /** Cuts the connection without a word. */
  close(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.close();
  }

  #open(): ControlConnection {
    if (this.#connection === undefined) throw new Error(`${this.hostname}: not connected`);
    return this.#connection;
  }

  async #register(Auth: { AuthKey?: string }, Expiry = NO_TIME): Promise<RegisterResponse> {
    const { status, body } = await this.#open().post('/machine/register', {
      Version: VERSION,
      NodeKey: this.#nodeKey,
      OldNodeKey: NO_NODE_KEY,
      ...('AuthKey' in Auth && { Auth }),
      Expiry,
      Followup: '',
      Hostinfo: this.#hostinfo(),
    });
    const text = new TextDecoder().decode(body);
    if (status !== 200) throw new Error(`/machine/register: ${status} ${text.trim()}`);
    return JSON.parse(text) as RegisterResponse;
  }

  #mapRequest(): object {
    return {
      Version: VERSION,
      Compress: 'zstd',
      NodeKey: this.#nodeKey,
      DiscoKey: this.#disco,
      Hostinfo: this.#hostinfo(),
    };
  }

  #hostinfo(): Hostinfo {
    return {
      IPNVersion: '1.102.3-load',
      OS: 'linux',
      OSVersion: '6.12.0',
      Distro: 'debian',
      DistroVersion: '12.11',
      DistroCodeName: 'bookworm',
      Hostname: this.hostname,
      Machine: 'x86_64',
      GoArch: 'amd64',
      GoVersion: 'go1.26.8',
      Services: [{ Proto: 'peerapi4', Port: 41_642 }],
      ...(this.#region > 0 && {
        NetInfo: { WorkingUDP: true, PreferredDERP: this.#region, LinkType: 'wired' },
      }),
    };
  }
}

/** The JSON in a frame. @throws where it is no zstd */
export function unpack(frame: Uint8Array): Uint8Array {
  return zstdDecompressSync(frame);
}

/** Cuts a stream into frames; what it hands on is the receiver's. */
class FrameReader {
  readonly #take: (frame: Uint8Array) => void;
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(take: (frame: Uint8Array) => void) {
    this.#take = take;
  }

  /** Whether all is well: false for a frame that is too long. */
  push(bytes: Uint8Array): boolean {
    this.#parts.push(bytes.slice());
    this.#bytes += bytes.length;
    let want = this.#wanted();
    if (want > this.#bytes) return want <= MAX_FRAME_BYTES;
    let held = concat(...this.#parts.splice(0));
    while (held.length >= want) {
      this.#take(held.slice(4, want));
      held = held.subarray(want);
      this.#bytes = held.length;
      if (held.length > 0) this.#parts[0] = held;
      else this.#parts.length = 0;
      want = this.#wanted();
    }
    return want <= MAX_FRAME_BYTES;
  }

  /** Bytes of the frame that is held in part, its length included. */
  #wanted(): number {
    const first = this.#parts[0];
    if (first === undefined || this.#bytes < 4) return 4;
    const head = first.length >= 4 ? first : concat(...this.#parts);
    return 4 + new DataView(head.buffer, head.byteOffset).getUint32(0, true);
  }
}
