/**
 * Keep-alives: a frame now and then on a stream that has nothing to say, since a client gives up after 120 s
 * without one.
 *
 *     opened ──50 to 60 s──> say ──50 to 60 s──> say ── …      by chance, so that streams opened together part
 *
 * Its bytes are always the same, by which stock clients know it.
 *
 * Source: reference/protocol.md 3.2.
 */

import type { Env } from '../../base/env.ts';
import { after, millis } from '../../base/time.ts';
import { frameOf } from './frames.ts';

const TEXT = '{"KeepAlive":true}';
const COMPRESSED = frameOf(TEXT, true);
const PLAIN = frameOf(TEXT, false);
const LEAST_MILLIS = 50_000;
const JITTER_MILLIS = 10_000;

export const keepAliveFrame = (compress: boolean): Uint8Array => (compress ? COMPRESSED : PLAIN);

/** Calls `say` whenever one is due; the result ends it. */
export function keepAlives(
  env: Pick<Env, 'now' | 'random' | 'setTimer'>,
  say: () => void,
): () => void {
  let cancel: () => void = () => {};
  const plan = (): void => {
    const [high = 0, low = 0] = env.random(2);
    const jitter = ((high * 256 + low) / 65_536) * JITTER_MILLIS;
    cancel = env.setTimer(after(env.now(), millis(LEAST_MILLIS + jitter)), () => {
      plan();
      say();
    });
  };
  plan();
  return () => cancel();
}
