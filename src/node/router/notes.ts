/**
 * What was changed on the machine, noted before it is changed, in one file for each interface:
 *
 *     FOLDER/INTERFACE.json    who (process and network namespace), his table of the packet filter, and each
 *                              switch with its value before him and the one that he gave it
 *
 *     nothing --note--> noted --done, restored--> nothing
 *                         |
 *                         +-- its process died -> the next start restores, whatever its interface
 *
 * The folder is on a file system that ends with the machine's run, as the switches do. Two routers on one machine
 * may both want a switch: the second notes the value from before the first, and whoever ends last restores it.
 */

import { mkdir, readdir, rm } from 'node:fs/promises';
import { disk, SafeFile } from '../../store/safe-file.ts';
import type { Mark, ProcessPort } from './ports.ts';

export interface Switch {
  readonly key: string;
  readonly before: string;
  readonly set: string;
}

export interface Note {
  readonly interface: string;
  readonly process: string;
  readonly network: string;
  readonly table: string;
  /** He has rules and routes in our table of the kernel (constants.ts), which only one can have. */
  readonly routing: boolean;
  /** The mark in those rules. */
  readonly mark: Mark;
  /** In the order in which they were set. */
  readonly switches: readonly Switch[];
}

const VERSION = 1;
const SUFFIX = '.json';

export class Notes {
  readonly #folder: string;
  readonly #process: ProcessPort;

  constructor(folder: string, process: ProcessPort) {
    this.#folder = folder;
    this.#process = process;
  }

  async write(note: Omit<Note, 'process' | 'network'>): Promise<void> {
    // For all to enter: sockets for other users lie in the same folder.
    await mkdir(this.#folder, { recursive: true, mode: 0o755 });
    const { id, network } = this.#process;
    const file = await this.#open(note.interface);
    await file.write({ ...note, process: id, network });
  }

  async remove(name: string): Promise<void> {
    for (const suffix of ['', '.previous', '.new', '.damaged'])
      await rm(`${this.#pathOf(name)}${suffix}`, { force: true });
  }

  /** Of processes that have died in this network. */
  async left(): Promise<readonly Note[]> {
    return (await this.#all()).filter(({ process }) => !this.#isRunning(process));
  }

  /** Of those at work in this network, but for the one on `name`. */
  async others(name: string): Promise<readonly Note[]> {
    const notes = await this.#all();
    return notes.filter((note) => note.interface !== name && this.#isRunning(note.process));
  }

  #isRunning(id: string): boolean {
    return id === this.#process.id || this.#process.isAlive(id);
  }

  async #all(): Promise<Note[]> {
    const files = await readdir(this.#folder).catch(() => []);
    const bare = files.map((file) => file.replace(/\.(previous|new|damaged)$/, ''));
    const notes: Note[] = [];
    for (const file of new Set(bare.filter((name) => name.endsWith(SUFFIX)))) {
      const { value } = await this.#open(file.slice(0, -SUFFIX.length));
      if (value?.network === this.#process.network) notes.push(value);
    }
    return notes;
  }

  #open(name: string): Promise<SafeFile<Note>> {
    return SafeFile.open({
      path: this.#pathOf(name),
      version: VERSION,
      read: readNote,
      files: disk,
    });
  }

  #pathOf(name: string): string {
    return `${this.#folder}/${name}${SUFFIX}`;
  }
}

function readNote(body: unknown, version: number): Note {
  if (version !== VERSION) throw new Error(`version ${version} is not known here`);
  const note = body as Note;
  const texts = [note.interface, note.process, note.network, note.table];
  if (!texts.every((text) => typeof text === 'string') || !Array.isArray(note.switches))
    throw new Error('it is no note of a router');
  if (typeof note.routing !== 'boolean' || !Number.isInteger(note.mark?.value & note.mark?.mask))
    throw new Error('it does not say which rules are ours');
  for (const { key, before, set } of note.switches)
    if (![key, before, set].every((text) => typeof text === 'string' && /^[^\n]*$/.test(text)))
      throw new Error('it holds no switches');
  return note;
}
