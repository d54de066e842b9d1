/**
 * Who is measured, and a pair of it to measure: both ends are the same implementation, in two namespaces
 * joined by a veth cable, and share the machine's cores with the programs that make the traffic.
 *
 *     ours       this program, its default plane, with `--aead batch` said so that no fallback passes for it
 *     current    wireguard-go of today         debian    wireguard-go as Debian ships it
 *     raw evp node         ours with its other AEADs
 *     rules, unfiltered    ours, built with 100 filter rules or no filter stage (variants.ts)
 *
 * All log errors only: wireguard-go writes several lines for each handshake otherwise. With POSTERN_UNDER_TEST
 * another implementation stands in for ours (test/netns/implementations.ts), which tries the bench itself.
 */

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

export type ContenderName =
  | 'ours'
  | 'current'
  | 'debian'
  | 'raw'
  | 'evp'
  | 'node'
  | 'rules'
  | 'unfiltered';

interface Contender {
  readonly implementation: ImplementationName;
  readonly arguments: readonly string[];
}

const QUIET = { POSTERN_LOG: 'error', LOG_LEVEL: 'error' };

const own = (aead: string): Contender => ({
  implementation: UNDER_TEST,
  arguments: ['--aead', aead],
});

/** Programs of contenders that are not the one under test; set before their first run. */
const programs = new Map<ContenderName, string>();

export function useProgram(name: ContenderName, path: string): void {
  programs.set(name, path);
}

const CONTENDERS: Readonly<Record<ContenderName, Contender>> = {
  ours: own('batch'),
  raw: own('raw'),
  evp: own('evp'),
  node: own('node'),
  rules: own('batch'),
  unfiltered: own('batch'),
  current: { implementation: 'current', arguments: [] },
  debian: { implementation: 'debian', arguments: [] },
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
  const program = programs.get(name);
  const options = { arguments: CONTENDERS[name].arguments, env: QUIET };
  return program === undefined ? options : { ...options, program };
}
