/**
 * Foreign functions: the only door to libc and OpenSSL, and the only user of koffi.
 *
 * Every pointer is a number (`size_t`): two to three times cheaper per call than handing over a Buffer, and
 * user addresses fit in 53 bits on both supported machines. Every system call gives its result, or `-errno`.
 * The functions are fields of one object that is handed to whoever needs them, so that a test can put a
 * refusing one in its place.
 *
 * koffi comes from npm when run from source; in a single executable main takes the bare `koffi.node` out of
 * the assets and hands its path over, to each worker too (`loadNative(path)`): the file needs none of koffi's
 * JavaScript. Symbols are those of the running process: libc, and the OpenSSL that Node brings.
 */

import { createRequire } from 'node:module';
import { constants, endianness } from 'node:os';
import type * as Koffi from 'koffi';
import { BugError, ConfigError } from '../base/errors.ts';

type Address = number;

/** System calls: a result of at least 0, or `-errno`. */
export interface SystemCalls {
  open(path: string, flags: number, mode: number): number;
  close(fd: number): number;
  read(fd: number, to: Address, bytes: number): number;
  write(fd: number, from: Address, bytes: number): number;
  writev(fd: number, iovecs: Address, count: number): number;
  ioctl(fd: number, request: number, argument: number): number;
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, name: Address, nameBytes: number): number;
  getsockname(fd: number, name: Address, nameBytes: Address): number;
  getsockopt(fd: number, level: number, option: number, to: Address, bytes: Address): number;
  setsockopt(fd: number, level: number, option: number, from: Address, bytes: number): number;
  sendto(
    fd: number,
    from: Address,
    bytes: number,
    flags: number,
    name: Address,
    nameBytes: number,
  ): number;
  sendmsg(fd: number, message: Address, flags: number): number;
  sendmmsg(fd: number, messages: Address, count: number, flags: number): number;
  recvmsg(fd: number, message: Address, flags: number): number;
  poll(pollfds: Address, count: number, timeoutMs: number): number;
  eventfd(value: number, flags: number): number;
  clockGettime(clock: number, timespec: Address): number;
  adjtimex(timex: Address): number;
}

/** A library's functions by name. */
export interface Library {
  /** The function, or undefined where the library has none of this name. */
  find<F>(name: string, result: ForeignType, parameters: readonly ForeignType[]): F | undefined;
}

/** A library whose functions can be called by others than us, too. */
export interface AddressedLibrary extends Library {
  /** Where the function stands, or undefined where the library has none of this name. */
  addressOf(name: string): Address | undefined;
}

export type ForeignType = 'void' | 'int' | 'size_t';

/** Calls back when a descriptor is ready; wait.ts is its only user. `status` is below zero for an error. */
export interface PollHandle {
  start(options: { readable: true }, callback: (status: number) => void): void;
  close(): void;
  ref(): void;
  unref(): void;
}

export interface Native extends SystemCalls {
  /** Where `buffer`'s memory stands; true for as long as the buffer lives and is not resized. */
  addressOf(buffer: ArrayBufferLike): Address;
  /** Symbols of the process itself. */
  readonly self: AddressedLibrary;
  /** The function that stands at `address`. */
  functionAt<F>(address: Address, result: ForeignType, parameters: readonly ForeignType[]): F;
  /** A shared library with its own copy of what it needs; undefined where there is none. */
  deepLibrary(name: string): Library | undefined;
  poller(fd: number, callback: (status: number) => void): PollHandle;
}

let loaded: Native | undefined;

/**
 * The foreign functions, loaded once in each thread.
 *
 * @param nativePath of a bare koffi.node; without it koffi is taken from npm's folder
 * @throws ConfigError on a machine other than x64 and arm64 Linux, or where the file cannot be loaded
 */
export function loadNative(nativePath?: string): Native {
  loaded ??= bindAll(loadKoffi(nativePath));
  return loaded;
}

function loadKoffi(nativePath: string | undefined): typeof Koffi {
  const machine = `${process.platform} ${process.arch}`;
  if (!['linux x64', 'linux arm64'].includes(machine) || endianness() !== 'LE')
    throw new ConfigError(`this is ${machine}; only 64-bit Linux on x64 and arm64 is supported`);
  if (nativePath === undefined)
    return createRequire(import.meta.url)('koffi') as unknown as typeof Koffi;
  const holder = { exports: {} };
  try {
    process.dlopen(holder, nativePath, constants.dlopen.RTLD_NOW);
  } catch (error) {
    throw new ConfigError(
      `cannot load ${nativePath}: ${(error as Error).message}; is the folder mounted noexec?`,
    );
  }
  return holder.exports as typeof Koffi;
}

function bindAll(koffi: typeof Koffi): Native {
  const library = koffi.load(null);
  return {
    ...bindSystemCalls(koffi, library),
    addressOf: (buffer) => {
      if (buffer.byteLength === 0) throw new BugError('an empty buffer has no address');
      return Number(koffi.address(buffer));
    },
    self: { ...searchable(library), addressOf: addressesOf(library) },
    functionAt: <F>(address: Address, result: ForeignType, parameters: readonly ForeignType[]) =>
      koffi.decode(BigInt(address), koffi.proto(result, [...parameters])) as F,
    deepLibrary: (name) => {
      // Without deep binding Node's own OpenSSL symbols get in between: SIGSEGV at the first use.
      try {
        return searchable(koffi.load(name, { deep: true }));
      } catch {
        return undefined;
      }
    },
    // koffi calls back with (status, events); its types leave the status out.
    poller: (fd, callback) =>
      koffi.node.poll(fd, { readable: true }, callback as never) as unknown as PollHandle,
  };
}

function addressesOf(library: Koffi.LibraryHandle): AddressedLibrary['addressOf'] {
  const find = library.func('dlsym', P, [P, 'str']) as (handle: number, name: string) => number;
  return (name) => find(RTLD_DEFAULT, name) || undefined;
}

function searchable(library: Koffi.LibraryHandle): Library {
  return {
    find: <F>(name: string, result: ForeignType, parameters: readonly ForeignType[]) => {
      try {
        return library.func(name, result, [...parameters]) as unknown as F;
      } catch {
        return undefined;
      }
    },
  };
}

function bindSystemCalls(koffi: typeof Koffi, library: Koffi.LibraryHandle): SystemCalls {
  const { errno } = koffi;
  const bind = (name: string, result: string, ...parameters: string[]): Call =>
    library.func(name, result, parameters);
  // One closure for each number of arguments: a rest parameter would allocate on the packet path.
  const two = (f: Call) => (a: Argument, b: Argument) => settle(f(a, b), errno);
  const three = (f: Call) => (a: Argument, b: Argument, c: Argument) => settle(f(a, b, c), errno);
  const four = (f: Call) => (a: Argument, b: Argument, c: Argument, d: Argument) =>
    settle(f(a, b, c, d), errno);
  const five = (f: Call) => (a: Argument, b: Argument, c: Argument, d: Argument, e: Argument) =>
    settle(f(a, b, c, d, e), errno);
  const closeFd = bind('close', 'int', 'int');
  const adjtimex = bind('adjtimex', 'int', P);
  const sendto = bind('sendto', 'long', 'int', P, P, 'int', P, 'uint');
  return {
    // Both supported machines pass variadic arguments as they pass named ones (open, ioctl).
    open: three(bind('open', 'int', 'str', 'int', 'int')),
    close: (fd) => settle(closeFd(fd), errno),
    read: three(bind('read', 'long', 'int', P, P)),
    write: three(bind('write', 'long', 'int', P, P)),
    writev: three(bind('writev', 'long', 'int', P, 'int')),
    ioctl: three(bind('ioctl', 'int', 'int', P, P)),
    socket: three(bind('socket', 'int', 'int', 'int', 'int')),
    bind: three(bind('bind', 'int', 'int', P, 'uint')),
    getsockname: three(bind('getsockname', 'int', 'int', P, P)),
    getsockopt: five(bind('getsockopt', 'int', 'int', 'int', 'int', P, P)),
    setsockopt: five(bind('setsockopt', 'int', 'int', 'int', 'int', P, 'uint')),
    sendto: (fd, from, bytes, flags, name, nameBytes) =>
      settle(sendto(fd, from, bytes, flags, name, nameBytes), errno),
    sendmsg: three(bind('sendmsg', 'long', 'int', P, 'int')),
    sendmmsg: four(bind('sendmmsg', 'int', 'int', P, 'uint', 'int')),
    recvmsg: three(bind('recvmsg', 'long', 'int', P, 'int')),
    poll: three(bind('poll', 'int', P, P, 'int')),
    eventfd: two(bind('eventfd', 'int', 'uint', 'int')),
    clockGettime: two(bind('clock_gettime', 'int', 'int', P)),
    adjtimex: (timex) => settle(adjtimex(timex), errno),
  };
}

const P = 'size_t';
const RTLD_DEFAULT = 0;
type Argument = number | string;
type Call = (...parameters: Argument[]) => number;

function settle(result: number, errno: () => number): number {
  return result < 0 ? -errno() : result;
}
