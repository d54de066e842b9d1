/** Where and with what a bench ran: figures without it are worth little. */

import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { OURS, UNDER_TEST } from '../../test/netns/implementations.ts';
import { CACHE } from '../debian.ts';
import { run } from '../run.ts';
import { loadNow } from './runs.ts';

export interface MachineFacts {
  readonly processor: string;
  readonly cores: number;
  readonly memoryMb: number;
  readonly kernel: string;
  readonly load: number;
}

export function machineFacts(): MachineFacts {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryMb: Math.round(totalmem() / 1e6),
    kernel: release(),
    load: loadNow(),
  };
}

/** Of all programs that were measured, or did the measuring. */
export async function versions(): Promise<Record<string, unknown>> {
  const file = process.env['WIREGUARD_GO'] ?? join(CACHE, 'peers/versions.json');
  const current = process.env['WIREGUARD_GO']
    ? { wireguard: file }
    : (JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholder
  const debian = await run(['dpkg-query', '--show', '--showformat=${Version}', 'wireguard-go']);
  return {
    ours:
      UNDER_TEST === 'ours'
        ? (JSON.parse(await run([...OURS, 'version', '--json'])) as unknown)
        : `${UNDER_TEST} in its place`,
    current: current['wireguard'],
    debian,
    iperf3: (await run(['iperf3', '--version'])).split('\n')[0],
  };
}
