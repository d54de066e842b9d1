/**
 * Relay maps from files and URLs. All are read at each look; where one cannot be had, or is none, the last good
 * copy stays: a network must not lose its relays because a web server is away.
 */

import { readFile } from 'node:fs/promises';
import { collect } from '../../base/bytes.ts';
import { ConfigError, NetError } from '../../base/errors.ts';
import type { DERPMap } from '../../protocol/tailcfg/types.ts';
import { MAX_MAP_BYTES, readDerpMap } from './derp-map.ts';

const PATIENCE_MILLIS = 10_000;

export class DerpMapSources {
  readonly #sources: readonly string[];
  readonly #good = new Map<string, DERPMap>();

  /** @param sources paths, and `http:` and `https:` URLs */
  constructor(sources: readonly string[]) {
    this.#sources = sources;
  }

  /**
   * @returns the maps that there are, and what is wrong with the others
   */
  async look(): Promise<{ readonly maps: readonly DERPMap[]; readonly faults: readonly string[] }> {
    const faults: string[] = [];
    for (const source of this.#sources)
      try {
        this.#good.set(source, readDerpMap(source, await bytesOf(source)));
      } catch (error) {
        if (!(error instanceof ConfigError || error instanceof NetError)) throw error;
        faults.push(error.message);
      }
    return { maps: this.#sources.flatMap((source) => this.#good.get(source) ?? []), faults };
  }
}

async function bytesOf(source: string): Promise<Uint8Array> {
  try {
    if (!/^https?:/.test(source)) return await readFile(source);
    const answer = await fetch(source, { signal: AbortSignal.timeout(PATIENCE_MILLIS) });
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    const { body } = answer;
    const map = body === null ? new Uint8Array() : await collect(body, MAX_MAP_BYTES);
    if (map === undefined) throw new Error(`it is longer than ${MAX_MAP_BYTES} bytes`);
    return map;
  } catch (error) {
    const { cause, message } = error as Error;
    throw new NetError(`${source}: ${cause instanceof Error ? cause.message : message}`);
  }
}
