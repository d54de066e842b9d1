/**
 * Who is measured, and a pair of it to measure: both ends are the same implementation, in two namespaces
 * joined by a veth cable, and share the machine's cores with the programs that make the traffic.
 *
 *     ours       this program, its default plane, with `--aead raw` said so that no fallback passes for it
 *     current    wireguard-go of today         debian    wireguard-go as Debian ships it
 *     evp node   ours with its other AEADs     rules, unfiltered    ours with 100 filter rules, or no filter
 *
 * All log errors only: wireguard-go writes several lines for each handshake otherwise. With POSTERN_UNDER_TEST
 * another implementation stands in for ours (test/netns/implementations.ts), which tries the bench itself.
 */

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  ImplementationName,
  ImplementationOptions,
  Tunnel,
} from '../../test/netns/implementations.ts';
import { start, UNDER_TEST } from '../../test/netns/implementations.ts';
import type { Host } from '../../test/netns/lab.ts';
import { Lab } from '../../test/netns/lab.ts';
import type { Pair } from '../../test/netns/pair.ts';
import { makePair, ping } from '../../test/netns/pair.ts';

import { FILTER_RULES } from './rows.ts';

export type ContenderName = 'ours' | 'current' | 'debian' | 'evp' | 'node' | 'rules' | 'unfiltered';

interface Contender {
  readonly implementation: ImplementationName;
  readonly arguments: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** What makes our program run with so many rules, and without the filter stage. */
const RULES_SWITCH = 'POSTERN_BENCH_RULES';
const PLANT_SWITCH = 'POSTERN_PLANT';
const NO_FILTER = 'no-filter';

const QUIET = { POSTERN_LOG: 'error', LOG_LEVEL: 'error' };

const own = (aead: string, env: Readonly<Record<string, string>> = {}): Contender => ({
  implementation: UNDER_TEST,
  arguments: ['--aead', aead],
  env,
});

const CONTENDERS: Readonly<Record<ContenderName, Contender>> = {
  ours: own('raw'),
  evp: own('evp'),
  node: own('node'),
  rules: own('raw', { [RULES_SWITCH]: `${FILTER_RULES}` }),
  unfiltered: own('raw', { [PLANT_SWITCH]: NO_FILTER }),
  current: { implementation: 'current', arguments: [], env: {} },
  debian: { implementation: 'debian', arguments: [], env: {} },
};

/** A running pair, side `a` the sender, that has shaken hands. Closing `lab` ends it. */
export async function startPair(name: ContenderName): Promise<Pair> {
  const lab = await Lab.create(`bench-${name}`);
  try {
    const { implementation } = CONTENDERS[name];
    const [a, b] = [optionsOf(name), optionsOf(name)];
    const pair = await makePair(lab, [implementation, implementation], { initiator: 'a', a, b });
    const first = await ping(pair.a, pair.b.inner[0], { count: 1, patienceMs: 6000 });
    if (first.received !== 1) throw new Error(`${name}: no ping passes\n${await lab.report()}`);
    return pair;
  } catch (error) {
    await lab.close();
    throw error;
  }
}

/** One of it in `host`, with nothing configured. */
export function startAlone(name: ContenderName, host: Host): Promise<Tunnel> {
  return start(CONTENDERS[name].implementation, host, optionsOf(name));
}

function optionsOf(name: ContenderName): ImplementationOptions {
  const { env, arguments: args } = CONTENDERS[name];
  return { arguments: args, env: { ...QUIET, ...env } };
}

/** Why the filter's share cannot be measured, or false: a switch that nobody reads would measure nothing. */
export function filterCannotBeMeasured(): string | false {
  const source = join(import.meta.dirname, '../../src');
  const text = globSync(['*.ts', 'linux/**/*.ts', 'node/**/*.ts'], { cwd: source })
    .map((file) => readFileSync(join(source, file), 'utf8'))
    .join('');
  const missing = [RULES_SWITCH, PLANT_SWITCH, NO_FILTER].filter((word) => !text.includes(word));
  return missing.length > 0 && `this version of the program does not know ${missing.join(' and ')}`;
}
