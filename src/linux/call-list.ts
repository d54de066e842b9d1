/**
 * Many foreign calls for the price of one. A call through koffi takes 30 ns when it is all that runs and more than
 * 100 on the packet path, where a packet needs four; here JavaScript writes the calls down, and a few machine
 * instructions of our own make them one after another.
 *
 *     call, 64 bytes   function 8 | arguments, five of 8 | unused 8 | result 8
 *
 * The list is memory of its own, which JavaScript alone writes within its bounds: what hostile packets pass through
 * (the arena, and the WASM kernels on it) cannot reach the functions' addresses.
 *
 * Sources: System V ABI for x86-64 3.2, Procedure Call Standard for Arm 64 6.
 */

import type { Native } from './ffi.ts';
import type { Routine } from './machine-code.ts';
import { executable } from './machine-code.ts';
import type { Block } from './memory.ts';
import { block, store64 } from './memory.ts';

/** `run(calls, count)`. */
export const RUN: Routine = {
  x64: [
    ['f30f1efa', 'endbr64'],
    ['53', 'push %rbx'],
    ['4154', 'push %r12'],
    ['50', 'push %rax'], // The stack is at a multiple of 16 again.
    ['4889fb', 'mov %rdi, %rbx'],
    ['4989f4', 'mov %rsi, %r12'],
    ['4d85e4', '1: test %r12, %r12'],
    ['7423', 'jz 2f'],
    ['488b7b08', 'mov 8(%rbx), %rdi'],
    ['488b7310', 'mov 16(%rbx), %rsi'],
    ['488b5318', 'mov 24(%rbx), %rdx'],
    ['488b4b20', 'mov 32(%rbx), %rcx'],
    ['4c8b4328', 'mov 40(%rbx), %r8'],
    ['ff13', 'call *(%rbx)'],
    ['48894338', 'mov %rax, 56(%rbx)'],
    ['4883c340', 'add $64, %rbx'],
    ['49ffcc', 'dec %r12'],
    ['ebd8', 'jmp 1b'],
    ['58', '2: pop %rax'],
    ['415c', 'pop %r12'],
    ['5b', 'pop %rbx'],
    ['c3', 'ret'],
  ],
  arm64: [
    ['5f2403d5', 'hint #34'], // bti c
    ['fd7bbea9', 'stp x29, x30, [sp, #-32]!'],
    ['fd030091', 'mov x29, sp'],
    ['f35301a9', 'stp x19, x20, [sp, #16]'],
    ['f30300aa', 'mov x19, x0'],
    ['f40301aa', 'mov x20, x1'],
    ['340100b4', '1: cbz x20, 2f'],
    ['680240a9', 'ldp x8, x0, [x19]'],
    ['610a41a9', 'ldp x1, x2, [x19, #16]'],
    ['631242a9', 'ldp x3, x4, [x19, #32]'],
    ['00013fd6', 'blr x8'],
    ['601e00f9', 'str x0, [x19, #56]'],
    ['73020191', 'add x19, x19, #64'],
    ['940600d1', 'sub x20, x20, #1'],
    ['f8ffff17', 'b 1b'],
    ['f35341a9', '2: ldp x19, x20, [sp, #16]'],
    ['fd7bc2a8', 'ldp x29, x30, [sp], #32'],
    ['c0035fd6', 'ret'],
  ],
};

/** Words of 32 bits. */
export const CALL_WORDS = 16;
const RESULT_WORD = 14;

type Run = (calls: number, count: number) => void;

export class CallList {
  /** Words of the calls, CALL_WORDS for each. */
  readonly words: Uint32Array;
  readonly #run: Run;
  readonly #block: Block;

  constructor(native: Native, run: Run, calls: number) {
    this.#run = run;
    this.#block = block(native, calls * CALL_WORDS * 4);
    this.words = this.#block.u32;
  }

  /** Writes down the call number `index`, as a whole. */
  set(index: number, target: number, ...parameters: readonly number[]): void {
    const at = index * CALL_WORDS * 4;
    for (const [i, value] of [target, ...parameters].entries())
      store64(this.words, at + 8 * i, value);
  }

  /** Makes the first `count` calls. */
  run(count: number): void {
    this.#run(this.#block.address, count);
  }

  /** What the call number `index` gave, if that is an `int`. */
  result(index: number): number {
    return (this.words[index * CALL_WORDS + RESULT_WORD] as number) | 0;
  }
}

/** Makes lists; undefined where there are none. */
export function callLists(native: Native): ((calls: number) => CallList) | undefined {
  const page = executable(native, RUN);
  if (page === undefined) return undefined;
  const run = native.functionAt<Run>(page, 'void', ['size_t', 'size_t']);
  return (calls) => new CallList(native, run, calls);
}
