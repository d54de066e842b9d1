/**
 * How far away a region is, for a node that cannot ask by STUN: the time of one HTTP request on a connection
 * that stands already.
 */

import type { Duplex } from 'node:stream';
import type { Env } from '../../base/env.ts';
import { NetError } from '../../base/errors.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis, seconds } from '../../base/time.ts';
import { AnswerHead, latencyRequest, OK } from '../../protocol/derp/client-upgrade.ts';
import type { DERPNode } from '../../protocol/tailcfg/types.ts';
import { hostOf } from './connection.ts';
import type { RelaysPorts } from './ports.ts';

/** For dial and answer together. */
export const MEASURE_DEADLINE: Millis = seconds(5);

/**
 * Asks the nodes in the order of the map; the first that answers counts.
 *
 * @throws NetError, or what the dialler throws, for the last node
 */
export async function latencyCheck(
  env: Env,
  ports: Pick<RelaysPorts, 'dial'>,
  nodes: readonly DERPNode[],
): Promise<Millis> {
  let last: unknown = new NetError('the map names no node that relays');
  for (const node of nodes) {
    try {
      const late = new NetError(`relay ${hostOf(node)} does not answer; try again later`);
      return await withDeadline(env, MEASURE_DEADLINE, late, (onLate) => {
        const dialled = ports.dial(node);
        onLate(() => void dialled.then(discard, () => {}));
        return dialled.then((stream) => ask(env, node, stream));
      });
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

/** The outcome of `work`, or `late` when the time is over; `onLate` is told how to clean up then. */
export function withDeadline<T>(
  env: Env,
  wait: Millis,
  late: Error,
  work: (onLate: (cleanUp: () => void) => void) => Promise<T>,
): Promise<T> {
  return new Promise((done, fail) => {
    let cleanUp = (): void => {};
    const stop = env.setTimer(after(env.now(), wait), () => {
      cleanUp();
      fail(late);
    });
    work((action) => {
      cleanUp = action;
    })
      .then(done, fail)
      .finally(stop);
  });
}

function ask(env: Env, node: DERPNode, stream: Duplex): Promise<Millis> {
  return new Promise<Millis>((done, fail) => {
    const head = new AnswerHead();
    const since = env.now();
    const end = (text: string): void => {
      fail(new NetError(`relay ${hostOf(node)}: ${text}`));
      stream.destroy();
    };
    stream.on('error', (error) => end(error.message));
    stream.on('end', () => end('closed without an answer'));
    stream.on('close', () => end('closed without an answer'));
    stream.on('data', (bytes: Buffer) => {
      const answer = head.push(bytes);
      if (answer === undefined) return;
      if (typeof answer === 'string') end(answer);
      else if (answer.status !== OK) end(`answered ${answer.status} to a latency check`);
      else done(millis(env.now() - since));
      stream.destroy();
    });
    stream.write(latencyRequest(hostOf(node)));
  });
}

function discard(stream: Duplex): void {
  stream.on('error', () => {}).destroy();
}
