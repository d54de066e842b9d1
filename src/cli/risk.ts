/**
 * Whether a verb would cut the branch that its person sits on: he is logged in by SSH from an address of the
 * network that the verb leaves.
 */

import type { Command } from 'commander';
import { ConfigError, NetError } from '../base/errors.ts';
import type { NodeTerminal } from './node-verb.ts';
import { nodeSocketOf } from './node-verb.ts';

const RISKS: readonly string[] = ['lose-ssh', 'all'];

export const withRisk = (command: Command): Command =>
  command.option('--accept-risk <risk>', 'go on without asking: lose-ssh or all');

/**
 * Whether to go on.
 *
 * @throws ConfigError where nobody can be asked
 */
export async function riskAccepted(terminal: NodeTerminal, command: Command): Promise<boolean> {
  const [address] = (process.env['SSH_CLIENT'] ?? '').split(' ');
  const { acceptRisk } = command.optsWithGlobals<{ acceptRisk?: string }>();
  if (!address || acceptRisk?.split(',').some((risk) => RISKS.includes(risk))) return true;
  if (!(await isOfNetwork(terminal, command, address))) return true;
  const question = `You came here by SSH through this network (${address}) and will be cut off.`;
  if (terminal.confirm === undefined)
    throw new ConfigError(`${question} If that is wanted: --accept-risk=lose-ssh`);
  if (await terminal.confirm(`${question} Go on?`)) return true;
  terminal.err('nothing was changed\n');
  return false;
}

async function isOfNetwork(
  { ask }: NodeTerminal,
  command: Command,
  address: string,
): Promise<boolean> {
  try {
    const { Node } = await ask(nodeSocketOf(command), 'whois', { address });
    return Node.Addresses.some((one) => one.startsWith(`${address}/`));
  } catch (error) {
    if (error instanceof ConfigError || error instanceof NetError) return false;
    throw error;
  }
}
