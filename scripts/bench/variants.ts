/**
 * Our program with another filter stage, for the row that asks what the stage costs: built from copies of this
 * tree in which one piece of text is replaced. Nothing of it is in the product.
 *
 *     rules         99 rules that fit nobody before the one that fits all
 *     unfiltered    packets pass in and out without being looked at
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Copy } from '../../test/planted/copy.ts';
import { CACHE } from '../debian.ts';
import { run } from '../run.ts';
import type { ContenderName } from './contenders.ts';
import { useProgram } from './contenders.ts';
import { FILTER_RULES } from './rows.ts';

interface Change {
  readonly file: string;
  readonly text: string;
  readonly replacement: string;
}

const NOBODY = '{ ...ALLOW_ALL, source: { address: Uint8Array.of(192, 0, 2, i), bits: 32 } }';

export const VARIANTS: Readonly<Partial<Record<ContenderName, readonly Change[]>>> = {
  rules: [
    {
      file: 'src/node/dataplane/plane.ts',
      text: 'this.#rules(ports.mesh ? [] : [ALLOW_ALL]);',
      replacement: `this.#rules([...Array.from({ length: ${FILTER_RULES - 1} }, (_, i) => (${NOBODY})), ALLOW_ALL]);`,
    },
  ],
  unfiltered: [
    {
      file: 'src/node/dataplane/transmit.ts',
      text: 'kernels.filterOut(p, length, (this.#now / 1000) >>> 0);',
      replacement: '',
    },
    {
      file: 'src/node/dataplane/deliver.ts',
      text: 'const verdict = kernels.filterIn(text, length, (now / 1000) >>> 0);',
      replacement: 'const verdict: number = 0;',
    },
  ],
};

/** @throws Error where a piece of text no longer stands where it did */
export async function buildVariants(): Promise<void> {
  using copy = await Copy.create();
  for (const [name, changes] of Object.entries(VARIANTS)) {
    const planted = changes.map((change) => copy.plant(change));
    const out = join(CACHE, 'bench', name);
    mkdirSync(out, { recursive: true });
    const script = join(copy.path, 'scripts/build.ts');
    await run([process.execPath, script, '--out', out, process.arch], { cwd: copy.path });
    for (const plant of planted) plant.restore();
    useProgram(name as ContenderName, join(out, `postern-linux-${process.arch}`));
  }
}
