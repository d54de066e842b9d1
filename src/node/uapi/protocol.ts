/**
 * The text of the WireGuard userspace interface (UAPI), which wg(8) speaks on a unix socket.
 *
 *     request   get=1 \n \n                       answer   status lines, errno=0 \n \n
 *               set=1 \n (key=value \n)* \n                errno=0 \n \n, or errno=-22 \n \n
 *               get=status \n \n                        ours alone: protocol/localapi/status.ts
 *
 * In a set request the keys of the interface come first; each public_key begins a peer, and what follows
 * speaks of that peer. A request is read as a whole before anything of it is applied, so that a wrong last
 * line changes nothing (wireguard-go would have applied the lines before it).
 *
 * Numbers in errno are negative, as wireguard-go writes them. A connection carries requests one after another.
 * What begins with neither get nor set leaves no way to find the next request: it is answered and the
 * connection ends. Reasons name the key and never the value of a secret one.
 *
 * Source: wireguard.com/xplatform.
 */

import { equalBytes, fromHex, isZero } from '../../base/bytes.ts';
import type { Endpoint } from '../../base/endpoint.ts';
import { parseEndpoint } from '../../base/endpoint.ts';
import type { NodePublic } from '../../base/keys.ts';
import { KEY_BYTES, NodePrivate, nodePublic, PresharedKey } from '../../base/keys.ts';
import type { Prefix } from '../../base/prefix.ts';
import { parsePrefix } from '../../base/prefix.ts';
import type { InterfaceChange, PeerChange } from '../tunnel/configuration.ts';

/** 10,000 peers with all there is to set and one allowed IP of each family are 3.5 MB. */
export const MAX_REQUEST_BYTES: number = 4 * 1024 * 1024;
/** The longest line that means something, `preshared_key=` and 64 digits, is 78. */
export const MAX_LINE_BYTES = 256;

/** errno(3) of Linux, negated. */
export const ERRNO = { tooBig: -7, invalid: -22, protocol: -71 } as const;

export interface Refusal {
  readonly type: 'refused';
  /** Below zero. */
  readonly errno: number;
  readonly reason: string;
  /** Nothing behind it can be understood. */
  readonly close: boolean;
}

export type Request =
  | { readonly type: 'get' }
  | { readonly type: 'get status' }
  | { readonly type: 'set'; readonly change: InterfaceChange }
  | Refusal;

/** The index of a network interface by name, for the scope of a link-local endpoint. */
export type InterfaceIndex = (name: string) => number | undefined;

/** Finds requests in a stream. After a refusal with `close` it gives nothing more. */
export class RequestReader {
  readonly #interfaceIndex: InterfaceIndex;
  #waiting: string[] = [];
  #at = 0;
  #tail = '';
  #lines: string[] = [];
  #bytes = 0;
  #ended = false;

  constructor(interfaceIndex: InterfaceIndex) {
    this.#interfaceIndex = interfaceIndex;
  }

  /** A request has begun and is not complete. */
  get partial(): boolean {
    return !this.#ended && (this.#tail !== '' || this.#lines.length > 0);
  }

  push(chunk: Uint8Array): void {
    if (this.#ended) return;
    // A broken UTF-8 sequence becomes U+FFFD, which no field takes.
    const parts = (this.#tail + new TextDecoder().decode(chunk)).split('\n');
    this.#tail = parts.pop() ?? '';
    for (const line of parts) this.#waiting.push(line);
  }

  /** The next complete request, or undefined until more bytes come. */
  next(): Request | undefined {
    while (!this.#ended) {
      const line = this.#waiting[this.#at];
      if (line === undefined) {
        this.#waiting = [];
        this.#at = 0;
        return this.#tooLong(this.#tail)
          ? this.#end(ERRNO.tooBig, 'a line is too long')
          : undefined;
      }
      this.#at++;
      const request = this.#take(line);
      if (request !== undefined) return request;
    }
    return undefined;
  }

  #take(line: string): Request | undefined {
    if (this.#tooLong(line)) return this.#end(ERRNO.tooBig, 'a line is too long');
    const first = this.#lines[0] ?? line;
    if (first !== 'get=1' && first !== 'set=1' && first !== 'get=status')
      return this.#end(ERRNO.protocol, 'a request begins with get=1 or set=1');
    this.#bytes += line.length + 1;
    if (this.#bytes > MAX_REQUEST_BYTES)
      return this.#end(ERRNO.tooBig, `a request is at most ${MAX_REQUEST_BYTES} bytes`);
    if (line !== '') {
      this.#lines.push(line);
      return undefined;
    }
    const fields = this.#lines.slice(1);
    this.#lines = [];
    this.#bytes = 0;
    if (first === 'set=1') return parseSet(fields, this.#interfaceIndex);
    if (fields.length > 0) return refused(ERRNO.invalid, `${first} is followed by an empty line`);
    return first === 'get=1' ? { type: 'get' } : { type: 'get status' };
  }

  #tooLong(line: string): boolean {
    return line.length > MAX_LINE_BYTES;
  }

  #end(errno: number, reason: string): Refusal {
    this.#ended = true;
    this.#waiting = [];
    this.#lines = [];
    return { type: 'refused', errno, reason, close: true };
  }
}

type Draft<T> = { -readonly [K in keyof T]: T[K] };
type InterfaceDraft = Draft<Omit<InterfaceChange, 'peers'>> & { peers: PeerDraft[] };
type PeerDraft = Draft<Omit<PeerChange, 'allowedIps'>> & {
  allowedIps: { prefix: Prefix; remove: boolean }[];
};

/** The change that the lines between `set=1` and the empty line ask for. */
export function parseSet(
  lines: readonly string[],
  interfaceIndex: InterfaceIndex,
): Extract<Request, { type: 'set' | 'refused' }> {
  const change: InterfaceDraft = { peers: [] };
  for (const line of lines) {
    const equals = line.indexOf('=');
    if (equals < 0) return refused(ERRNO.protocol, 'a line is not key=value');
    const key = line.slice(0, equals);
    const value = line.slice(equals + 1);
    const peer = change.peers.at(-1);
    const wanted =
      key === 'public_key'
        ? startPeer(change, value)
        : peer === undefined
          ? setInterfaceField(change, key, value)
          : setPeerField(peer, key, value, interfaceIndex);
    if (wanted !== undefined) return refused(ERRNO.invalid, `${key}: wanted ${wanted}`);
  }
  return { type: 'set', change };
}

const KEY_WANTED = `${KEY_BYTES * 2} hexadecimal digits`;

// Each of the three returns what was wanted where the value is not that.

function startPeer(change: InterfaceDraft, value: string): string | undefined {
  const key = fromHex(value, KEY_BYTES);
  if (key === undefined) return KEY_WANTED;
  change.peers.push({ publicKey: nodePublic(key), allowedIps: [] });
  return undefined;
}

function setInterfaceField(change: InterfaceDraft, key: string, value: string): string | undefined {
  switch (key) {
    case 'private_key': {
      const bytes = fromHex(value, KEY_BYTES);
      if (bytes === undefined) return KEY_WANTED;
      change.privateKey = isZero(bytes) ? null : new NodePrivate(bytes);
      bytes.fill(0);
      return undefined;
    }
    case 'listen_port': {
      const port = parseCount(value, 0xffff);
      if (port === undefined) return 'a number from 0 to 65535';
      change.listenPort = port;
      return undefined;
    }
    case 'fwmark': {
      const mark = parseCount(value, 0xffff_ffff);
      if (mark === undefined) return 'a number from 0 to 4294967295';
      change.fwmark = mark;
      return undefined;
    }
    case 'replace_peers':
      if (value !== 'true') return 'true';
      change.replacePeers = true;
      return undefined;
    default:
      return 'a key of the interface, or public_key first';
  }
}

function setPeerField(
  peer: PeerDraft,
  key: string,
  value: string,
  interfaceIndex: InterfaceIndex,
): string | undefined {
  switch (key) {
    case 'remove':
    case 'update_only':
    case 'replace_allowed_ips':
      if (value !== 'true') return 'true';
      if (key === 'remove') peer.remove = true;
      else if (key === 'update_only') peer.updateOnly = true;
      else peer.replaceAllowedIps = true;
      return undefined;
    case 'preshared_key': {
      const bytes = fromHex(value, KEY_BYTES);
      if (bytes === undefined) return KEY_WANTED;
      peer.presharedKey = isZero(bytes) ? null : new PresharedKey(bytes);
      bytes.fill(0);
      return undefined;
    }
    case 'endpoint': {
      const endpoint = parseScopedEndpoint(value, interfaceIndex);
      if (endpoint === undefined) return 'address:port or [IPv6 address]:port';
      peer.endpoint = endpoint;
      return undefined;
    }
    case 'persistent_keepalive_interval': {
      const interval = parseCount(value, 0xffff);
      if (interval === undefined) return 'a number from 0 to 65535';
      peer.persistentKeepaliveSeconds = interval;
      return undefined;
    }
    case 'allowed_ip': {
      const remove = value.startsWith('-');
      const prefix = parsePrefix(remove ? value.slice(1) : value);
      if (prefix === undefined) return 'address/bits, with - before it to take it away';
      peer.allowedIps.push({ prefix, remove });
      return undefined;
    }
    case 'protocol_version':
      return value === '1' ? undefined : '1';
    default:
      return 'a key of a peer';
  }
}

/** An endpoint whose scope may be an interface name, as getnameinfo(3) writes it for wg(8). */
function parseScopedEndpoint(text: string, interfaceIndex: InterfaceIndex): Endpoint | undefined {
  const named = /^(\[[^\]%]+%)([^\]]*[^\d\]][^\]]*)(\]:\d+)$/.exec(text);
  if (named === null) return parseEndpoint(text);
  const index = interfaceIndex(named[2] as string);
  return index === undefined ? undefined : parseEndpoint(`${named[1]}${index}${named[3]}`);
}

/** A decimal number of at most `most`. */
function parseCount(text: string, most: number): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= most ? Number(text) : undefined;
}

function refused(errno: number, reason: string): Refusal {
  return { type: 'refused', errno, reason, close: false };
}

/** `change` without a peer that is the interface itself: wg(8) users paste one list into every host. */
export function withoutPeer(change: InterfaceChange, own: NodePublic): InterfaceChange {
  const peers = change.peers.filter((peer) => !equalBytes(peer.publicKey, own));
  return peers.length === change.peers.length ? change : { ...change, peers };
}
