/**
 * `postern status`: how the node of this machine is; where none runs, or with an INTERFACE named, how the plain
 * WireGuard interfaces are.
 *
 *     exit 0   all well
 *          1   nothing runs, or not what was named; the text says what to do
 *          3   it runs and is not well: a health item of severity error, or a node that is not Running
 *
 * With `--json` a node answers as `tailscale status --json` does (protocol/localapi/node-status.ts), with exit 0
 * whatever it says, as scripts for that expect; interfaces as `{ "interfaces": [...] }`, an object for each as
 * InterfaceReport names it (protocol/localapi/status.ts). Those names stay; others may come.
 */

import { Command } from 'commander';
import { ConfigError } from '../base/errors.ts';
import type { HealthItem } from '../base/health.ts';
import type { NodeStatus } from '../protocol/localapi/node-status.ts';
import type { InterfaceReport } from '../protocol/localapi/status.ts';
import { NobodyThereError } from './ask-local.ts';
import { nodeStatusText, portsText } from './node-status-text.ts';
import type { NodeTerminal } from './node-verb.ts';
import { asJson, isSocketNamed, nodeSocketOf, withJson } from './node-verb.ts';
import { statusText } from './status-text.ts';

export const UNWELL = 3;

interface Flags {
  readonly json?: boolean;
  readonly peers: boolean;
  readonly self: boolean;
  readonly active?: boolean;
  readonly ports?: boolean;
}

type AskInterfaces = (name: string | undefined) => Promise<readonly InterfaceReport[]>;

export function statusCommand(askInterfaces: AskInterfaces, terminal: NodeTerminal): Command {
  return withJson(new Command('status'))
    .description('say how the node, or a WireGuard interface, of this machine is')
    .argument('[interface]', 'a WireGuard interface, instead of the node')
    .option('--peers', 'with the peers', true)
    .option('--no-peers', 'without them')
    .option('--self', 'with this machine', true)
    .option('--no-self', 'without it')
    .option('--active', 'peers in use alone')
    .option('--ports', 'what is open on this machine by us, alone')
    .action(async (name: string | undefined, flags: Flags, command: Command) => {
      const status = name === undefined ? await askNodeStatus(terminal, command) : undefined;
      if (status !== undefined) showNode(terminal, status, flags);
      else await showInterfaces(terminal, await askInterfaces(name), flags);
    });
}

/** undefined: none runs where one is looked for by default. */
async function askNodeStatus(
  { ask }: NodeTerminal,
  command: Command,
): Promise<NodeStatus | undefined> {
  try {
    return await ask(nodeSocketOf(command), 'status', {});
  } catch (error) {
    if (error instanceof NobodyThereError && !isSocketNamed(command)) return undefined;
    throw error;
  }
}

function showNode({ out, exit }: NodeTerminal, status: NodeStatus, flags: Flags): void {
  const { json, active = false, ports, peers, self } = flags;
  const { Postern } = status;
  if (ports) out(json ? asJson({ ports: Postern.ports }) : portsText(Postern.ports));
  else if (json) out(asJson(withPeers(status, peers, active)));
  else {
    out(nodeStatusText(status, { self, peers, active }));
    if (status.BackendState !== 'Running' || isUnwell(Postern)) exit(UNWELL);
  }
}

function withPeers(status: NodeStatus, peers: boolean, active: boolean): NodeStatus {
  if (peers && !active) return status;
  const shown = Object.entries(status.Peer).filter(([, { Active }]) => peers && Active);
  return { ...status, Peer: Object.fromEntries(shown) };
}

async function showInterfaces(
  { out, exit }: NodeTerminal,
  interfaces: readonly InterfaceReport[],
  { json }: Flags,
): Promise<void> {
  if (interfaces.length === 0)
    throw new ConfigError(
      'no node and no interface is running here; start one: postern node --state DIR, or: postern wireguard wg0 --config FILE',
    );
  if (json) out(asJson({ interfaces }));
  else out(interfaces.map((report) => statusText(report, Date.now())).join('\n'));
  if (interfaces.some(isUnwell)) exit(UNWELL);
}

const isUnwell = ({ health }: { readonly health: readonly HealthItem[] }): boolean =>
  health.some(({ severity }) => severity === 'error');
