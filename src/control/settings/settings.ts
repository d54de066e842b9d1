/**
 * Settings of `postern control`, from three places. The first that names one wins:
 *
 *     flag            --stun 192.0.2.1:3478
 *     environment     POSTERN_CONTROL_STUN='192.0.2.1:3478 [2001:db8::1]:3478'
 *     file            { "stun": ["192.0.2.1:3478", "[2001:db8::1]:3478"] }
 *     default         every address, port 3478
 *
 * A list is taken whole from one place. What may change while the network runs (names, resolvers, users) is
 * no setting: it is in the registry, and `postern dns set` and the like change it.
 */

import { parseEndpoint } from '../../base/endpoint.ts';
import { ConfigError } from '../../base/errors.ts';
import { formatIp, IPV4_BYTES, parseIp } from '../../base/ip.ts';
import type { ListenAddress } from '../relay/commands.ts';
import type { ControlUrl } from './control-url.ts';
import { parseControlUrl } from './control-url.ts';

export interface ControlSettings {
  /** Where clients find this server; scheme, host and port alone. */
  readonly url: ControlUrl;
  readonly stateFolder: string;
  readonly listen: readonly ListenAddress[];
  /** Empty: no STUN. */
  readonly stun: readonly ListenAddress[];
  /** Files, PEM. Without them the relay shows a certificate of its own. */
  readonly tls: { readonly certificate: string; readonly key: string } | undefined;
  /** Path of the socket for `postern` verbs. */
  readonly socket: string;
  /** Whether the map has the embedded relay. */
  readonly relay: boolean;
  /** Files and URLs with other relays, in the form that stock servers take. */
  readonly derpMaps: readonly string[];
  /** Where /health and /metrics are; undefined: nowhere. */
  readonly metrics: ListenAddress | undefined;
  /** An ephemeral node that is away for longer is deleted. */
  readonly ephemeralMillis: number;
  /** Whose a LAN device is, by `lan:<name>`. */
  readonly lanOwners: Readonly<Record<string, readonly string[]>>;
  /** Logins of the users of this machine, by uid: what they may ask of the socket is their role's. */
  readonly logins: ReadonlyMap<number, string>;
}

/** Values as texts, by setting; several words of a list apart. */
export type Texts = Readonly<Record<string, readonly string[] | undefined>>;

export interface SettingsSources {
  readonly flags: Texts;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file: { readonly path: string; readonly text: string } | undefined;
}

/** A setting's texts, and where they stand, for the error. */
interface Found {
  readonly texts: readonly string[];
  readonly where: string;
}

/** Names as flags have them; in the file in camel case, in the environment in capitals. */
const LISTS = ['listen', 'stun', 'derp-map'] as const;
const SINGLES = [
  'url',
  'state',
  'tls-cert',
  'tls-key',
  'socket',
  'relay',
  'metrics',
  'ephemeral-after',
] as const;
const LAN_OWNERS = 'lanOwners';
const LOGINS = 'logins';

const STUN_PORT = 3478;
const METRICS = '127.0.0.1:9580';
const DURATION = /^(\d{1,6})(s|m|h|d)$/;
const UNIT_MILLIS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** @throws ConfigError that names the place, what was wanted and what was found */
export function readSettings(sources: SettingsSources): ControlSettings {
  const file = sources.file === undefined ? {} : fileValues(sources.file.path, sources.file.text);
  const find = (name: (typeof LISTS | typeof SINGLES)[number]): Found | undefined =>
    found(name, sources, file);
  const url = find('url');
  if (url === undefined)
    throw new ConfigError(
      'control: clients must know where this server is; say it: --url http://192.168.1.2:8080',
    );
  const controlUrl = one(url, parseControlUrl);
  const stateFolder = find('state')?.texts[0] ?? '/var/lib/postern';
  const tls = pair(find('tls-cert'), find('tls-key'));
  return {
    url: controlUrl,
    stateFolder,
    listen: somewhere(find('listen'), [{ host: '::', port: controlUrl.port }]),
    stun: addresses(find('stun'), [{ host: '::', port: STUN_PORT }]),
    tls,
    socket: find('socket')?.texts[0] ?? '/run/postern/control.sock',
    relay: one(find('relay') ?? { texts: ['on'], where: '' }, onOrOff),
    derpMaps: find('derp-map')?.texts ?? [],
    metrics: loopback(find('metrics') ?? { texts: [METRICS], where: '' }),
    ephemeralMillis: one(find('ephemeral-after') ?? { texts: ['5m'], where: '' }, duration),
    lanOwners: lanOwnersOf(file[LAN_OWNERS], sources.file?.path ?? ''),
    logins: loginsOf(file[LOGINS], sources.file?.path ?? ''),
  };
}

/** `derp-map` in the environment: POSTERN_CONTROL_DERP_MAP, and POSTERN_STATE, which all verbs share. */
export function environmentName(name: string): string {
  return name === 'state'
    ? 'POSTERN_STATE'
    : `POSTERN_CONTROL_${name.toUpperCase().replaceAll('-', '_')}`;
}

/** `derpMap` in the file. */
export const fileName = (name: string): string =>
  name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

function found(
  name: string,
  { flags, environment, file }: SettingsSources,
  values: Readonly<Record<string, unknown>>,
): Found | undefined {
  const flag = flags[name];
  if (flag !== undefined && flag.length > 0) return { texts: flag, where: `--${name}` };
  const text = environment[environmentName(name)];
  if (text !== undefined && text.trim() !== '') {
    const texts = isList(name) ? text.trim().split(/\s+/) : [text];
    return { texts, where: environmentName(name) };
  }
  const value = values[fileName(name)];
  if (value === undefined) return undefined;
  const where = `${file?.path}: ${fileName(name)}`;
  const texts = isList(name) && Array.isArray(value) ? value : [value];
  if (texts.every((one): one is string => typeof one === 'string' && one !== ''))
    return { texts, where };
  throw new ConfigError(`${where}: wanted ${isList(name) ? 'a list of texts' : 'a text'}`);
}

const isList = (name: string): boolean => (LISTS as readonly string[]).includes(name);

function fileValues(path: string, text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`${path}: wanted JSON: ${(error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError(`${path}: wanted an object`);
  const known = [...LISTS, ...SINGLES].map(fileName).concat(LAN_OWNERS, LOGINS);
  for (const key of Object.keys(value))
    if (!known.includes(key))
      throw new ConfigError(`${path}: '${key}' is no setting; they are ${known.join(', ')}`);
  return value as Record<string, unknown>;
}

function one<T>({ texts, where }: Found, parse: (text: string) => T | string): T {
  const value = parse(texts[0] as string);
  if (typeof value === 'string') throw new ConfigError(`${where}: ${value}, found '${texts[0]}'`);
  return value;
}

function onOrOff(text: string): boolean | string {
  if (text === 'on') return true;
  return text === 'off' ? false : 'wanted on or off';
}

function duration(text: string): number | string {
  const match = DURATION.exec(text);
  if (match === null) return 'wanted a duration like 30s, 5m, 2h or 1d';
  return Number(match[1]) * UNIT_MILLIS[match[2] as keyof typeof UNIT_MILLIS];
}

/** @param otherwise where nothing is said; `off` is an empty list */
function addresses(
  found: Found | undefined,
  otherwise: readonly ListenAddress[],
): readonly ListenAddress[] {
  if (found === undefined) return otherwise;
  if (found.texts.length === 1 && found.texts[0] === 'off') return [];
  return found.texts.map((text) => one({ ...found, texts: [text] }, address));
}

/** A server that listens nowhere is none. */
function somewhere(
  found: Found | undefined,
  otherwise: readonly ListenAddress[],
): readonly ListenAddress[] {
  const list = addresses(found, otherwise);
  if (list.length > 0) return list;
  throw new ConfigError(`${found?.where}: wanted an address and a port, found 'off'`);
}

function address(text: string): ListenAddress | string {
  const endpoint = parseEndpoint(text.startsWith(':') ? `[::]${text}` : text);
  if (endpoint === undefined)
    return 'wanted an address and a port like 192.0.2.1:8080 or [::]:8080';
  return { host: formatIp(endpoint.address), port: endpoint.port };
}

function loopback(found: Found): ListenAddress | undefined {
  const [listen] = addresses(found, []);
  if (listen === undefined) return undefined;
  const bytes = parseIp(listen.host);
  const local =
    bytes?.length === IPV4_BYTES
      ? bytes[0] === 127
      : bytes?.every((byte, i) => byte === (i === 15 ? 1 : 0));
  if (local) return listen;
  throw new ConfigError(`${found.where}: wanted an address of loopback, found '${found.texts[0]}'`);
}

function pair(certificate: Found | undefined, key: Found | undefined): ControlSettings['tls'] {
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate !== undefined && key !== undefined)
    return { certificate: certificate.texts[0] as string, key: key.texts[0] as string };
  const { where } = (certificate ?? key) as Found;
  throw new ConfigError(
    `${where}: a certificate and its key go together: --tls-cert and --tls-key`,
  );
}

function lanOwnersOf(value: unknown, path: string): ControlSettings['lanOwners'] {
  const wanted = `${path}: ${LAN_OWNERS}: wanted { "lan:NAME": ["alice@"] }`;
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError(wanted);
  for (const [name, owners] of Object.entries(value as Record<string, unknown>)) {
    const texts = Array.isArray(owners) && owners.every((owner) => typeof owner === 'string');
    if (!name.startsWith('lan:') || !texts) throw new ConfigError(`${wanted}, found '${name}'`);
  }
  return value as Record<string, readonly string[]>;
}

function loginsOf(value: unknown, path: string): ReadonlyMap<number, string> {
  const logins = new Map<number, string>();
  if (value === undefined) return logins;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError(`${path}: ${LOGINS}: wanted { "1000": "alice" }`);
  for (const [uid, login] of Object.entries(value as Record<string, unknown>)) {
    if (!/^\d{1,10}$/.test(uid) || typeof login !== 'string' || login === '')
      throw new ConfigError(`${path}: ${LOGINS}: wanted { "1000": "alice" }, found '${uid}'`);
    logins.set(Number(uid), login);
  }
  return logins;
}
