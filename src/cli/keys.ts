/** `postern keys`: pre-auth keys, which let a machine join without a person. */

import { Command, InvalidArgumentError } from 'commander';
import { DURATION_FORM, parseDuration } from '../protocol/localapi/control-durations.ts';
import type { KeyReport } from '../protocol/localapi/control-reports.ts';
import { columns, list, relative } from './columns.ts';
import type { ControlTerminal } from './control-verb.ts';
import { confirmed, tagList, tell, withSocket } from './control-verb.ts';

interface CreateFlags {
  readonly user?: string;
  readonly tags?: readonly string[];
  readonly reusable?: boolean;
  readonly ephemeral?: boolean;
  readonly expiry?: string;
}

export function keysCommand(terminal: ControlTerminal): Command {
  const { out, err } = terminal;
  const keys = withSocket(new Command('keys').description('keys by which machines join'));
  keys
    .command('list')
    .description('which keys there are, and whether they still let anybody in')
    .action((_flags: object, command: Command) =>
      tell(terminal, command, 'keys.list', {}, ({ keys }, now) => out(keysText(keys, now))),
    );
  keys
    .command('create')
    .description('make a key and print it, this once')
    .option('--user <user>', 'whose the machines will be: login or id')
    .option('--tags <tags>', 'tags that own the machines instead: tag:a,tag:b', tagList)
    .option('--reusable', 'for more than one machine')
    .option('--ephemeral', 'machines are forgotten soon after they are gone')
    .option('--expiry <duration>', 'how long it works: 30m, 1h, 90d or never (default: 1h)', expiry)
    .action((flags: CreateFlags, command: Command) => {
      const { user, tags, reusable, ephemeral, expiry } = flags;
      const request = {
        ...(user && { user }),
        ...(tags && { tags }),
        ...(reusable && { reusable }),
        ...(ephemeral && { ephemeral }),
        ...(expiry && { expiry }),
      };
      return tell(terminal, command, 'keys.create', request, ({ token, key }, now) => {
        out(`${token}\n`);
        err(`${keyText(key, now)}\n`);
      });
    });
  keys
    .command('revoke')
    .description('let nobody in by this key any more')
    .argument('<key>', 'id, or what the key begins with')
    .action((key: string, _flags: object, command: Command) =>
      tell(terminal, command, 'keys.revoke', { key }, ({ key }) =>
        err(`revoked key ${key.id} (${key.prefix})\n`),
      ),
    );
  keys
    .command('delete')
    .description('forget a key')
    .argument('<key>', 'id, or what the key begins with')
    .option('--yes', 'do not ask')
    .action(async (key: string, _flags: object, command: Command) => {
      if (!(await confirmed(terminal, command, `Delete key ${key}?`))) return;
      await tell(terminal, command, 'keys.delete', { key }, ({ deleted }) =>
        err(`deleted key ${deleted}\n`),
      );
    });
  return keys;
}

function expiry(text: string): string {
  if (text === 'never' || parseDuration(text) !== undefined) return text;
  throw new InvalidArgumentError(`Wanted ${DURATION_FORM}, or never.`);
}

const kindOf = ({ reusable, ephemeral }: KeyReport): string =>
  [reusable ? 'reusable' : 'once', ...(ephemeral ? ['ephemeral'] : [])].join(', ');

const ownerOf = ({ user, tags }: KeyReport): string => user ?? list(tags);

const keyText = (key: KeyReport, now: number): string =>
  `key ${key.id} for ${ownerOf(key)}: ${kindOf(key)}, expires ${relative(key.expires, now, 'never')}`;

const keysText = (keys: readonly KeyReport[], now: number): string =>
  columns([
    ['ID', 'BEGINS', 'FOR', 'KIND', 'USES', 'EXPIRES', 'STATE'],
    ...keys.map((key) => [
      String(key.id),
      `pkey-${key.prefix}`,
      ownerOf(key),
      kindOf(key),
      String(key.uses),
      relative(key.expires, now, 'never'),
      key.fault ?? 'good',
    ]),
  ]);
