/**
 * What the program carries besides its own code: the compiled kernels, the workers' code, and the native half
 * of koffi. From source they lie in the tree; in a single executable they are its assets.
 *
 *     asset                from source                             single executable
 *     kernels.wasm         dist/, compiled when out of date        read in place
 *     dataplane.cjs        src/node/dataplane/worker.ts            read in place
 *     store.cjs            src/store/sqlite-worker.ts              read in place
 *     relay.cjs            src/control/relay/worker.ts             read in place
 *     koffi.node           npm's folder, by koffi's own loader     beside the program, else taken out of it
 *                                                                  (native-file.ts)
 */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { getAsset, getRawAsset, isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

/** The threads beside main: each has its entry, and a young generation to fit what it allocates. */
const WORKERS = {
  // The data plane makes little garbage; a small young generation keeps its memory small.
  dataplane: { entry: './node/dataplane/worker.ts', maxYoungGenerationSizeMb: 4 },
  store: { entry: './store/sqlite-worker.ts', maxYoungGenerationSizeMb: 2 },
  relay: { entry: './control/relay/worker.ts', maxYoungGenerationSizeMb: 4 },
} as const;

export type WorkerName = keyof typeof WORKERS;

export interface Assets {
  /** Bytes of kernels.wasm. */
  kernels(): Promise<Uint8Array>;
  startWorker(name: WorkerName, workerData: unknown): Worker;
  /** Bytes of koffi.node for this architecture, or undefined where koffi finds its own. They cannot be written to. */
  native(): Uint8Array | undefined;
}

export function assets(): Assets {
  return isSea() ? carried : inTheTree;
}

const inTheTree: Assets = {
  kernels: async () => {
    // As a program, since the compiler is no part of the product; it does nothing where they are up to date.
    const script = fileURLToPath(new URL('../scripts/kernels.ts', import.meta.url));
    await promisify(execFile)(process.execPath, [script]);
    return readFileSync(new URL('../dist/kernels.wasm', import.meta.url));
  },
  startWorker: (name, workerData) =>
    new Worker(new URL(WORKERS[name].entry, import.meta.url), {
      workerData,
      resourceLimits: limitsOf(name),
    }),
  native: () => undefined,
};

const carried: Assets = {
  kernels: async () => new Uint8Array(getRawAsset('kernels.wasm')),
  startWorker: (name, workerData) =>
    new Worker(getAsset(`${name}.cjs`, 'utf8'), {
      eval: true,
      workerData,
      resourceLimits: limitsOf(name),
    }),
  // In place: a copy would be a megabyte of memory for one write.
  native: () => new Uint8Array(getRawAsset('koffi.node')),
};

const limitsOf = (name: WorkerName): { readonly maxYoungGenerationSizeMb: number } => ({
  maxYoungGenerationSizeMb: WORKERS[name].maxYoungGenerationSizeMb,
});
