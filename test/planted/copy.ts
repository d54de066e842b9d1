/**
 * A copy of the tree in a temporary folder, to be spoiled: sources, tests and scripts are copied, since tests
 * import their own `../../src`; packages are linked. Compiled kernels go along with their hash, so that a
 * changed *.as.ts is compiled anew, in the copy. It is all gone at the end.
 */

import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kernelsWasm } from '../../scripts/kernels.ts';

const TOP = join(import.meta.dirname, '../..');

/** One piece of text in one file, and what stands there instead. */
export interface Patch {
  readonly file: string;
  readonly text: string;
  readonly replacement: string;
}

export class Copy implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), 'postern-planted-'));

  static async create(): Promise<Copy> {
    await kernelsWasm();
    const copy = new Copy();
    process.once('exit', () => copy[Symbol.dispose]());
    for (const entry of [
      'src',
      'test',
      'scripts',
      'dist',
      'package.json',
      'package-lock.json',
      'LICENSE',
    ])
      cpSync(join(TOP, entry), join(copy.path, entry), { recursive: true });
    for (const entry of ['node_modules', '.cache'])
      symlinkSync(join(TOP, entry), join(copy.path, entry));
    return copy;
  }

  /**
   * Plants a fault until `restore`.
   *
   * @throws Error where the text does not stand there exactly once
   */
  plant({ file, text, replacement }: Patch): { restore(): void } {
    const path = join(this.path, file);
    const whole = readFileSync(path, 'utf8');
    const found = whole.split(text).length - 1;
    if (found !== 1)
      throw new Error(`the plant has lost its place: ${file} has its text ${found} times\n${text}`);
    writeFileSync(
      path,
      whole.replace(text, () => replacement),
    );
    return { restore: () => writeFileSync(path, whole) };
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
