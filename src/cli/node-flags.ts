/** Settings of the node as flags, for `up` and `set`: what is not named stays as it is. */

import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { ConfigError } from '../base/errors.ts';
import { formatPrefix, parsePrefix } from '../base/prefix.ts';
import type { SettingsRequest } from '../protocol/localapi/node-requests.ts';
import { isPrefix, isServerUrl, keyRotationSeconds } from '../protocol/localapi/node-requests.ts';

/** By the names that commander makes of the flags. */
export type SettingsFlags = SettingsRequest;

const FILE = 'file:';

export const withSettings = (command: Command): Command =>
  command
    .option('--hostname <name>', "name to ask for (empty: the machine's own)")
    .option('--accept-dns', 'look names up as the network says')
    .option('--no-accept-dns', "leave this machine's resolver alone")
    .option('--accept-routes', 'use the routes that others offer')
    .option('--no-accept-routes', 'reach their own addresses alone')
    .option(
      '--advertise-routes <list>',
      'LANs to offer: 192.168.8.0/24,10.0.0.0/8 or none',
      prefixes,
    )
    .option('--advertise-exit-node', 'offer to carry traffic into the Internet')
    .option('--no-advertise-exit-node', 'do not')
    .option('--advertise-tags <list>', 'tags to ask for: tag:server,tag:cam or none', tags)
    .option('--exit-node <peer>', 'carry traffic into the Internet by this one (empty: by none)')
    .option('--exit-node-allow-lan-access', 'with an exit node, still reach the LAN directly')
    .option('--no-exit-node-allow-lan-access', 'with an exit node, LANs go there too')
    .option('--shields-up', 'let nobody in')
    .option('--no-shields-up', 'let in whom the policy allows')
    .option('--snat-subnet-routes', "hosts of offered LANs see this machine's address")
    .option('--no-snat-subnet-routes', 'they see who really asks, and need a route back')
    .option('--snat-except <list>', 'offered LANs that see who really asks, or none', prefixes)
    .option('--key-rotation <time>', 'change the node key this often: 90d, or never', rotation);

/** Only what was named. */
export function settingsOf(flags: SettingsFlags): SettingsRequest {
  const names = [
    'hostname',
    'acceptDns',
    'acceptRoutes',
    'advertiseRoutes',
    'advertiseExitNode',
    'advertiseTags',
    'exitNode',
    'exitNodeAllowLanAccess',
    'shieldsUp',
    'snatSubnetRoutes',
    'snatExcept',
    'keyRotation',
  ] as const satisfies readonly (keyof SettingsRequest)[];
  return Object.fromEntries(
    names.filter((name) => flags[name] !== undefined).map((name) => [name, flags[name]]),
  );
}

export function serverUrl(text: string): string {
  if (isServerUrl(text)) return text.replace(/\/$/, '');
  throw new InvalidArgumentError('Wanted a URL like https://mesh.example.org.');
}

/**
 * The key itself, or that of `file:PATH`, which the person who asks must be able to read: the node, which may
 * read everything, is not sent for it.
 *
 * @throws ConfigError where the file cannot be read, or is empty
 */
export function authKeyOf(text: string): string {
  if (!text.startsWith(FILE)) return text;
  const path = text.slice(FILE.length);
  let key: string;
  try {
    key = readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new ConfigError(`--auth-key: cannot read ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (key === '') throw new ConfigError(`--auth-key: ${path} is empty`);
  return key;
}

const partsOf = (text: string): readonly string[] =>
  text === '' || text === 'none' ? [] : text.split(',').map((part) => part.trim());

function prefixes(text: string): readonly string[] {
  for (const part of partsOf(text)) {
    if (isPrefix(part)) continue;
    const prefix = parsePrefix(part);
    throw new InvalidArgumentError(
      prefix === undefined || !part.includes('/')
        ? `Wanted prefixes like 192.168.8.0/24, found '${part}'.`
        : `'${part}' has host bits; wanted ${formatPrefix(prefix)}.`,
    );
  }
  return partsOf(text);
}

function tags(text: string): readonly string[] {
  return partsOf(text).map((part) => {
    const tag = part.startsWith('tag:') ? part : `tag:${part}`;
    if (/^tag:[a-z][a-z0-9-]*$/i.test(tag)) return tag;
    throw new InvalidArgumentError(`Wanted tags like tag:server, found '${part}'.`);
  });
}

function rotation(text: string): string {
  if (keyRotationSeconds(text) !== undefined) return text;
  throw new InvalidArgumentError('Wanted a time of at least 1m, like 90d, or never.');
}
