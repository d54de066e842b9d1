/**
 * Waiting with an end: what is waited for ends by itself, by the caller's signal, or when its time is over.
 * Time is the Env's, so that a held clock decides.
 */

import type { Env } from '../../base/env.ts';
import { NetError } from '../../base/errors.ts';
import type { Millis } from '../../base/time.ts';
import { after } from '../../base/time.ts';

/**
 * Runs `action` with a signal that fires when `outer` does, or after `patience`.
 *
 * @throws NetError naming `what` when the time is over; the signal's reason when `outer` fires
 */
export async function within<T>(
  env: Env,
  patience: Millis,
  what: string,
  outer: AbortSignal,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  outer.throwIfAborted();
  const inner = new AbortController();
  const pass = (): void => inner.abort(outer.reason);
  outer.addEventListener('abort', pass, { once: true });
  const cancel = env.setTimer(after(env.now(), patience), () =>
    inner.abort(new NetError(`${what}: no answer within ${patience / 1000} s`)),
  );
  try {
    return await orAborted(action(inner.signal), inner.signal);
  } finally {
    cancel();
    outer.removeEventListener('abort', pass);
  }
}

/**
 * The result of `waited`, or the signal's reason if that comes first.
 *
 * @param late is given a result that came too late
 */
export function orAborted<T>(
  waited: Promise<T>,
  signal: AbortSignal,
  late: (result: T) => void = () => {},
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const abort = (): void => reject(signal.reason as Error);
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  waited.then(
    (result) => {
      signal.removeEventListener('abort', abort);
      if (signal.aborted) late(result);
      else resolve(result);
    },
    (error: Error) => {
      signal.removeEventListener('abort', abort);
      reject(error);
    },
  );
  return promise;
}

/** Resolves after `duration`; rejects with the signal's reason before. */
export async function pause(env: Env, duration: Millis, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = env.setTimer(after(env.now(), duration), resolve);
  try {
    await orAborted(promise, signal);
  } finally {
    cancel();
  }
}
