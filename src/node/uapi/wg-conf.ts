/**
 * wg.conf: the file of wg(8) and wg-quick(8).
 *
 *     [Interface]   PrivateKey ListenPort FwMark              wg
 *                   Address MTU Table                         wg-quick, honoured (routes.ts)
 *                   DNS PreUp PostUp PreDown PostDown SaveConfig    wg-quick, named as not honoured
 *     [Peer]        PublicKey PresharedKey Endpoint AllowedIPs PersistentKeepalive
 *
 * Names know no case, `#` begins a comment anywhere, lists are separated by commas. The file is the whole
 * truth, as with `wg setconf`: what it does not name is removed. Hooks are shell lines, and there is no
 * shell here: they are listed for the caller to say so, never run.
 *
 * Errors name the line, the key, what was found and what was wanted; a secret's value is not shown.
 *
 * Source: wg(8) CONFIGURATION FILE FORMAT, wg-quick(8) CONFIGURATION.
 */

import { fromBase64, isZero } from '../../base/bytes.ts';
import type { Endpoint } from '../../base/endpoint.ts';
import { parseEndpoint } from '../../base/endpoint.ts';
import { ConfigError } from '../../base/errors.ts';
import { parseIp } from '../../base/ip.ts';
import type { NodePublic } from '../../base/keys.ts';
import { KEY_BYTES, keyText, NodePrivate, nodePublic, PresharedKey } from '../../base/keys.ts';
import type { Prefix } from '../../base/prefix.ts';
import { parsePrefix } from '../../base/prefix.ts';
import type { InterfaceChange, PeerChange } from '../tunnel/configuration.ts';

/** The smallest MTU that carries IPv6 is 1280; IPv4 alone does with 576. */
const MTU_LEAST = 576;
const MTU_MOST = 65_535;

export interface WgConf {
  readonly change: InterfaceChange;
  /** Addresses for the interface, host bits kept. */
  readonly addresses: readonly InterfaceAddress[];
  readonly mtuBytes: number | undefined;
  readonly table: RouteTable;
  /** Endpoints given by host name: to be resolved, then set. */
  readonly unresolved: readonly UnresolvedEndpoint[];
  /** Keys of wg-quick that nothing here acts on. */
  readonly ignored: readonly { readonly line: number; readonly key: string }[];
}

/** Where routes for allowed IPs go: the main table, nowhere, or a table by number. */
export type RouteTable = 'auto' | 'off' | number;

export interface InterfaceAddress {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly bits: number;
}

export interface UnresolvedEndpoint {
  readonly publicKey: NodePublic;
  readonly host: string;
  readonly port: number;
}

type Draft<T> = { -readonly [K in keyof T]: T[K] };

interface PeerDraft {
  readonly line: number;
  publicKey?: NodePublic;
  presharedKey: PresharedKey | null;
  endpoint?: Endpoint | { host: string; port: number };
  keepaliveSeconds: number;
  readonly prefixes: Prefix[];
}

interface FileDraft {
  readonly change: Draft<Omit<InterfaceChange, 'peers'>>;
  readonly peers: PeerDraft[];
  readonly addresses: InterfaceAddress[];
  readonly ignored: { line: number; key: string }[];
  mtuBytes: number | undefined;
  table: RouteTable;
}

/** One `key = value`, with what an error must name. */
interface Entry {
  readonly file: string;
  readonly line: number;
  readonly key: string;
  readonly value: string;
}

/**
 * Reads a whole file.
 *
 * @param file its name, for errors
 * @throws ConfigError
 */
export function parseWgConf(text: string, file: string): WgConf {
  const draft: FileDraft = {
    change: { privateKey: null, listenPort: 0, fwmark: 0, replacePeers: true },
    peers: [],
    addresses: [],
    ignored: [],
    mtuBytes: undefined,
    table: 'auto',
  };
  let section: 'none' | 'interface' | 'peer' = 'none';
  for (const [i, raw] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const content = (raw.split('#', 1)[0] as string).trim();
    const line = i + 1;
    if (content === '') continue;
    if (/^\[\s*interface\s*\]$/i.test(content)) section = 'interface';
    else if (/^\[\s*peer\s*\]$/i.test(content)) {
      section = 'peer';
      draft.peers.push({ line, presharedKey: null, keepaliveSeconds: 0, prefixes: [] });
    } else {
      const entry = entryOf(content, file, line);
      const peer = draft.peers.at(-1);
      if (section === 'interface') readInterfaceEntry(draft, entry);
      else if (section === 'peer' && peer !== undefined) readPeerEntry(peer, entry);
      else
        throw new ConfigError(`${file}:${line}: ${entry.key} stands before [Interface] or [Peer]`);
    }
  }
  return finish(draft, file);
}

function entryOf(content: string, file: string, line: number): Entry {
  const equals = content.indexOf('=');
  // The text itself is not repeated: it may be a key with its name forgotten.
  if (equals <= 0)
    throw new ConfigError(`${file}:${line}: wanted [Interface], [Peer] or Key = value`);
  return {
    file,
    line,
    key: content.slice(0, equals).trim(),
    value: content.slice(equals + 1).trim(),
  };
}

function readInterfaceEntry(draft: FileDraft, entry: Entry): void {
  switch (entry.key.toLowerCase()) {
    case 'privatekey': {
      const bytes = keyBytes(entry);
      draft.change.privateKey = isZero(bytes) ? null : new NodePrivate(bytes);
      bytes.fill(0);
      return;
    }
    case 'listenport':
      draft.change.listenPort = count(entry, entry.value, 0, 65_535);
      return;
    case 'fwmark':
      draft.change.fwmark = fwmark(entry);
      return;
    case 'address':
      for (const item of items(entry)) draft.addresses.push(interfaceAddress(entry, item));
      return;
    case 'mtu':
      draft.mtuBytes = count(entry, entry.value, MTU_LEAST, MTU_MOST);
      return;
    case 'table':
      draft.table = routeTable(entry);
      return;
    case 'dns':
    case 'preup':
    case 'postup':
    case 'predown':
    case 'postdown':
    case 'saveconfig':
      draft.ignored.push({ line: entry.line, key: entry.key });
      return;
    default:
      throw unknownKey(entry, '[Interface]');
  }
}

function readPeerEntry(peer: PeerDraft, entry: Entry): void {
  switch (entry.key.toLowerCase()) {
    case 'publickey':
      peer.publicKey = nodePublic(keyBytes(entry));
      return;
    case 'presharedkey': {
      const bytes = keyBytes(entry);
      peer.presharedKey = isZero(bytes) ? null : new PresharedKey(bytes);
      bytes.fill(0);
      return;
    }
    case 'endpoint':
      peer.endpoint = endpoint(entry);
      return;
    case 'persistentkeepalive':
      peer.keepaliveSeconds =
        entry.value.toLowerCase() === 'off' ? 0 : count(entry, entry.value, 0, 65_535);
      return;
    case 'allowedips':
      for (const item of items(entry)) {
        const prefix = parsePrefix(item);
        if (prefix === undefined) throw wrong(entry, item, 'addresses with bits, as 10.0.0.0/8');
        peer.prefixes.push(prefix);
      }
      return;
    default:
      throw unknownKey(entry, '[Peer]');
  }
}

function finish(draft: FileDraft, file: string): WgConf {
  const unresolved: UnresolvedEndpoint[] = [];
  const seen = new Map<string, number>();
  const peers = draft.peers.map((peer): PeerChange => {
    const { publicKey, endpoint } = peer;
    if (publicKey === undefined)
      throw new ConfigError(`${file}:${peer.line}: this [Peer] has no PublicKey`);
    const before = seen.get(keyText(publicKey));
    if (before !== undefined)
      throw new ConfigError(
        `${file}:${peer.line}: this [Peer] has the PublicKey of the one in line ${before}; join the two`,
      );
    seen.set(keyText(publicKey), peer.line);
    if (endpoint !== undefined && 'host' in endpoint) unresolved.push({ publicKey, ...endpoint });
    return {
      publicKey,
      presharedKey: peer.presharedKey,
      ...(endpoint !== undefined && 'address' in endpoint ? { endpoint } : {}),
      persistentKeepaliveSeconds: peer.keepaliveSeconds,
      replaceAllowedIps: true,
      allowedIps: peer.prefixes.map((prefix) => ({ prefix, remove: false })),
    };
  });
  return {
    change: { ...draft.change, peers },
    addresses: draft.addresses,
    mtuBytes: draft.mtuBytes,
    table: draft.table,
    unresolved,
    ignored: draft.ignored,
  };
}

function keyBytes(entry: Entry): Uint8Array {
  const bytes = fromBase64(entry.value, KEY_BYTES);
  if (bytes !== undefined) return bytes;
  const { file, line, key, value } = entry;
  throw new ConfigError(
    `${file}:${line}: ${key}: wanted 44 characters of base64 (wg genkey makes one), found ${value.length} characters that are no key`,
  );
}

function items({ value }: Entry): string[] {
  return value === '' ? [] : value.split(',').map((item) => item.trim());
}

function count(entry: Entry, text: string, least: number, most: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw wrong(entry, text, `a number from ${least} to ${most}`);
}

function fwmark(entry: Entry): number {
  const { value } = entry;
  if (value.toLowerCase() === 'off') return 0;
  if (/^0x[0-9a-f]{1,8}$/i.test(value)) return Number(value);
  return count(entry, value, 0, 0xffff_ffff);
}

function routeTable(entry: Entry): RouteTable {
  const value = entry.value.toLowerCase();
  if (value === 'auto' || value === 'off') return value;
  return value === 'main' ? 'auto' : count(entry, value, 1, 0xffff_ffff);
}

function interfaceAddress(entry: Entry, text: string): InterfaceAddress {
  const address = parseIp(text.split('/', 1)[0] as string);
  const prefix = parsePrefix(text);
  if (address === undefined || prefix === undefined)
    throw wrong(entry, text, 'addresses with bits, as 10.0.0.2/24');
  return { address, bits: prefix.bits };
}

/** `host:port` where the host is an address or a name (RFC 1123 letters, an underscore allowed). */
function endpoint(entry: Entry): Endpoint | { host: string; port: number } {
  const known = parseEndpoint(entry.value);
  if (known !== undefined) return known;
  const match = /^([a-z0-9_]([a-z0-9_.-]{0,252}))\.?:(\d{1,5})$/i.exec(entry.value);
  const host = match?.[1];
  const port = Number(match?.[3]);
  // Digits and points alone are an address that went wrong, not a name.
  if (host === undefined || /^[\d.]+$/.test(host) || port === 0 || port > 65_535)
    throw wrong(entry, entry.value, 'host:port, address:port or [IPv6 address]:port');
  return { host, port };
}

function wrong({ file, line, key }: Entry, found: string, wanted: string): ConfigError {
  return new ConfigError(`${file}:${line}: ${key}: wanted ${wanted}, found '${found}'`);
}

function unknownKey({ file, line, key }: Entry, section: string): ConfigError {
  return new ConfigError(
    `${file}:${line}: ${key} is no key of ${section}; correct or remove the line`,
  );
}
