/**
 * A few machine instructions of our own, in a page that can be executed and not written, which is no more than V8
 * needs for itself. Where the system gives nobody such a page there is none, and what would have been done by the
 * instructions is done one by one.
 */

import { MEMORY } from './abi.ts';
import type { Native } from './ffi.ts';
import { block } from './memory.ts';

/** The bytes are the assembler's, and a test asks it again (test/build/abi.test.ts). */
export type Instructions = readonly (readonly [bytes: string, text: string])[];

/** By `process.arch`. */
export type Routine = Readonly<Record<string, Instructions>>;

const PAGE_BYTES = 4096;

const P = 'size_t';
type MapCall = (
  at: number,
  bytes: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
) => number;
type ProtectCall = (at: number, bytes: number, protection: number) => number;
type CopyCall = (to: number, from: number, bytes: number) => number;

/**
 * The address of the routine, which lives as long as the process; undefined where this machine has none or gives no
 * page. The page is written first, and can be executed only when it cannot be written.
 */
export function executable(native: Native, routine: Routine): number | undefined {
  const { PROT_READ, PROT_WRITE, PROT_EXEC, MAP_PRIVATE, MAP_ANONYMOUS } = MEMORY;
  const instructions = routine[process.arch];
  const map = native.self.find<MapCall>('mmap', P, [P, P, 'int', 'int', 'int', P]);
  const protect = native.self.find<ProtectCall>('mprotect', 'int', [P, P, 'int']);
  const copy = native.self.find<CopyCall>('memcpy', P, [P, P, P]);
  if (!instructions || !map || !protect || !copy) return undefined;
  const bytes = Buffer.from(instructions.map(([hex]) => hex).join(''), 'hex');
  const page = map(0, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page % PAGE_BYTES !== 0 || page > Number.MAX_SAFE_INTEGER) return undefined;
  const source = block(native, bytes.length);
  source.u8.set(bytes);
  copy(page, source.address, bytes.length);
  return protect(page, PAGE_BYTES, PROT_READ | PROT_EXEC) === 0 ? page : undefined;
}
