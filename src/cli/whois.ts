/** `postern whois ADDRESS[:PORT]`: the machine and the user behind an address of the network. */

import { Command, Option } from 'commander';
import type { WhoisReport } from '../protocol/localapi/node-reports.ts';
import { facts, list } from './columns.ts';
import type { NodeTerminal } from './node-verb.ts';
import { tellNode, withJson } from './node-verb.ts';

export function whoisCommand(terminal: NodeTerminal): Command {
  return withJson(new Command('whois'))
    .description('say whose an address is')
    .argument('<address>', 'of the network; a port may stand behind it')
    .addOption(
      new Option('--proto <protocol>', 'of the port; an address has one owner for both').choices([
        'tcp',
        'udp',
      ]),
    )
    .action((address: string, _flags: object, command: Command) =>
      tellNode(terminal, command, 'whois', { address }, (report) =>
        terminal.out(whoisText(report)),
      ),
    );
}

function whoisText({ Node, UserProfile, CapMap, Device }: WhoisReport): string {
  const { Tags = [], AllowedIPs, Addresses } = Node;
  const user = facts([
    ['name', UserProfile.LoginName],
    ['called', UserProfile.DisplayName],
    ['id', String(UserProfile.ID)],
  ]);
  const device = Device === undefined ? '' : `${Device.name} (${Device.address})`;
  return [
    'machine\n',
    facts([
      ['name', Node.Name.replace(/\.$/, '')],
      ['id', Node.StableID],
      ['addresses', list(Addresses)],
      [
        'leads to',
        list(
          AllowedIPs.filter((prefix) => !Addresses.includes(prefix)),
          '',
        ),
      ],
      ['LAN device', device],
      ['tags', list(Tags, '')],
    ]),
    // What has tags belongs to nobody.
    ...(Tags.length > 0 ? [] : ['user\n', user]),
    ...(Object.keys(CapMap).length === 0 ? [] : ['capabilities\n', capabilities(CapMap)]),
  ].join('');
}

const capabilities = (map: WhoisReport['CapMap']): string =>
  facts(Object.entries(map).map(([name, value]) => ['', `${name}: ${JSON.stringify(value)}`]));
