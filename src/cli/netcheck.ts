/** `postern netcheck`: what the network around this machine lets through, and how far the relays are. */

import { Command, Option } from 'commander';
import type { NetcheckReport } from '../protocol/localapi/node-reports.ts';
import { facts } from './columns.ts';
import type { NodeTerminal } from './node-verb.ts';
import { asJson, isJson, nodeSocketOf, withJson } from './node-verb.ts';

const NANOS_PER_MILLI = 1e6;

/** Nothing has answered, so nothing is known of either family. */
const UNKNOWN = 'unknown; it would be asked by UDP';

type Format = 'json' | 'json-line' | '';

export function netcheckCommand({ ask, out }: NodeTerminal): Command {
  return withJson(new Command('netcheck'))
    .description('say what the network around this machine lets through')
    .addOption(
      new Option('--format <form>', 'json or json-line').choices(['json', 'json-line', '']),
    )
    .action(async ({ format }: { format?: Format }, command: Command) => {
      const report = await ask(nodeSocketOf(command), 'netcheck', {});
      if (format === 'json-line') out(`${JSON.stringify(report)}\n`);
      else if (format === 'json' || isJson(command)) out(asJson(report));
      else out(netcheckText(report));
    });
}

function netcheckText(report: NetcheckReport): string {
  const { Regions, PreferredDERP, RegionLatency, PortMapping } = report;
  const name = (region: string): string => Regions[region]?.Name ?? `region ${region}`;
  const relays = Object.entries(RegionLatency)
    .sort(([, a], [, b]) => a - b)
    .map(
      ([region, nanos], i) =>
        [
          i === 0 ? 'relays' : '',
          `${(nanos / NANOS_PER_MILLI).toFixed(1)} ms  ${Regions[region]?.Code ?? region} (${name(region)})`,
        ] as const,
    );
  return facts([
    ['UDP', report.UDP ? 'yes' : 'blocked; everything goes by relay'],
    ['IPv4', ipv4Text(report)],
    ['IPv6', ipv6Text(report)],
    ['NAT', natText(report.MappingVariesByDestIP)],
    ['mapping', mappingText(report, PortMapping)],
    ['portal', report.CaptivePortal ? 'a page wants a login before anything else passes' : ''],
    ['home relay', PreferredDERP === 0 ? 'none answered' : name(String(PreferredDERP))],
    ...relays,
  ]);
}

function ipv4Text({ IPv4, GlobalV4, UDP }: NetcheckReport): string {
  if (IPv4) return `yes, ${GlobalV4}`;
  return UDP ? 'no address found' : UNKNOWN;
}

function ipv6Text({ IPv6, GlobalV6, OSHasIPv6, UDP }: NetcheckReport): string {
  if (IPv6) return `yes, ${GlobalV6}`;
  if (!OSHasIPv6) return 'no, and this machine has none';
  return UDP ? 'no, but this machine could' : UNKNOWN;
}

function natText(varies: boolean | null): string {
  if (varies === null) return 'unknown; fewer than two servers answered';
  return varies ? 'hard: another port for each peer' : 'easy: one port for all peers';
}

function mappingText({ UPnP, PMP, PCP }: NetcheckReport, open: string): string {
  const kinds = [UPnP && 'UPnP', PMP && 'NAT-PMP', PCP && 'PCP'].filter(Boolean).join(', ');
  if (kinds === '')
    return [UPnP, PMP, PCP].every((one) => one === null) ? 'not looked for' : 'none';
  return open === '' ? kinds : `${kinds}: ${open}`;
}
