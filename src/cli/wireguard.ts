/**
 * `postern wireguard INTERFACE`: a plain WireGuard interface, configured through wg(8) or a wg.conf.
 *
 * Called by the name `postern-wireguard` it is what wg-quick(8) expects of a userspace implementation: one
 * word, the interface; it returns when the interface can be configured.
 */

import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { LogLevel } from '../base/log.ts';
import type { Prefix } from '../base/prefix.ts';
import { parsePrefix } from '../base/prefix.ts';

export type AeadChoice = 'raw' | 'evp' | 'node';

export interface WireguardOptions {
  /** 1 to 15 of the characters wg-quick allows. */
  readonly name: string;
  /** False: a child of its own session does the work, and the caller ends when that is ready. */
  readonly foreground: boolean;
  /** Absolute path of a wg.conf. */
  readonly config: string | undefined;
  readonly mtuBytes: number | undefined;
  /** Undefined: the fastest that passes its known-answer test. */
  readonly aead: AeadChoice | undefined;
  /** TSO and USO on the TUN device. */
  readonly offload: boolean;
  /** GSO and GRO on the UDP sockets. */
  readonly gso: boolean;
  readonly activePeers: number | undefined;
  /** A power of two. */
  readonly flows: number | undefined;
  /** What the machine forwards to from the tunnel; empty: nothing, and none of its switches is touched. */
  readonly routeLan: readonly Prefix[];
  readonly logLevel: LogLevel | 'silent' | undefined;
}

export const LOG_LEVELS: readonly (LogLevel | 'silent')[] = [
  'debug',
  'info',
  'warn',
  'error',
  'silent',
];

/** What commander collects, by the flags' names. */
interface Flags {
  readonly foreground?: boolean;
  readonly config?: string;
  readonly mtu?: number;
  readonly aead?: AeadChoice;
  readonly offload: boolean;
  readonly gso: boolean;
  readonly activePeers?: number;
  readonly flows?: number;
  readonly routeLan?: readonly Prefix[];
  readonly logLevel?: LogLevel | 'silent';
}

export function wireguardCommand(run: (options: WireguardOptions) => Promise<void>): Command {
  return new Command('wireguard')
    .description('bring up a WireGuard interface; wg(8) and wg-quick(8) configure it')
    .argument('<interface>', 'name of the interface, for instance wg0', interfaceName)
    .option('-f, --foreground', 'stay, and log to standard output')
    .option('--config <file>', 'apply this wg.conf', (file) => resolve(file))
    .option(
      '--route-lan <cidr,…>',
      'let peers reach these networks behind this machine, under its own address there',
      prefixList,
    )
    .option(
      '--mtu <bytes>',
      'MTU of the interface (default: of the file, else 1420)',
      number(576, 65_535),
    )
    .addOption(
      new Option(
        '--aead <name>',
        'sealing by raw OpenSSL in batches or one by one, its EVP interface, or node:crypto',
      ).choices(['batch', 'raw', 'evp', 'node']),
    )
    .option('--no-offload', 'no segmentation offload on the TUN device')
    .option('--no-gso', 'no segmentation offload on the UDP sockets')
    .option('--active-peers <count>', 'peers that may hold keys at once', number(1, 65_536))
    .option('--flows <count>', 'flows remembered by the filter, a power of two', powerOfTwo)
    .addOption(new Option('--log-level <level>', 'least level that is logged').choices(LOG_LEVELS))
    .action(async (name: string, flags: Flags) =>
      run({
        name,
        foreground: flags.foreground ?? false,
        config: flags.config,
        mtuBytes: flags.mtu,
        aead: flags.aead,
        offload: flags.offload,
        gso: flags.gso,
        activePeers: flags.activePeers,
        flows: flags.flows,
        routeLan: flags.routeLan ?? [],
        logLevel: flags.logLevel,
      }),
    );
}

/** The characters that wg-quick allows; they make neither a path nor a flag. */
function interfaceName(text: string): string {
  if (/^[a-zA-Z0-9_=+.-]{1,15}$/.test(text) && !/^(-|\.{1,2}$)/.test(text)) return text;
  throw new InvalidArgumentError('Wanted 1 to 15 letters, digits or _ = + . -');
}

function prefixList(text: string): readonly Prefix[] {
  return text.split(',').map((part) => {
    const prefix = parsePrefix(part.trim());
    if (prefix !== undefined) return prefix;
    throw new InvalidArgumentError(`Wanted networks as 192.168.8.0/24, found '${part}'.`);
  });
}

function number(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Wanted a number from ${least} to ${most}.`);
  };
}

function powerOfTwo(text: string): number {
  const value = number(64, 2 ** 24)(text);
  if ((value & (value - 1)) === 0) return value;
  throw new InvalidArgumentError('Wanted a power of two.');
}
