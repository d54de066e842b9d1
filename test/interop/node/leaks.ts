/** What a daemon holds of the machine, for a comparison of before and after. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../netns/child.ts';
import type { Client } from '../control/client.ts';

export interface Holdings {
  readonly counts: Readonly<Record<string, number>>;
  readonly anonymousMb: number;
}

const DOWN_MS = 40;
const UP_MS = 160;
/** Connections that are just being replaced are none that leak. */
const SETTLED_MS = 15_000;
const KB_PER_MB = 1024;

/** Pulls its cable and plugs it in again, `count` times. */
export async function flap({ host, station }: Client, count: number): Promise<void> {
  const { interface: cable } = station.cable.a;
  const { stdout } = await host.run(['ip', 'route', 'show', 'default', 'dev', cable]);
  const route = stdout.trim().split('\n')[0] ?? '';
  for (let i = 0; i < count; i++) {
    await host.ip(`link set ${cable} down`);
    await pause(DOWN_MS);
    await host.ip(`link set ${cable} up`, `route replace ${route} dev ${cable}`);
    await pause(UP_MS);
  }
}

/** When twice the same has been counted, a moment apart, or after a while as it then is. */
export async function holdings(client: Client): Promise<Holdings> {
  let last = await countsOf(client);
  await until(
    'it has settled',
    async () => {
      await pause(1000);
      const now = await countsOf(client);
      const same = JSON.stringify(now) === JSON.stringify(last);
      last = now;
      return same;
    },
    SETTLED_MS,
  ).catch(() => undefined);
  return { counts: last, anonymousMb: anonymousMb(client.child.pid) };
}

async function countsOf({ host, child }: Client): Promise<Readonly<Record<string, number>>> {
  const lines = async (...argv: readonly string[]): Promise<number> =>
    (await host.run(argv)).stdout.split('\n').filter((line) => line.trim() !== '').length;
  return {
    ...descriptorsOf(child.pid),
    'nft lines': await lines('nft', '--stateless', 'list', 'ruleset'),
    'IPv4 routes': await lines('ip', '-4', 'route', 'show', 'table', 'all'),
    'IPv4 rules': await lines('ip', '-4', 'rule'),
    'IPv6 rules': await lines('ip', '-6', 'rule'),
    interfaces: await lines('ip', '-o', 'link'),
  };
}

/** By kind: sockets, timers' and events' files, and the rest. */
function descriptorsOf(pid: number): Readonly<Record<string, number>> {
  const folder = `/proc/${pid}/fd`;
  const counts: Record<string, number> = {};
  for (const name of readdirSync(folder)) {
    const kind = kindOf(join(folder, name));
    if (kind !== undefined) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** `socket`, `anon_inode`, or a path; undefined: closed meanwhile. */
function kindOf(link: string): string | undefined {
  try {
    return readlinkSync(link).replace(/:.*/, '');
  } catch {
    return undefined;
  }
}

function anonymousMb(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss_Anon:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) / KB_PER_MB;
}
