/**
 * What the program carries besides its own code: the compiled kernels, the worker's code, and the native half
 * of koffi. From source they lie in the tree; in a single executable they are its assets.
 *
 *     asset                from source                             single executable
 *     kernels.wasm         dist/, compiled when out of date        read in place
 *     worker.cjs           src/node/dataplane/worker.ts            read in place
 *     koffi.node           npm's folder, by koffi's own loader     beside the program, else taken out of it
 *                                                                  (native-file.ts)
 */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { getAsset, getRawAsset, isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

export interface Assets {
  /** Bytes of kernels.wasm. */
  kernels(): Promise<Uint8Array>;
  /** Starts the data plane's worker. */
  startWorker(workerData: unknown): Worker;
  /** Bytes of koffi.node for this architecture, or undefined where koffi finds its own. They cannot be written to. */
  native(): Uint8Array | undefined;
}

export function assets(): Assets {
  return isSea() ? carried : inTheTree;
}

/** The data plane makes little garbage; a small young generation keeps its memory small. */
const WORKER_LIMITS = { maxYoungGenerationSizeMb: 4 } as const;

const inTheTree: Assets = {
  kernels: async () => {
    // As a program, since the compiler is no part of the product; it does nothing where they are up to date.
    const script = fileURLToPath(new URL('../scripts/kernels.ts', import.meta.url));
    await promisify(execFile)(process.execPath, [script]);
    return readFileSync(new URL('../dist/kernels.wasm', import.meta.url));
  },
  startWorker: (workerData) =>
    new Worker(new URL('./node/dataplane/worker.ts', import.meta.url), {
      workerData,
      resourceLimits: WORKER_LIMITS,
    }),
  native: () => undefined,
};

const carried: Assets = {
  kernels: async () => new Uint8Array(getRawAsset('kernels.wasm')),
  startWorker: (workerData) =>
    new Worker(getAsset('worker.cjs', 'utf8'), {
      eval: true,
      workerData,
      resourceLimits: WORKER_LIMITS,
    }),
  // In place: a copy would be a megabyte of memory for one write.
  native: () => new Uint8Array(getRawAsset('koffi.node')),
};
