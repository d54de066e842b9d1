/**
 * Makes the Node binary ready to carry the program: takes out what is never loaded, and makes room for what
 * `node --build-sea` adds.
 *
 *     official binary      | headers | segments that are loaded | .debug_* .symtab .strtab | section table |
 *     trimmed              | headers | segments that are loaded |                       33 MB less on x64
 *
 *     addresses            ... | data, .bss            64 KiB edge | added: program headers ...
 *
 * Node adds its segments at the next 4 KiB after the last one, `.bss`. A kernel with larger pages (Raspberry
 * Pi OS on a Pi 5: 16 KiB; others 64 KiB) would map those read-only over the end of `.bss`, and the program
 * dies at its first write there. So `.bss` grows up to the edge of the largest page; it is zeros at no cost.
 *
 * In place of strip(1), which for the other architecture needs a toolchain, and whose bytes change with its
 * version. The loader reads program headers only; symbols that libraries look up are in .dynsym, a loaded one.
 *
 * Source: System V ABI, ELF-64 object file format.
 */

import { ConfigError } from '../../src/base/errors.ts';

const HEADER = {
  programHeadersAt: 32,
  sectionHeadersAt: 40,
  programHeaderBytes: 54,
  programHeaders: 56,
  sectionHeaders: 60,
  sectionNames: 62,
} as const;
const PROGRAM_HEADER_BYTES = 56;
const MEMORY_BYTES_AT = 40;
const LOAD = 1;
/** \x7FELF, 64 bits, little-endian, version 1. */
const MAGIC = '7f454c46020101';

/** The largest page of arm64; x64 has 4 KiB. */
export const LARGEST_PAGE_BYTES: number = 64 * 1024;

/** A segment that the loader maps; all in bytes. */
export interface Segment {
  /** Of its program header in the file. */
  readonly headerAt: number;
  readonly fileAt: number;
  readonly address: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

/** The segments that are loaded, by address. @throws ConfigError for what is no 64-bit ELF file */
export function loadedSegments(file: Buffer): readonly Segment[] {
  if (file.toString('hex', 0, MAGIC.length / 2) !== MAGIC)
    throw new ConfigError('wanted a 64-bit little-endian ELF file, found another kind of file');
  const first = word(file, HEADER.programHeadersAt);
  const count = file.readUInt16LE(HEADER.programHeaders);
  if (file.readUInt16LE(HEADER.programHeaderBytes) !== PROGRAM_HEADER_BYTES)
    throw new ConfigError('ELF: program headers of an unknown size');
  return Array.from({ length: count }, (_, i) => first + i * PROGRAM_HEADER_BYTES)
    .filter((at) => file.readUInt32LE(at) === LOAD)
    .map((at) => ({
      headerAt: at,
      fileAt: word(file, at + 8),
      address: word(file, at + 16),
      fileBytes: word(file, at + 32),
      memoryBytes: word(file, at + MEMORY_BYTES_AT),
    }))
    .sort((a, b) => a.address - b.address);
}

/** A copy without sections, whose last segment ends at the edge of a largest page. */
export function trimmed(file: Buffer): Buffer {
  const segments = loadedSegments(file);
  const last = segments.at(-1);
  if (last === undefined) throw new ConfigError('ELF: nothing in this file is loaded');
  const end = Math.max(...segments.map(({ fileAt, fileBytes }) => fileAt + fileBytes));
  const copy = Buffer.from(file.subarray(0, end));
  copy.writeBigUInt64LE(0n, HEADER.sectionHeadersAt);
  copy.writeUInt16LE(0, HEADER.sectionHeaders);
  copy.writeUInt16LE(0, HEADER.sectionNames);
  const edge =
    Math.ceil((last.address + last.memoryBytes) / LARGEST_PAGE_BYTES) * LARGEST_PAGE_BYTES;
  copy.writeBigUInt64LE(BigInt(edge - last.address), last.headerAt + MEMORY_BYTES_AT);
  return copy;
}

function word(file: Buffer, at: number): number {
  return Number(file.readBigUInt64LE(at));
}
