/**
 * `postern status [INTERFACE]`: how the interfaces that run here are.
 *
 *     exit 0   all well
 *          1   no such interface, or none at all; the text says what to do
 *          3   running, with a health item of severity error
 *
 * With `--json`: `{ "interfaces": [...] }`, an object for each as InterfaceReport names it
 * (protocol/localapi/status.ts). Those names stay; others may come.
 */

import { Command } from 'commander';
import { ConfigError } from '../base/errors.ts';
import type { InterfaceReport } from '../protocol/localapi/status.ts';
import { statusText } from './status-text.ts';

export const UNWELL = 3;

/** @param exit called with the exit code where it is not 0 */
export function statusCommand(
  ask: (name: string | undefined) => Promise<readonly InterfaceReport[]>,
  print: (text: string) => void,
  exit: (code: number) => void,
): Command {
  return new Command('status')
    .description('say how the interfaces that run here are')
    .argument('[interface]', 'one alone')
    .option('--json', 'as JSON')
    .action(async (name: string | undefined, flags: { json?: boolean }) => {
      const interfaces = await ask(name);
      if (interfaces.length === 0)
        throw new ConfigError(
          'no interface is running here; start one: postern wireguard wg0 --config FILE',
        );
      if (flags.json) print(`${JSON.stringify({ interfaces }, null, 2)}\n`);
      else print(interfaces.map((report) => statusText(report, Date.now())).join('\n'));
      if (interfaces.some(({ health }) => health.some(({ severity }) => severity === 'error')))
        exit(UNWELL);
    });
}
