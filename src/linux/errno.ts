/**
 * errno: what the kernel's refusals are called, and which kind of error they become. The one place where a
 * number turns into words. A caller that knows more (which option, which file) says it in `what` and `remedy`.
 *
 *     a person must change something   ConfigError: permission, a missing device, kernel feature or name
 *     try again later                  NetError: everything that may pass by itself
 *
 * Either carries `code`, the symbolic name, for callers that go on differently (`EADDRINUSE`).
 */

import { ConfigError, NetError } from '../base/errors.ts';
import { ERRNO } from './abi.ts';

/** A failed system call, by its symbolic name: `EPERM`, or `E123` for one that has no place in the table. */
export interface SystemFailure {
  readonly code: string;
}

type Kind = 'config' | 'net';

const MEANING: Readonly<Record<keyof typeof ERRNO, readonly [Kind, string]>> = {
  EPERM: [
    'config',
    'not permitted: the program needs CAP_NET_ADMIN (run it as root or by its unit)',
  ],
  ENOENT: ['config', 'does not exist'],
  EINTR: ['net', 'interrupted by a signal'],
  EIO: ['net', 'the device cannot do it now'],
  ENXIO: ['config', 'the device is not there'],
  EBADF: ['net', 'the descriptor is closed'],
  EAGAIN: ['net', 'not now'],
  ENOMEM: ['net', 'the kernel is out of memory'],
  EACCES: ['config', 'access denied by file permissions or a security policy'],
  EBUSY: ['config', 'in use by another program'],
  EEXIST: ['config', 'exists already'],
  ENODEV: ['config', 'no such device'],
  EINVAL: ['config', 'the kernel does not take this value'],
  ENFILE: ['net', 'the system has too many open files'],
  EMFILE: ['net', 'the program has too many open files'],
  ENOSPC: ['net', 'no space left'],
  ENOSYS: ['config', 'the kernel lacks this call'],
  EBADFD: ['net', 'the device has gone'],
  EDESTADDRREQ: ['net', 'no destination'],
  EMSGSIZE: ['net', 'the datagram is too long'],
  ENOPROTOOPT: ['config', 'the kernel lacks this option'],
  EPROTONOSUPPORT: ['config', 'the kernel lacks this protocol'],
  EOPNOTSUPP: ['config', 'the kernel lacks this operation'],
  EAFNOSUPPORT: ['config', 'the kernel lacks this address family'],
  EADDRINUSE: ['net', 'the address or port is in use by another program'],
  EADDRNOTAVAIL: ['net', 'this machine has no such address'],
  ENETDOWN: ['net', 'the network interface is down'],
  ENETUNREACH: ['net', 'no route to this network'],
  ENOBUFS: ['net', 'the kernel has no buffer left'],
  ETIMEDOUT: ['net', 'timed out'],
  ECONNREFUSED: ['net', 'the other side refused'],
  EHOSTUNREACH: ['net', 'no route to this host'],
};

const NAMES = new Map<number, keyof typeof ERRNO>(
  (Object.keys(ERRNO) as (keyof typeof ERRNO)[]).map((name) => [ERRNO[name], name]),
);

export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `E${errno}`;
}

/** `EADDRINUSE: the address or port is in use by another program` */
export function errnoText(errno: number): string {
  const name = NAMES.get(errno);
  return name === undefined ? `E${errno}: see errno(3)` : `${name}: ${MEANING[name][1]}`;
}

/**
 * The error to throw for a failed system call.
 *
 * @param what could not be done, with its argument: `bind UDP port 51820`
 * @param result of the call: `-errno`
 * @param remedy what to do about it, where the caller knows better than the table
 */
export function systemError(
  what: string,
  result: number,
  remedy?: string,
): (ConfigError | NetError) & SystemFailure {
  const errno = -result;
  const name = NAMES.get(errno);
  const text = `cannot ${what}: ${remedy === undefined ? errnoText(errno) : `${errnoName(errno)}: ${remedy}`}`;
  const config = name !== undefined && MEANING[name][0] === 'config';
  const error = config ? new ConfigError(text) : new NetError(text);
  return Object.assign(error, { code: errnoName(errno) });
}

/** The result itself, or a thrown `systemError` where it is below zero. */
export function checked(what: string, result: number, remedy?: string): number {
  if (result < 0) throw systemError(what, result, remedy);
  return result;
}
