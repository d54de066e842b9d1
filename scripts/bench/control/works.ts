/** The works: how the figures of a contender are got. Each call is one run, on a server of its own. */

import type { WorkSpec } from '../compare.ts';
import { measureClients } from './clients.ts';
import { measureIdle, measureLoad, measureMemory } from './load.ts';
import { measureRelay } from './relay.ts';
import type { Contender, Sizes, Work } from './rows.ts';
import { measureStream } from './stream.ts';

/** In the order in which they are done. */
export const WORKS: Readonly<Record<Work, WorkSpec<Contender, Sizes>>> = {
  relay: { contenders: ['ours', 'derper'], measure: measureRelay },
  stream: { contenders: ['ours', 'derper'], measure: measureStream },
  clients: { contenders: ['ours'], measure: measureClients },
  memory: { contenders: ['ours'], measure: measureMemory },
  load: { contenders: ['ours', 'headscale'], measure: measureLoad },
  idle: { contenders: ['ours'], once: true, measure: measureIdle },
};
