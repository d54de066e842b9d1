/**
 * The program's parts: the verbs, which every start loads, and what only one verb needs, loaded when it is
 * called. A node does not carry the coordination server's code in its memory, nor does `postern status` wait
 * for either to be read.
 *
 *     main            verbs, arguments, questions to whoever runs here
 *     part-wireguard  `postern wireguard`
 *     part-node       `postern node`
 *     part-control    `postern control`
 *
 * From source a part is a module like others; in a single executable it is an asset, compiled here. Both sides
 * then have a copy of what both import, which is well for functions; an error is told by its class, so the
 * classes are main's own (SHARED).
 */

import { createRequire } from 'node:module';
import { getAsset, isSea } from 'node:sea';
import { compileFunction, constants } from 'node:vm';
import * as errors from './base/errors.ts';

export interface Parts {
  wireguard(): Promise<typeof import('./part-wireguard.ts')>;
  node(): Promise<typeof import('./part-node.ts')>;
  control(): Promise<typeof import('./part-control.ts')>;
}

/** What a carried part requires by these names, main has (scripts/build/bundle.ts). */
const SHARED: Readonly<Record<string, unknown>> = { 'postern:base/errors': errors };

export function parts(): Parts {
  return isSea() ? carried : inTheTree;
}

const inTheTree: Parts = {
  wireguard: () => import('./part-wireguard.ts'),
  node: () => import('./part-node.ts'),
  control: () => import('./part-control.ts'),
};

const carried: Parts = {
  wireguard: async () => load('part-wireguard'),
  node: async () => load('part-node'),
  control: async () => load('part-control'),
};

function load<Part>(name: string): Part {
  const file = `${name}.cjs`;
  const builtin = createRequire(import.meta.url);
  const run = compileFunction(getAsset(file, 'utf8'), ['module', 'exports', 'require'], {
    filename: file,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  const module = { exports: {} };
  run(module, module.exports, (id: string): unknown => SHARED[id] ?? builtin(id));
  return module.exports as Part;
}
