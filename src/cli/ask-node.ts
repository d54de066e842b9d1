/** Asks the node of this machine on its socket, and watches it. */

import { NetError } from '../base/errors.ts';
import type { AskNode, NodeAnswers, WatchNode } from '../protocol/localapi/node.ts';
import type { NodeNotice } from '../protocol/localapi/node-status.ts';
import type { Listener } from './ask-local.ts';
import { askLocal } from './ask-local.ts';

/** Longer than the longest ping (node-requests.ts), and than a stalled disk holds a setting back. */
const PATIENCE_MILLIS = 90_000;

const NODE: Listener = {
  name: 'node',
  start: 'systemctl start postern, or: postern node --state DIR',
  open: 'run this as root, or be a member of its group',
  stall: '; its disk may be stalled',
};

export const askNode: AskNode = async (socket, action, request) => {
  const question = { socket, action, request, patienceMillis: PATIENCE_MILLIS };
  return (await askLocal(NODE, question)) as NodeAnswers[typeof action];
};

export const watchNode: WatchNode = async <T>(
  socket: string,
  look: (notice: NodeNotice) => T | undefined,
  millis?: number,
): Promise<T> => {
  const signal = millis === undefined ? undefined : AbortSignal.timeout(millis);
  let seen: { readonly it: T } | undefined;
  const news = (notice: unknown): boolean => {
    const it = look(notice as NodeNotice);
    if (it !== undefined) seen = { it };
    return it !== undefined;
  };
  try {
    await askLocal(NODE, {
      socket,
      action: 'watch',
      request: {},
      patienceMillis: undefined,
      news,
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw new NetError(`that has not come true in ${Number(millis) / 1000} s`);
    throw error;
  }
  if (seen !== undefined) return seen.it;
  throw new NetError('the node ended; see its log');
};
