/**
 * Work `start`: what a person waits for.
 *
 *     up      the verb with a key, the daemon there, to its end, which is Running. Nobody asks the daemon
 *             meanwhile, since the answers would cost it more than the joining. Beside it, what a verb takes
 *             that only asks: ours starts a Node for each
 *     cold    from the first packet to a member that is known and was never talked with, to the answer to it
 *
 * Both are medians over several members of one network.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../../../test/interop/control/client.ts';
import { until } from '../../../test/netns/child.ts';
import type { Figures } from '../control/rows.ts';
import { median } from '../median.ts';
import type { Bench } from './members.ts';
import { KINDS, withBench } from './members.ts';
import type { Contender, Sizes } from './rows.ts';

/** STUN and the choice of a relay are over, and the others know of it. */
const SETTLED_MS = 5000;
const COLD_SECONDS = 10;
const RUNNING_MS = 20_000;

export function measureStart(contender: Contender, sizes: Sizes): Promise<Figures> {
  return withBench(async (bench) => {
    const [kind] = KINDS[contender];
    const a = await bench.joined(kind, 'a');
    const ups: number[] = [];
    const verbs: number[] = [];
    const others: Client[] = [];
    for (let i = 0; i < sizes.others; i++) {
      const other = await bench.started(kind, `b${i}`);
      const began = performance.now();
      await other.cli(['status', '--json']).catch(() => {});
      verbs.push(performance.now() - began);
      ups.push(await timedUp(bench, other));
      others.push(other);
    }
    const seen = async (): Promise<boolean> =>
      Object.values((await a.status()).Peer ?? {}).filter(({ Online }) => Online).length ===
      others.length;
    await until('all are seen', seen, RUNNING_MS);
    await sleep(SETTLED_MS);
    const colds: number[] = [];
    for (const other of others) colds.push(await firstAnswer(a, await other.ip4()));
    return {
      upMs: median(ups),
      verbMs: median(verbs),
      coldMs: median(colds),
      coldMostMs: Math.max(...colds),
    };
  });
}

/** Both verbs end with Running. */
async function timedUp({ mesh, authKey }: Bench, client: Client): Promise<number> {
  const words = ['--login-server', mesh.server.url, '--hostname', client.name];
  const began = performance.now();
  await client.cli(['up', ...words, `--auth-key=${authKey}`], RUNNING_MS);
  const ended = performance.now();
  await client.running(0);
  return ended - began;
}

async function firstAnswer(from: Client, address: string): Promise<number> {
  const argv = ['ping', '-n', '-c', '1', '-W', String(COLD_SECONDS), address];
  const { stdout } = await from.host.run(argv, { check: false });
  const time = /time=([\d.]+) ms/.exec(stdout)?.[1];
  if (time === undefined) throw new Error(`no answer within ${COLD_SECONDS} s from ${address}`);
  return Number(time);
}
