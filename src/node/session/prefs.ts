/**
 * What a person has set, kept on disk: `postern up` and `postern set` write it.
 *
 * Readers take what is well from any version of the document and the default for the rest; a checked edit refuses
 * what could not work, and says what would.
 */

import { ConfigError } from '../../base/errors.ts';
import { formatPrefix, parsePrefix } from '../../base/prefix.ts';

export interface Prefs {
  /** `https://control.example.com`; empty: none yet. */
  readonly controlUrl: string;
  /** What the board calls itself; empty: as the system does. */
  readonly hostname: string;
  readonly wantRunning: boolean;
  readonly loggedOut: boolean;
  readonly advertiseRoutes: readonly string[];
  readonly advertiseExitNode: boolean;
  readonly advertiseTags: readonly string[];
  readonly acceptRoutes: boolean;
  readonly acceptDns: boolean;
  /** A peer by name, address or StableID; empty: none. */
  readonly exitNode: string;
  readonly exitNodeAllowLanAccess: boolean;
  readonly shieldsUp: boolean;
  readonly snatSubnetRoutes: boolean;
  /** Of the advertised routes, those whose hosts see the mesh addresses of who comes. */
  readonly snatExcept: readonly string[];
  /** 0: never. */
  readonly keyRotationSeconds: number;
  readonly ephemeral: boolean;
  readonly ssh: boolean;
}

export const PREFS_VERSION = 1;

const DAY_SECONDS = 86_400;
const MIN_ROTATION_SECONDS = 30;
const MAX_ROUTES = 1024;

export const DEFAULT_PREFS: Prefs = {
  controlUrl: '',
  hostname: '',
  wantRunning: false,
  loggedOut: false,
  advertiseRoutes: [],
  advertiseExitNode: false,
  advertiseTags: [],
  acceptRoutes: false,
  acceptDns: true,
  exitNode: '',
  exitNodeAllowLanAccess: true,
  shieldsUp: false,
  snatSubnetRoutes: true,
  snatExcept: [],
  keyRotationSeconds: 90 * DAY_SECONDS,
  ephemeral: false,
  ssh: false,
};

/** Of a document on disk. @throws Error where it is none */
export function readPrefs(body: unknown, version: number): Prefs {
  if (version > PREFS_VERSION) throw new Error(`its version ${version} is newer than this program`);
  if (typeof body !== 'object' || body === null) throw new Error('it holds no settings');
  const found = Object.entries(DEFAULT_PREFS).map(([name, usual]) => {
    const value = (body as Record<string, unknown>)[name];
    return [name, isLike(value, usual) ? value : usual];
  });
  return Object.fromEntries(found) as Prefs;
}

function isLike(value: unknown, usual: unknown): boolean {
  if (!Array.isArray(usual)) return typeof value === typeof usual;
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

/** @throws ConfigError naming the setting and what it may be */
export function editedPrefs(before: Prefs, change: Partial<Prefs>): Prefs {
  const prefs = { ...before, ...change };
  if (prefs.controlUrl !== '') controlUrlOf(prefs.controlUrl);
  if (prefs.advertiseRoutes.length > MAX_ROUTES)
    throw new ConfigError(`advertise-routes: at most ${MAX_ROUTES} routes`);
  const advertiseRoutes = prefs.advertiseRoutes.map((text) => {
    const prefix = parsePrefix(text);
    if (prefix === undefined)
      throw new ConfigError(
        `advertise-routes: ${JSON.stringify(text)} is no prefix as 192.168.1.0/24`,
      );
    if (prefix.bits === 0)
      throw new ConfigError(`advertise-routes: ${text} is all there is; use --advertise-exit-node`);
    return formatPrefix(prefix);
  });
  for (const tag of prefs.advertiseTags)
    if (!/^tag:[A-Za-z][A-Za-z0-9-]*$/.test(tag))
      throw new ConfigError(`advertise-tags: ${JSON.stringify(tag)} is no tag as tag:server`);
  const rotation = prefs.keyRotationSeconds;
  if (
    !Number.isFinite(rotation) ||
    rotation < 0 ||
    (rotation > 0 && rotation < MIN_ROTATION_SECONDS)
  )
    throw new ConfigError(
      `key-rotation: ${rotation} s; it is 0 for never, or ${MIN_ROTATION_SECONDS} s or more`,
    );
  if (prefs.hostname.length > 253)
    throw new ConfigError('hostname: longer than the 253 characters that a name can have');
  return { ...prefs, advertiseRoutes: [...new Set(advertiseRoutes)] };
}

/** @throws ConfigError unless it is http or https */
export function controlUrlOf(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.hostname === '')
    throw new ConfigError(
      `login-server: ${JSON.stringify(text)} is no address as https://control.example.com or http://192.168.1.2:8080`,
    );
  return url;
}
