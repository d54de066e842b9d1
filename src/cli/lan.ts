/**
 * `postern lan`: devices of the LAN that get an address and a name of their own in the network.
 *
 *     add ──> known ──share──> shared: the server gives it an address for ever ──unshare──> known ──remove──> gone
 */

import { Command, Option } from 'commander';
import type { LanDeviceReport, LanMode } from '../protocol/localapi/node-reports.ts';
import { columns, harmless, yesNo } from './columns.ts';
import type { NodeTerminal } from './node-verb.ts';
import { tellNode, wholeNumber, withJson } from './node-verb.ts';

interface AddFlags {
  readonly mode?: LanMode;
  readonly sshPort?: number;
}

export function lanCommand(terminal: NodeTerminal): Command {
  const { out, err } = terminal;
  const lan = withJson(new Command('lan').description('devices of the LAN as part of the network'));
  lan
    .command('list')
    .description('which there are')
    .action((_flags: object, command: Command) =>
      tellNode(terminal, command, 'lan.list', {}, ({ devices }) => out(devicesText(devices))),
    );
  lan
    .command('add')
    .description('note a device; share it afterwards')
    .argument('<name>', 'one word: cam')
    .argument('<address>', 'its address in the LAN')
    .addOption(
      new Option(
        '--mode <mode>',
        'packets as they are, or SSH ended here (default: route)',
      ).choices(['route', 'gateway']),
    )
    .option(
      '--ssh-port <number>',
      'where its SSH server listens (default: 22)',
      wholeNumber(1, 65_535),
    )
    .action((name: string, address: string, flags: AddFlags, command: Command) => {
      const { mode, sshPort } = flags;
      const request = { name, address, ...(mode && { mode }), ...(sshPort && { sshPort }) };
      return tellNode(terminal, command, 'lan.add', request, ({ device }) =>
        err(`${device.name} is ${device.address}; share it: postern lan share ${device.name}\n`),
      );
    });
  lan
    .command('share')
    .description('give a device an address and a name in the network')
    .argument('<name>')
    .action((name: string, _flags: object, command: Command) =>
      tellNode(terminal, command, 'lan.share', { name }, ({ device }) => err(sharedText(device))),
    );
  lan
    .command('unshare')
    .description('take a device out of the network; its address stays its own')
    .argument('<name>')
    .action((name: string, _flags: object, command: Command) =>
      tellNode(terminal, command, 'lan.unshare', { name }, ({ device }) =>
        err(`${device.name} is not shared any more\n`),
      ),
    );
  lan
    .command('remove')
    .description('forget a device')
    .argument('<name>')
    .action((name: string, _flags: object, command: Command) =>
      tellNode(terminal, command, 'lan.remove', { name }, ({ deleted }) =>
        err(`${deleted} is forgotten\n`),
      ),
    );
  return lan;
}

function sharedText({ name, fqdn, meshAddress }: LanDeviceReport): string {
  if (meshAddress === null)
    return `${name} is shared as soon as the server has an address for it\n`;
  return harmless(`${fqdn ?? name} is ${meshAddress} now`).concat('\n');
}

const devicesText = (devices: readonly LanDeviceReport[]): string =>
  columns([
    ['NAME', 'ADDRESS', 'IN THE NETWORK', 'FULL NAME', 'MODE', 'SSH', 'SHARED'],
    ...devices.map(({ name, address, meshAddress, fqdn, mode, sshPort, shared }) => [
      name,
      address,
      meshAddress ?? '-',
      fqdn ?? '-',
      mode,
      String(sshPort),
      yesNo(shared),
    ]),
  ]);
