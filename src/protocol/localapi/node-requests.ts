/**
 * What may be asked on `node.sock`: the fields of each action, and their shapes. What a name means is decided
 * where it is used; here are kinds and bounds.
 *
 *     peer       name, full name, host name, address, stable id, `nodekey:…`; or an address behind a peer
 *     prefix     without host bits: 192.168.8.0/24
 */

import { parseEndpoint } from '../../base/endpoint.ts';
import { parseIp } from '../../base/ip.ts';
import { formatPrefix, parsePrefix } from '../../base/prefix.ts';
import type { Shape } from '../tailcfg/shape.ts';
import { bool, list, maybe, object, oneOf, text, whole } from '../tailcfg/shape.ts';
import { parseDuration } from './control-durations.ts';
import type { LanMode } from './node-reports.ts';
import type { NodeAction } from './node-rights.ts';

type Nothing = Readonly<Record<never, never>>;

/** What is absent stays as it is. NodeSettings (node-status.ts) says what each means. */
export interface SettingsRequest {
  readonly hostname?: string;
  readonly acceptDns?: boolean;
  readonly acceptRoutes?: boolean;
  readonly advertiseRoutes?: readonly string[];
  readonly advertiseExitNode?: boolean;
  readonly advertiseTags?: readonly string[];
  /** A peer, or empty for none. */
  readonly exitNode?: string;
  readonly exitNodeAllowLanAccess?: boolean;
  readonly shieldsUp?: boolean;
  readonly snatSubnetRoutes?: boolean;
  readonly snatExcept?: readonly string[];
  /** A duration like 90d, or `never`. */
  readonly keyRotation?: string;
}

export interface LoginRequest {
  readonly loginServer?: string;
  readonly authKey?: string;
}

export interface UpRequest extends SettingsRequest, LoginRequest {
  /** A new login even where the old one is good. */
  readonly forceReauth?: boolean;
  /** What is absent becomes what it was in the beginning. */
  readonly reset?: boolean;
}

/** disco: between the two nodes; TSMP: through the tunnel; ICMP: through the tunnel to the peer's own stack. */
export type PingType = 'disco' | 'TSMP' | 'ICMP';

export interface PingRequest {
  readonly peer: string;
  readonly type: PingType;
  /** Of the disco message; 0: the smallest. */
  readonly sizeBytes?: number;
  readonly timeoutMillis?: number;
}

export interface LanAddRequest {
  readonly name: string;
  readonly address: string;
  readonly mode?: LanMode;
  readonly sshPort?: number;
}

export interface NodeRequests extends Readonly<Record<NodeAction, object>> {
  readonly status: Nothing;
  readonly watch: Nothing;
  readonly ip: { readonly peer?: string };
  readonly ping: PingRequest;
  /** An address, or one with a port. */
  readonly whois: { readonly address: string };
  readonly netcheck: Nothing;
  readonly 'dns.status': Nothing;
  readonly 'dns.query': { readonly name: string; readonly type?: string };
  readonly version: Nothing;
  readonly up: UpRequest;
  readonly down: Nothing;
  readonly set: SettingsRequest;
  readonly login: LoginRequest;
  readonly logout: Nothing;
  readonly 'debug.netmap': Nothing;
  readonly 'debug.drops': Nothing;
  readonly 'debug.paths': Nothing;
  readonly 'debug.metrics': Nothing;
  readonly bugreport: { readonly note?: string };
  readonly 'lan.list': Nothing;
  readonly 'lan.add': LanAddRequest;
  readonly 'lan.remove': { readonly name: string };
  readonly 'lan.share': { readonly name: string };
  readonly 'lan.unshare': { readonly name: string };
  readonly 'key.rotate': Nothing;
}

export const DNS_TYPES: readonly string[] = [
  'A',
  'AAAA',
  'CNAME',
  'MX',
  'NS',
  'PTR',
  'SOA',
  'SRV',
  'TXT',
];

export const MAX_ROUTES = 512;
/** A disco message with more would not fit a path that carries anything else. */
export const MAX_PING_BYTES = 9000;
const MAX_PING_MILLIS = 60_000;
/** A key that is changed more often than this is never old enough to have been told to everybody. */
export const LEAST_KEY_ROTATION_SECONDS = 60;

/** Undefined where the text has host bits, or is no prefix. */
export const isPrefix = (value: string): boolean => {
  const prefix = parsePrefix(value);
  return prefix !== undefined && formatPrefix(prefix) === value;
};

/** Seconds; 0 for `never` and `0`; undefined where it is no time a key may live. */
export function keyRotationSeconds(value: string): number | undefined {
  if (value === 'never' || value === '0') return 0;
  const seconds = Math.floor((parseDuration(value) ?? 0) / 1000);
  return seconds >= LEAST_KEY_ROTATION_SECONDS ? seconds : undefined;
}

export const isAddress = (value: string): boolean =>
  parseIp(value) !== undefined || parseEndpoint(value) !== undefined;

const name = text(256, 'a text', (value) => value.trim() !== '');
/** One label of a name. */
const label = text(63, 'letters, digits and - between them,', (value) =>
  /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i.test(value),
);
const url = text(1024, 'a URL like https://mesh.example.org', isServerUrl);
const prefix = text(64, 'a prefix without host bits', isPrefix);
const tag = text(64, 'a tag like tag:server', (value) => /^tag:[a-z][a-z0-9-]*$/i.test(value));
const nothing: Shape<Nothing> = object<Nothing>({});
const named: Shape<{ readonly name: string }> = object<{ readonly name: string }>({ name: label });

const SETTINGS = {
  hostname: maybe(text(253)),
  acceptDns: maybe(bool),
  acceptRoutes: maybe(bool),
  advertiseRoutes: maybe(list(prefix, MAX_ROUTES)),
  advertiseExitNode: maybe(bool),
  advertiseTags: maybe(list(tag, 64)),
  exitNode: maybe(text(256)),
  exitNodeAllowLanAccess: maybe(bool),
  shieldsUp: maybe(bool),
  snatSubnetRoutes: maybe(bool),
  snatExcept: maybe(list(prefix, MAX_ROUTES)),
  keyRotation: maybe(
    text(
      16,
      'a time of at least 1m, or never,',
      (value) => keyRotationSeconds(value) !== undefined,
    ),
  ),
};
const LOGIN = { loginServer: maybe(url), authKey: maybe(text(1024)) };

export const NODE_REQUESTS: { readonly [A in NodeAction]: Shape<NodeRequests[A]> } = {
  status: nothing,
  watch: nothing,
  ip: object<NodeRequests['ip']>({ peer: maybe(name) }),
  ping: object<PingRequest>({
    peer: name,
    type: oneOf<PingType>('disco', 'TSMP', 'ICMP'),
    sizeBytes: maybe(whole(0, MAX_PING_BYTES)),
    timeoutMillis: maybe(whole(1, MAX_PING_MILLIS)),
  }),
  whois: object<NodeRequests['whois']>({
    address: text(64, 'an address, or address:port,', isAddress),
  }),
  netcheck: nothing,
  'dns.status': nothing,
  'dns.query': object<NodeRequests['dns.query']>({
    name: text(255, 'a name', (value) => value !== ''),
    type: maybe(oneOf(...DNS_TYPES)),
  }),
  version: nothing,
  up: object<UpRequest>({
    ...SETTINGS,
    ...LOGIN,
    forceReauth: maybe(bool),
    reset: maybe(bool),
  }),
  down: nothing,
  set: object<SettingsRequest>(SETTINGS),
  login: object<LoginRequest>(LOGIN),
  logout: nothing,
  'debug.netmap': nothing,
  'debug.drops': nothing,
  'debug.paths': nothing,
  'debug.metrics': nothing,
  bugreport: object<NodeRequests['bugreport']>({ note: maybe(text(1024)) }),
  'lan.list': nothing,
  'lan.add': object<LanAddRequest>({
    name: label,
    address: text(64, 'an address', (value) => parseIp(value) !== undefined),
    mode: maybe(oneOf<LanMode>('route', 'gateway')),
    sshPort: maybe(whole(1, 65_535)),
  }),
  'lan.remove': named,
  'lan.share': named,
  'lan.unshare': named,
  'key.rotate': nothing,
};

/** The protocol's own paths follow it, so it has none itself. */
export function isServerUrl(value: string): boolean {
  const parsed = URL.canParse(value) ? new URL(value) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) return false;
  const { pathname, search, hash, username, password } = parsed;
  return pathname === '/' && `${search}${hash}${username}${password}` === '';
}
