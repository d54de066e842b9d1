/**
 * Reads of one descriptor until it gives nothing more, for the price of one foreign call: a few machine instructions
 * of our own ask the kernel, without the C library's part in it. Where there can be none, the reads are made one by
 * one.
 *
 *     request   fd 8 | first place 8 | bytes between places 8 | capacity 8 | most 8 | results, 4 each
 *
 * Sources: syscalls(2) for both machines; System V ABI for x86-64 A.2.1.
 */

import type { Native } from './ffi.ts';
import type { Routine } from './machine-code.ts';
import { executable } from './machine-code.ts';
import type { Block } from './memory.ts';
import { block, load64, store64 } from './memory.ts';

/** `read(request)`: what is left of `most` when a read has given nothing, or 0. */
export const READ: Routine = {
  x64: [
    ['f30f1efa', 'endbr64'],
    ['4989f8', 'mov %rdi, %r8'],
    ['498b7008', 'mov 8(%r8), %rsi'],
    ['4d8b4810', 'mov 16(%r8), %r9'],
    ['498b5018', 'mov 24(%r8), %rdx'],
    ['498b38', 'mov (%r8), %rdi'],
    ['4d8b5020', 'mov 32(%r8), %r10'],
    ['4983c028', 'add $40, %r8'],
    ['4d85d2', '1: test %r10, %r10'],
    ['7416', 'jz 2f'],
    ['31c0', 'xor %eax, %eax'],
    ['0f05', 'syscall'],
    ['418900', 'mov %eax, (%r8)'],
    ['4983c004', 'add $4, %r8'],
    ['4c01ce', 'add %r9, %rsi'],
    ['49ffca', 'dec %r10'],
    ['4885c0', 'test %rax, %rax'],
    ['7fe5', 'jg 1b'],
    ['4c89d0', '2: mov %r10, %rax'],
    ['c3', 'ret'],
  ],
  arm64: [
    ['5f2403d5', 'hint #34'],
    ['090440a9', 'ldp x9, x1, [x0]'],
    ['0a0841a9', 'ldp x10, x2, [x0, #16]'],
    ['0b1040f9', 'ldr x11, [x0, #32]'],
    ['0ca00091', 'add x12, x0, #40'],
    ['e80780d2', 'mov x8, #63'],
    ['0b0100b4', '1: cbz x11, 2f'],
    ['e00309aa', 'mov x0, x9'],
    ['010000d4', 'svc #0'],
    ['804500b8', 'str w0, [x12], #4'],
    ['21000a8b', 'add x1, x1, x10'],
    ['6b0500d1', 'sub x11, x11, #1'],
    ['1f0000f1', 'cmp x0, #0'],
    ['2cffff54', 'b.gt 1b'],
    ['e0030baa', '2: mov x0, x11'],
    ['c0035fd6', 'ret'],
  ],
};

const [FD, AT, STRIDE, CAPACITY, MOST, RESULTS] = [0, 8, 16, 24, 32, 40];

/** Makes the reads of a request, and says how many of `most` it did not make, since one has given nothing. */
export type ReadEach = (request: Block) => number;

/** Places one after another, each of which takes one read. */
export interface ReadPlaces {
  /** Native address. */
  readonly at: number;
  readonly strideBytes: number;
  readonly capacityBytes: number;
  readonly count: number;
}

/** By the instructions, or one by one where there can be none. */
export function readEach(native: Native): ReadEach {
  const page = executable(native, READ);
  if (page === undefined) return oneByOne(native);
  const read = native.functionAt<(request: number) => number>(page, 'size_t', ['size_t']);
  return (request) => read(request.address);
}

export function oneByOne(native: Pick<Native, 'read'>): ReadEach {
  return ({ u32 }) => {
    const most = u32[MOST >> 2] as number;
    const stride = load64(u32, STRIDE);
    const capacity = load64(u32, CAPACITY);
    let at = load64(u32, AT);
    for (let i = 0; i < most; i++, at += stride) {
      const read = native.read((u32[FD >> 2] as number) | 0, at, capacity);
      u32[(RESULTS >> 2) + i] = read;
      if (read <= 0) return most - i - 1;
    }
    return 0;
  };
}

export class Reads {
  /** Of the last reads: bytes, or -errno. */
  readonly results: Int32Array;
  readonly #request: Block;
  readonly #each: ReadEach;

  constructor(native: Native, fd: number, places: ReadPlaces, each: ReadEach) {
    const { at, strideBytes, capacityBytes, count } = places;
    this.#each = each;
    this.#request = block(native, RESULTS + 4 * count);
    for (const [field, value] of [
      [FD, fd],
      [AT, at],
      [STRIDE, strideBytes],
      [CAPACITY, capacityBytes],
    ] as const)
      store64(this.#request.u32, field, value);
    this.results = new Int32Array(this.#request.memory.buffer, RESULTS, count);
  }

  /** Reads once to each place until one read gives nothing, at most `most` times; how many reads were made. */
  run(most: number): number {
    this.#request.u32[MOST >> 2] = most;
    return most - this.#each(this.#request);
  }
}
