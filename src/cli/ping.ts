/**
 * `postern ping PEER`: whether a peer is there, and which way it is reached.
 *
 *     exit 0   a pong came, by a direct path where that was waited for
 *          1   no pong, or none by a direct path
 *
 * By default it ends with the first pong of a direct path, and after 10 pings at the latest. Through the tunnel
 * (--tsmp, --icmp) one pong is all there is to know. `--json`: an object a line, for each pong.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { Command } from 'commander';
import { NetError } from '../base/errors.ts';
import type { PingReport } from '../protocol/localapi/node-reports.ts';
import type { PingRequest, PingType } from '../protocol/localapi/node-requests.ts';
import { MAX_PING_BYTES } from '../protocol/localapi/node-requests.ts';
import { harmless } from './columns.ts';
import type { NodeTerminal } from './node-verb.ts';
import { isJson, nodeSocketOf, time, wholeNumber, withJson } from './node-verb.ts';

interface Flags {
  readonly c: number;
  readonly untilDirect: boolean;
  readonly tsmp?: boolean;
  readonly icmp?: boolean;
  readonly timeout: number;
  readonly interval: number;
  readonly size: number;
  readonly verbose?: boolean;
}

interface Seen {
  pongs: number;
  direct: boolean;
}

export function pingCommand(terminal: NodeTerminal): Command {
  return withJson(new Command('ping'))
    .description('say whether a peer is there, and which way it is reached')
    .argument('<peer>', 'name or address; or an address behind a peer')
    .option('-c, --c <count>', 'pings at most, 0 for no end', wholeNumber(0, 1_000_000), 10)
    .option('--until-direct', 'end with the first pong of a direct path', true)
    .option('--no-until-direct', 'go on')
    .option('--tsmp', 'through the tunnel, to the peer itself')
    .option('--icmp', "through the tunnel, to the peer's system")
    .option('--timeout <time>', 'how long to wait for each', time, 5000)
    .option('--interval <time>', 'how long to wait between them', time, 1000)
    .option('--size <bytes>', 'of the message; 0: the smallest', wholeNumber(0, MAX_PING_BYTES), 0)
    .option('--verbose', 'say more')
    .action(async (peer: string, flags: Flags, command: Command) => {
      const type: PingType = flags.tsmp ? 'TSMP' : flags.icmp ? 'ICMP' : 'disco';
      const { size: sizeBytes, timeout } = flags;
      // None at all would be over before it began.
      const request = { peer, type, sizeBytes, timeoutMillis: Math.max(1, timeout) };
      if (flags.verbose) await sayWho(terminal, command, peer);
      await pingAll(terminal, command, flags, request);
    });
}

async function pingAll(
  terminal: NodeTerminal,
  command: Command,
  flags: Flags,
  request: PingRequest,
): Promise<void> {
  const seen: Seen = { pongs: 0, direct: false };
  const tunnel = request.type !== 'disco';
  for (let n = 1; ; n++) {
    const report = await pingOnce(terminal, command, request);
    if (report?.IsLocalIP) return terminal.err(`${harmless(report.Err)}\n`);
    if (report !== undefined && report.Err === '') {
      seen.pongs++;
      seen.direct ||= report.Endpoint !== '';
      if (tunnel || (seen.direct && flags.untilDirect)) return;
    }
    if (n === flags.c) break;
    await pause(flags.interval);
  }
  if (seen.pongs === 0) throw new NetError(`no answer from ${request.peer}`);
  if (flags.untilDirect && !tunnel)
    throw new NetError(
      `${request.peer} answers, but no direct path was found; see: postern netcheck`,
    );
}

async function pingOnce(
  { ask, out, err }: NodeTerminal,
  command: Command,
  request: PingRequest,
): Promise<PingReport | undefined> {
  let report: PingReport;
  try {
    report = await ask(nodeSocketOf(command), 'ping', request);
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    err(`${harmless(error.message)}\n`);
    return undefined;
  }
  if (isJson(command)) out(`${JSON.stringify(report)}\n`);
  else if (report.Err === '') out(`${pongText(report, request.type)}\n`);
  else if (!report.IsLocalIP) err(`${harmless(report.Err)}\n`);
  return report;
}

function pongText(report: PingReport, type: PingType): string {
  const { NodeName, NodeIP, Endpoint, PeerRelay, DERPRegionID, DERPRegionCode } = report;
  let via = Endpoint || type;
  if (PeerRelay !== '') via = `peer-relay(${PeerRelay})`;
  else if (DERPRegionID !== 0) via = `DERP(${DERPRegionCode})`;
  const millis = report.LatencySeconds * 1000;
  const latency = millis < 10 ? millis.toFixed(1) : Math.round(millis);
  return harmless(`pong from ${NodeName} (${NodeIP}) via ${via} in ${latency}ms`);
}

async function sayWho({ ask, err }: NodeTerminal, command: Command, peer: string): Promise<void> {
  const { name, addresses } = await ask(nodeSocketOf(command), 'ip', { peer });
  err(`${peer} is ${harmless(name)} (${addresses.join(', ')})\n`);
}
