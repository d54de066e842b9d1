/** `postern dns status | query`: names as this machine sees them, by the node; beside what dns.ts sets for all. */

import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { DnsQueryReport, DnsStatusReport } from '../protocol/localapi/node-reports.ts';
import { DNS_TYPES } from '../protocol/localapi/node-requests.ts';
import { columns, facts, list, yesNo } from './columns.ts';
import type { NodeTerminal } from './node-verb.ts';
import { asJson, isJson, nodeSocketOf, tellNode, withNodeSocket } from './node-verb.ts';
import { UNWELL } from './status.ts';

export function addNodeDns(dns: Command, terminal: NodeTerminal): void {
  const { ask, out, exit } = terminal;
  withNodeSocket(dns.command('status'))
    .description('how this machine looks names up')
    .option('--all', 'all records too')
    .action(({ all }: { all?: boolean }, command: Command) =>
      tellNode(terminal, command, 'dns.status', {}, (report) =>
        out(dnsStatusText(report, all === true)),
      ),
    );
  withNodeSocket(dns.command('query'))
    .description('look a name up as this machine does; exit code 3 where it does not exist')
    .argument('<name>')
    .argument('[type]', `one of ${DNS_TYPES.join(', ')}`, recordType, 'A')
    .action(async (name: string, type: string, _flags: object, command: Command) => {
      const report = await ask(nodeSocketOf(command), 'dns.query', { name, type });
      out(isJson(command) ? asJson(report) : dnsQueryText(report));
      if (report.ResponseCode !== 'RCodeSuccess') exit(UNWELL);
    });
}

function recordType(text: string): string {
  const type = text.toUpperCase();
  if (DNS_TYPES.includes(type)) return type;
  throw new InvalidArgumentError(`Wanted one of ${DNS_TYPES.join(', ')}.`);
}

function dnsStatusText(report: DnsStatusReport, all: boolean): string {
  const { CurrentTailnet: network, SystemDNS, SystemDNSError, ExtraRecords } = report;
  const addresses = (resolvers: DnsStatusReport['Resolvers']): string =>
    list(resolvers.map(({ Addr }) => Addr));
  const splits = Object.entries(report.SplitDNSRoutes).map(
    ([suffix, resolvers], i) =>
      [i === 0 ? 'split' : '', `${suffix}: ${addresses(resolvers)}`] as const,
  );
  const system = SystemDNS === null ? (SystemDNSError ?? 'unknown') : list(SystemDNS.Nameservers);
  const head = facts([
    [
      'we answer',
      report.TailscaleDNS ? `yes, by ${report.Manager}` : 'no; postern set --accept-dns',
    ],
    ['MagicDNS', network === null ? 'no network' : yesNo(network.MagicDNSEnabled)],
    ['our name', network?.SelfDNSName.replace(/\.$/, '') ?? ''],
    ['search', list(report.SearchDomains)],
    ['resolvers', report.Resolvers.length === 0 ? "the system's" : addresses(report.Resolvers)],
    ...splits,
    ['the system', system],
  ]);
  if (!all || ExtraRecords.length === 0) return head;
  const rows = ExtraRecords.map(({ Name, Type, Value }) => [
    Name,
    Type ?? (Value.includes(':') ? 'AAAA' : 'A'),
    Value,
  ]);
  return `${head}\n${columns([['NAME', 'TYPE', 'VALUE'], ...rows])}`;
}

function dnsQueryText({ Resolvers, ResponseCode, Answers }: DnsQueryReport): string {
  const from = list(
    Resolvers.map(({ Addr }) => Addr),
    'the network itself',
  );
  const head = facts([
    ['answer', ResponseCode.replace(/^RCode/, '')],
    ['from', from],
  ]);
  if (Answers.length === 0) return `${head}\nno records\n`;
  const rows = Answers.map(({ Name, TTL, Class, Type, Body }) => [
    Name,
    String(TTL),
    Class.replace(/^Class/, ''),
    Type.replace(/^Type/, ''),
    Body,
  ]);
  return `${head}\n${columns([['NAME', 'TTL', 'CLASS', 'TYPE', 'VALUE'], ...rows])}`;
}
