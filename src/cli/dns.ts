/**
 * `postern dns`: names of the network, and who answers for the others, by the coordination server; `status` and
 * `query` by the node of this machine (dns-node.ts).
 */

import { Command, InvalidArgumentError } from 'commander';
import type { DnsReport } from '../protocol/localapi/control-reports.ts';
import type { DnsRequest } from '../protocol/localapi/control-requests.ts';
import { columns, facts, list, yesNo } from './columns.ts';
import type { ControlTerminal } from './control-verb.ts';
import { commaList, tell, withSocket } from './control-verb.ts';
import { addNodeDns } from './dns-node.ts';
import type { NodeTerminal } from './node-verb.ts';

type Split = Readonly<Record<string, readonly string[] | null>>;

interface SetFlags {
  readonly base?: string;
  readonly nameservers?: readonly string[];
  readonly split?: Split;
  readonly search?: readonly string[];
  readonly override?: boolean;
}

export function dnsCommand(terminal: ControlTerminal, node: NodeTerminal): Command {
  const { out } = terminal;
  const dns = withSocket(new Command('dns').description('names of the network'));
  dns
    .command('show')
    .description('how names are looked up')
    .action((_flags: object, command: Command) =>
      tell(terminal, command, 'dns.show', {}, ({ dns }) => out(dnsText(dns))),
    );
  dns
    .command('set')
    .description('change how names are looked up; what is not named stays')
    .option('--base <domain>', 'domain that all names are below')
    .option('--nameservers <list>', 'resolvers for other names: 1.1.1.1,9.9.9.9 or none', commaList)
    .option(
      '--split <domain=list>',
      'resolvers for one domain: corp.example=10.0.0.1 or =none; may be repeated',
      split,
    )
    .option('--search <list>', 'more search domains: a.example,b.example or none', commaList)
    .option('--override', 'clients ask our resolvers for everything')
    .option('--no-override', 'clients keep their own resolvers')
    .action((flags: SetFlags, command: Command) =>
      tell(terminal, command, 'dns.set', requestOf(flags), ({ dns }) => out(dnsText(dns))),
    );
  addRecords(dns, terminal);
  addNodeDns(dns, node);
  return dns;
}

function addRecords(dns: Command, terminal: ControlTerminal): void {
  const { err } = terminal;
  const record = dns.command('record').description('names of our own making');
  record
    .command('add')
    .description('give an address a name')
    .argument('<name>', 'full, or one word below the base domain')
    .argument('<address>', 'IPv4 or IPv6')
    .action((name: string, value: string, _flags: object, command: Command) =>
      tell(terminal, command, 'dns.add', { name, value }, ({ record }) =>
        err(`${record.name} is ${record.value}\n`),
      ),
    );
  record
    .command('remove')
    .description('take a name away')
    .argument('<name>', 'full, or one word below the base domain')
    .argument('[address]', 'where the name has several')
    .action((name: string, value: string | undefined, _flags: object, command: Command) =>
      tell(terminal, command, 'dns.remove', { name, ...(value && { value }) }, ({ deleted }) =>
        err(`${deleted.name} is ${deleted.value} no more\n`),
      ),
    );
}

function requestOf({ base, nameservers, split, search, override }: SetFlags): DnsRequest {
  return {
    ...(base !== undefined && { baseDomain: base }),
    ...(nameservers && { nameservers }),
    ...(split && { splitDns: split }),
    ...(search && { searchDomains: search }),
    ...(override !== undefined && { overrideLocalDns: override }),
  };
}

function split(text: string, before: Split = {}): Split {
  const [domain = '', resolvers = ''] = text.split('=', 2);
  if (domain === '' || resolvers === '')
    throw new InvalidArgumentError('Wanted domain=address,address or domain=none.');
  const list = commaList(resolvers);
  return { ...before, [domain.toLowerCase()]: list.length === 0 ? null : list };
}

function dnsText(dns: DnsReport): string {
  const splits = Object.entries(dns.splitDns).map(
    ([domain, resolvers]) => `${domain}: ${list(resolvers)}`,
  );
  const head = facts([
    ['base domain', dns.baseDomain],
    ['resolvers', list(dns.nameservers, "the client's own")],
    ['for all', yesNo(dns.overrideLocalDns)],
    ['split', splits.join('; ')],
    ['search', list([dns.baseDomain, ...dns.searchDomains])],
  ]);
  if (dns.records.length === 0) return head;
  const rows = dns.records.map(({ name, type, value }) => [name, type, value]);
  return `${head}\n${columns([['NAME', 'TYPE', 'ADDRESS'], ...rows])}`;
}
