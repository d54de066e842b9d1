/** `postern debug`: the inside of the node, for whoever searches a fault. What it prints may change. */

import { Command } from 'commander';
import type { DropsReport, PathsReport } from '../protocol/localapi/node-reports.ts';
import { columns, count, harmless, relative, yesNo } from './columns.ts';
import type { NodeTerminal } from './node-verb.ts';
import { asJson, tellNode, withJson } from './node-verb.ts';

export function debugCommand(terminal: NodeTerminal): Command {
  const { out } = terminal;
  const debug = withJson(new Command('debug').description('the inside of the node'));
  debug
    .command('netmap')
    .description('the map of the network as it is now, JSON')
    .action((_flags: object, command: Command) =>
      tellNode(terminal, command, 'debug.netmap', {}, ({ netmap }) => out(asJson(netmap))),
    );
  debug
    .command('drops')
    .description('packets that were dropped, by reason, and some of the last ones')
    .action((_flags: object, command: Command) =>
      tellNode(terminal, command, 'debug.drops', {}, (report, now) => out(dropsText(report, now))),
    );
  debug
    .command('paths')
    .description('what is known of the ways to each peer')
    .action((_flags: object, command: Command) =>
      tellNode(terminal, command, 'debug.paths', {}, (report, now) => out(pathsText(report, now))),
    );
  debug
    .command('metrics')
    .description("its numbers, in Prometheus' text format")
    .action((_flags: object, command: Command) =>
      tellNode(terminal, command, 'debug.metrics', {}, ({ text }) => out(text)),
    );
  return debug;
}

function dropsText({ drops, samples }: DropsReport, now: number): string {
  const rows = Object.entries(drops)
    .filter(([, packets]) => packets > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, packets]) => [count(packets), reason]);
  if (rows.length === 0) return 'nothing was dropped\n';
  const table = columns([['PACKETS', 'REASON'], ...rows]);
  if (samples.length === 0) return table;
  return `${table}\n${columns([
    ['WHEN', 'REASON', 'PEER', 'PACKET'],
    ...samples.map(({ at, reason, peer, packet }) => [
      relative(at, now, '-'),
      reason,
      short(peer ?? '-'),
      packet,
    ]),
  ])}`;
}

function pathsText({ peers, own }: PathsReport, now: number): string {
  const parts = peers.map(
    ({ peer, name, state, candidates }) =>
      `${harmless(name)} (${short(peer)}): ${harmless(state)}\n${columns([
        ['  ENDPOINT', 'FROM', 'RTT', 'ANSWERED', 'TRUSTED'],
        ...candidates.map(({ endpoint, source, latencyMillis, lastPong, trusted }) => [
          `  ${endpoint}`,
          source,
          latencyMillis === null ? '-' : `${latencyMillis.toFixed(1)} ms`,
          relative(lastPong, now, 'never'),
          yesNo(trusted),
        ]),
      ])}`,
  );
  const ours = columns([
    ['OWN ENDPOINT', 'FROM'],
    ...own.map(({ endpoint, source }) => [endpoint, source]),
  ]);
  return [ours, ...parts].join('\n');
}

/** Enough of a key to tell it from others. */
const short = (key: string): string => key.slice(0, 'nodekey:'.length + 8);
