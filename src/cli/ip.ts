/**
 * `postern ip [PEER]`: addresses of this machine, or of another, one a line.
 *
 *     exit 0   printed, or --assert holds
 *          1   there is no such peer or no such address, or --assert does not hold
 */

import { Command } from 'commander';
import { ConfigError } from '../base/errors.ts';
import { formatIp, parseIp } from '../base/ip.ts';
import type { IpReport } from '../protocol/localapi/node-reports.ts';
import type { NodeTerminal } from './node-verb.ts';
import { asJson, isJson, nodeSocketOf, withJson } from './node-verb.ts';

interface Flags {
  readonly '1'?: boolean;
  readonly '4'?: boolean;
  readonly '6'?: boolean;
  readonly assert?: string;
}

export function ipCommand(terminal: NodeTerminal): Command {
  return withJson(new Command('ip'))
    .description('addresses of this machine, or of another')
    .argument('[peer]', 'name or address (default: this machine)')
    .option('-1, --1', 'one address alone')
    .option('-4, --4', 'IPv4 alone')
    .option('-6, --6', 'IPv6 alone')
    .option('--assert <address>', 'print nothing, and fail where it has another address')
    .action(async (peer: string | undefined, flags: Flags, command: Command) => {
      if ([flags['1'], flags['4'], flags['6']].filter(Boolean).length > 1)
        return command.error('error: -1, -4 and -6 exclude each other', { exitCode: 2 });
      const report = await terminal.ask(nodeSocketOf(command), 'ip', peer ? { peer } : {});
      const addresses = chosen(report, flags);
      if (flags.assert !== undefined) return assertHas(report, flags.assert);
      if (addresses.length === 0) throw new ConfigError(await whyNone(terminal, command, report));
      if (isJson(command)) return terminal.out(asJson({ ...report, addresses }));
      return terminal.out(addresses.map((address) => `${address}\n`).join(''));
    });
}

function chosen({ addresses }: IpReport, flags: Flags): readonly string[] {
  if (flags['1']) return addresses.slice(0, 1);
  if (flags['4']) return addresses.filter((address) => !address.includes(':'));
  if (flags['6']) return addresses.filter((address) => address.includes(':'));
  return addresses;
}

function assertHas({ addresses }: IpReport, wanted: string): void {
  const bytes = parseIp(wanted);
  if (bytes !== undefined && addresses.includes(formatIp(bytes))) return;
  throw new ConfigError(`wanted ${wanted}, found ${addresses.join(', ') || 'no address'}`);
}

async function whyNone(
  { ask }: NodeTerminal,
  command: Command,
  { addresses, name, self }: IpReport,
): Promise<string> {
  if (addresses.length > 0)
    return `${name || 'it'} has no such address, but ${addresses.join(', ')}`;
  if (!self) return `${name} has no address`;
  const { BackendState } = await ask(nodeSocketOf(command), 'status', {});
  return `this machine has no address yet (${BackendState}); join a network: postern up`;
}
