/**
 * A small JSON document that survives power cuts: whoever was told "written" finds it, or something newer,
 * after any cut.
 *
 *     NAME            postern-state <version> <bytes of body> <SHA-256 of version \n body> \n body (JSON)
 *     NAME.previous   the document before
 *     NAME.new        being written; never read
 *     NAME.damaged    the last copy that could not be read, for a person to look at
 *
 *     write: NAME.new, fsync -> NAME becomes NAME.previous -> NAME.new becomes NAME -> fsync of the folder
 *
 * A cut between the two renames leaves no NAME; NAME.previous is then the last acknowledged document. A
 * damaged NAME is put aside when read, so that it never takes the place of a good NAME.previous.
 *
 * One process owns a document. Writes to one document run one after another.
 */

import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { access, mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { NetError } from '../base/errors.ts';

/** More is not a small document, and is not read. */
export const MAX_DOCUMENT_BYTES: number = 1024 * 1024;

const MAGIC = 'postern-state';
const HEADER = /^postern-state (\d{1,9}) (\d{1,9}) ([0-9a-f]{64})$/;

/** The operations a write is made of; `disk` fits them. A test counts them and cuts between two. */
export interface FilePort {
  /** A new or emptied file of mode 0600 with this text, synced. */
  create(path: string, text: string): Promise<void>;
  /** @throws with code ENOENT where `from` does not exist */
  rename(from: string, to: string): Promise<void>;
  syncFolder(path: string): Promise<void>;
  /** A folder of mode 0700 with those above it, synced; nothing where it exists. */
  makeFolder(path: string): Promise<void>;
  /** At most `mostBytes` + 1 bytes; undefined where there is no file. */
  read(path: string, mostBytes: number): Promise<Uint8Array | undefined>;
}

/**
 * Makes a value of the body, or throws where the version or the content is not known to it. Versions older
 * than the own one are migrated here.
 */
export type ReadDocument<T> = (body: unknown, version: number) => T;

export interface SafeFileOptions<T> {
  readonly path: string;
  /** Written with each document. */
  readonly version: number;
  readonly read: ReadDocument<T>;
  readonly files: FilePort;
}

export class SafeFile<T> {
  readonly #options: SafeFileOptions<T>;
  /** What the last open or write left: undefined where there was no readable document. */
  value: T | undefined;
  /** What was wrong at open, in words for a person; empty if nothing was. */
  readonly problems: readonly string[];
  /** NAME holds a good document, which the next write makes the previous one. */
  #current: boolean;
  #last: Promise<void> = Promise.resolve();

  private constructor(options: SafeFileOptions<T>, found: Found<T>) {
    this.#options = options;
    this.value = found.value;
    this.problems = found.problems;
    this.#current = found.current;
  }

  /**
   * Reads the document, or the previous one where it is damaged. Does not throw for what a file holds, nor
   * for one that cannot be read.
   */
  static async open<T>(options: SafeFileOptions<T>): Promise<SafeFile<T>> {
    return new SafeFile(options, await find(options));
  }

  /**
   * Writes `value`; when the promise resolves, it survives a power cut.
   *
   * @throws NetError for a full or read-only disk and the like; what stood before still stands
   */
  write(value: T): Promise<void> {
    const writing = this.#last.then(() => this.#write(value));
    this.#last = writing.catch(() => {});
    return writing;
  }

  async #write(value: T): Promise<void> {
    const { path, version, files } = this.#options;
    const folder = dirname(path);
    const text = documentText(value, version);
    try {
      await files.makeFolder(folder);
      await files.create(`${path}.new`, text);
      if (this.#current) {
        await files.rename(path, `${path}.previous`);
        this.#current = false;
      }
      await files.rename(`${path}.new`, path);
      this.#current = true;
      await files.syncFolder(folder);
    } catch (error) {
      throw new NetError(`state: cannot write ${path}: ${(error as Error).message}`, {
        cause: error,
      });
    }
    this.value = value;
  }
}

interface Found<T> {
  value: T | undefined;
  problems: string[];
  current: boolean;
}

async function find<T>(options: SafeFileOptions<T>): Promise<Found<T>> {
  const { path, files } = options;
  const problems: string[] = [];
  const current = await readOne(options, path, problems);
  if (typeof current === 'object') return { value: current.value, problems, current: true };
  // A file that could not be read at all (too many open files, say) may be good: it stays where it is.
  if (current === 'damaged')
    try {
      await files.rename(path, `${path}.damaged`);
    } catch (error) {
      problems.push(`state: cannot put ${path} aside: ${(error as Error).message}`);
    }
  const previous = await readOne(options, `${path}.previous`, problems);
  if (typeof previous === 'string') return { value: undefined, problems, current: false };
  problems.push(`state: ${path} is missing or unusable; its previous copy is used`);
  return { value: previous.value, problems, current: false };
}

async function readOne<T>(
  { read, files }: SafeFileOptions<T>,
  path: string,
  problems: string[],
): Promise<{ value: T } | 'absent' | 'unreadable' | 'damaged'> {
  let bytes: Uint8Array | undefined;
  try {
    bytes = await files.read(path, MAX_DOCUMENT_BYTES);
  } catch (error) {
    problems.push(`state: cannot read ${path}: ${(error as Error).message}`);
    return 'unreadable';
  }
  if (bytes === undefined) return 'absent';
  try {
    const { body, version } = parseDocument(bytes);
    return { value: read(body, version) };
  } catch (error) {
    problems.push(`state: cannot use ${path}: ${(error as Error).message}`);
    return 'damaged';
  }
}

function documentText(value: unknown, version: number): string {
  const body = `${JSON.stringify(value)}\n`;
  const bytes = Buffer.byteLength(body);
  if (bytes > MAX_DOCUMENT_BYTES - 256)
    throw new NetError(`state: a document of ${bytes} bytes is too large`);
  return `${MAGIC} ${version} ${bytes} ${digest(version, Buffer.from(body))}\n${body}`;
}

function parseDocument(bytes: Uint8Array): { body: unknown; version: number } {
  if (bytes.length > MAX_DOCUMENT_BYTES) throw new Error('it is too large');
  const newline = bytes.indexOf(0x0a);
  const header = HEADER.exec(Buffer.from(bytes.subarray(0, Math.max(0, newline))).toString());
  if (header === null) throw new Error('it has no header');
  const body = bytes.subarray(newline + 1);
  if (body.length !== Number(header[2])) throw new Error('it is cut short or too long');
  const version = Number(header[1]);
  if (digest(version, body) !== header[3]) throw new Error('its checksum is wrong');
  return { body: JSON.parse(Buffer.from(body).toString()), version };
}

const digest = (version: number, body: Uint8Array): string =>
  createHash('sha256').update(`${version}\n`).update(body).digest('hex');

/** The real disk. */
export const disk: FilePort = {
  create: (path, text) =>
    using(path, 'w', async (file) => {
      await file.writeFile(text);
      await file.sync();
    }),
  rename: (from, to) => rename(from, to),
  syncFolder: (path) => using(path, 'r', (folder) => folder.sync()),
  makeFolder: async (path) => {
    // Not `recursive`: where the file system answers ENOENT for a child of a folder that exists, as /proc
    // does, Node tries for ever.
    try {
      await mkdir(path, { mode: 0o700 });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return;
      if (code !== 'ENOENT' || (await exists(dirname(path)))) throw error;
      await disk.makeFolder(dirname(path));
      await mkdir(path, { mode: 0o700 });
    }
    await disk.syncFolder(dirname(path));
  },
  read: async (path, mostBytes) => {
    try {
      return await using(path, 'r', (file) => readUpTo(file, mostBytes + 1));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  },
};

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function readUpTo(file: FileHandle, most: number): Promise<Uint8Array> {
  const { size } = await file.stat();
  const bytes = new Uint8Array(Math.min(size, most));
  let at = 0;
  while (at < bytes.length) {
    const { bytesRead } = await file.read(bytes, at, bytes.length - at, at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}

async function using<R>(
  path: string,
  flags: 'r' | 'w',
  action: (file: FileHandle) => Promise<R>,
): Promise<R> {
  const file = await open(path, flags, 0o600);
  try {
    return await action(file);
  } finally {
    await file.close();
  }
}
