/**
 * `postern control`: the coordination server. Every setting can be a flag, a variable of the environment, or
 * a line of a file; the first of these that names it wins (control/settings/settings.ts).
 *
 *     --check    reads everything and says what would be done, then exit 0, or 1 with what is wrong
 */

import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import type { LogLevel } from '../base/log.ts';
import { LOG_LEVELS } from './wireguard.ts';

export interface ControlOptions {
  /** What flags say, by the setting's name: `listen`, `tls-cert`. */
  readonly flags: Readonly<Record<string, readonly string[] | undefined>>;
  /** Absolute path of a settings file; undefined: none, or the default one where it exists. */
  readonly config: string | undefined;
  readonly check: boolean;
  /** What to do about a database that is missing or damaged. */
  readonly store: 'restore' | 'new' | undefined;
  readonly logLevel: LogLevel | 'silent' | undefined;
}

interface Flags {
  readonly url?: string;
  readonly listen?: readonly string[];
  readonly stun?: readonly string[];
  readonly state?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly socket?: string;
  readonly relay: boolean;
  readonly derpMap?: readonly string[];
  readonly metrics?: string;
  readonly ephemeralAfter?: string;
  readonly config?: string;
  readonly check?: boolean;
  readonly store?: 'restore' | 'new';
  readonly logLevel?: LogLevel | 'silent';
}

const PRECEDENCE = `
Each setting may also stand in the environment, as POSTERN_CONTROL_LISTEN for --listen (lists apart by
spaces; the state folder is POSTERN_STATE), or in the settings file as "listen" ("tlsCert" for --tls-cert).
A flag wins over the environment, the environment over the file.`;

export function controlCommand(run: (options: ControlOptions) => Promise<void>): Command {
  return new Command('control')
    .description('run the coordination server that Tailscale clients join')
    .option(
      '--url <url>',
      'where clients find it: http://192.168.1.2:8080, https://mesh.example.org',
    )
    .option(
      '--listen <address...>',
      'ADDR:PORT, TLS or not by the first byte (default: port of the URL)',
    )
    .option('--stun <address...>', 'ADDR:PORT for STUN, or off (default: every address, port 3478)')
    .option('--state <folder>', 'where it keeps everything (default: /var/lib/postern)', absolute)
    .option(
      '--tls-cert <file>',
      'certificate with its chain, PEM; read again when it changes',
      absolute,
    )
    .option('--tls-key <file>', 'its key, PEM', absolute)
    .option('--socket <path>', 'for the other verbs (default: /run/postern/control.sock)', absolute)
    .option('--no-relay', 'leave the own relay out of the map')
    .option('--derp-map <source...>', 'more relays: files or URLs of DERP maps')
    .option('--metrics <address>', '/health and /metrics, or off (default: 127.0.0.1:9580)')
    .option(
      '--ephemeral-after <time>',
      'delete ephemeral nodes that are away this long (default: 5m)',
    )
    .option('--config <file>', 'settings file, JSON (default: /etc/postern/control.json)', absolute)
    .option('--check', 'read all settings, say what is wrong, and end')
    .addOption(
      new Option('--store <word>', 'after the database was lost or damaged').choices([
        'restore',
        'new',
      ]),
    )
    .addOption(new Option('--log-level <level>', 'least level that is logged').choices(LOG_LEVELS))
    .addHelpText('after', PRECEDENCE)
    .action(async (flags: Flags, command: Command) =>
      run({
        flags: {
          url: single(flags.url),
          listen: flags.listen,
          stun: flags.stun,
          state: single(flags.state),
          'tls-cert': single(flags.tlsCert),
          'tls-key': single(flags.tlsKey),
          // It may stand before the verb.
          socket: single(command.optsWithGlobals<Flags>().socket),
          relay: flags.relay ? undefined : ['off'],
          'derp-map': flags.derpMap,
          metrics: single(flags.metrics),
          'ephemeral-after': single(flags.ephemeralAfter),
        },
        config: flags.config,
        check: flags.check ?? false,
        store: flags.store,
        logLevel: flags.logLevel,
      }),
    );
}

const absolute = (path: string): string => resolve(path);
const single = (text: string | undefined): readonly string[] | undefined =>
  text === undefined ? undefined : [text];
