/** `postern node`: the node itself, a member of a network; it stays in the foreground and logs to standard output. */

import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { LogLevel } from '../base/log.ts';
import { nodeSocketOf, wholeNumber, withNodeSocket } from './node-verb.ts';
import { LOG_LEVELS } from './wireguard.ts';

export interface NodeOptions {
  /** Absolute; undefined: the program's default. */
  readonly stateFolder: string | undefined;
  /** Absolute. */
  readonly socket: string;
  /** 1 to 15 characters. */
  readonly tun: string;
  /** 0: the kernel chooses. */
  readonly port: number;
  /** ADDR:PORT, or off. */
  readonly metrics: string;
  readonly logLevel: LogLevel | 'silent' | undefined;
}

interface Flags {
  readonly state?: string;
  readonly tun: string;
  readonly port: number;
  readonly metrics: string;
  readonly logLevel?: LogLevel | 'silent';
}

export function nodeCommand(run: (options: NodeOptions) => Promise<void>): Command {
  return withNodeSocket(new Command('node'))
    .description('run the node of this machine; it joins a network by: postern up')
    .option('--state <folder>', 'where it keeps its keys (default: /var/lib/postern)', (path) =>
      resolve(path),
    )
    .option('--tun <name>', 'name of its network device', deviceName, 'postern0')
    .option('--port <number>', 'UDP port, 0 for any', wholeNumber(0, 65_535), 41_641)
    .option('--metrics <address>', '/health and /metrics at ADDR:PORT, or off', 'off')
    .addOption(new Option('--log-level <level>', 'least level that is logged').choices(LOG_LEVELS))
    .action(({ state, tun, port, metrics, logLevel }: Flags, command: Command) =>
      run({ stateFolder: state, socket: nodeSocketOf(command), tun, port, metrics, logLevel }),
    );
}

/** What the kernel takes, less what makes a path or a flag. */
function deviceName(text: string): string {
  if (/^[a-zA-Z0-9_=+.-]{1,15}$/.test(text) && !/^(-|\.{1,2}$)/.test(text)) return text;
  throw new InvalidArgumentError('Wanted 1 to 15 letters, digits or _ = + . -');
}
