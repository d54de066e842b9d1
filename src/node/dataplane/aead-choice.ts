/**
 * Which bulk AEAD carries the packets: the first of a list that is there and passes its known-answer test. A
 * person may name one; then it is that one or none, since they want to know what they measure.
 */

import { ConfigError } from '../../base/errors.ts';
import { refuses } from '../../crypto/known-answer.ts';
import type { BulkAead } from './ports.ts';

export type AeadChoice = 'batch' | 'raw' | 'evp' | 'node';

export interface AeadCandidate {
  readonly choice: AeadChoice;
  /** Undefined where this machine has none of it. */
  make(): BulkAead | undefined;
}

export interface ChosenAead {
  readonly aead: BulkAead;
  /** Faster ones that were passed over, each with its reason. */
  readonly refused: readonly string[];
}

/**
 * @param candidates the fastest first
 * @param bytes the arena; what stands from `at` on is overwritten (crypto/known-answer.ts: SCRATCH_BYTES)
 * @throws ConfigError where none, or not the wanted one, can be used
 */
export function chooseAead(
  candidates: readonly AeadCandidate[],
  wanted: AeadChoice | undefined,
  bytes: Uint8Array,
  at: number,
): ChosenAead {
  const refused: string[] = [];
  for (const { choice, make } of candidates) {
    if (wanted !== undefined && choice !== wanted) continue;
    const aead = make();
    const reason = aead === undefined ? 'is not there' : refuses(aead, bytes, at);
    if (aead !== undefined && reason === undefined) return { aead, refused };
    refused.push(`${choice} ${reason}`);
  }
  throw new ConfigError(
    `no way to seal packets is left (${refused.join('; ')}); take another --aead, or report this`,
  );
}
