/**
 * A TCP connection whose packets bear our mark from the first on, so that policy routing never sends the program's
 * own traffic into its own tunnel. Node cannot set the mark, so the socket is made and marked here, and connected,
 * read and closed by Node, which takes over a descriptor that is not connected yet.
 *
 *     SO_MARK              before connect(2), since that chooses the route
 *     TCP_NOTSENT_LOWAT    the kernel holds 128 kB that it has not sent, not megabytes: what waits longer waits
 *                          in a queue of ours, which knows what to drop
 *
 * Source: socket(7), tcp(7).
 */

import { Socket } from 'node:net';
import { NetError } from '../base/errors.ts';
import { formatIp, IPV4_BYTES } from '../base/ip.ts';
import { SOCKET } from './abi.ts';
import { checked, errnoText } from './errno.ts';
import type { Native } from './ffi.ts';
import { block } from './memory.ts';

const NOTSENT_BYTES = 131_072;

/**
 * @param address 4 or 16 bytes
 * @param mark 0 for none
 * @param signal ends the attempt; once connected it does nothing
 * @throws ConfigError where marks may not be set; NetError where there is no connection
 */
export async function dialTcp(
  native: Native,
  address: Uint8Array,
  port: number,
  mark: number,
  signal?: AbortSignal,
): Promise<Socket> {
  const host = formatIp(address);
  const where = address.length === IPV4_BYTES ? `${host}:${port}` : `[${host}]:${port}`;
  if (signal?.aborted) throw stopped(where);
  const fd = markedSocket(native, address.length === IPV4_BYTES, mark);
  const socket = takeOver(native, fd);
  return await new Promise<Socket>((done, fail) => {
    const end = (error: Error): void => {
      signal?.removeEventListener('abort', onAbort);
      // A late error of a socket that nobody waits for has no reader.
      socket.on('error', () => {});
      socket.destroy();
      fail(error);
    };
    const onAbort = (): void => end(stopped(where));
    signal?.addEventListener('abort', onAbort);
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const errno = error.errno === undefined ? undefined : -error.errno;
      const reason = errno === undefined ? error.message : errnoText(errno);
      end(Object.assign(new NetError(`cannot connect to ${where}: ${reason}`), codeOf(error)));
    });
    socket.connect({ host, port }, () => {
      signal?.removeEventListener('abort', onAbort);
      socket.removeAllListeners('error');
      socket.setNoDelay(true);
      done(socket);
    });
  });
}

/** A stream socket of the family; the caller owns the descriptor. */
function markedSocket(native: Native, ipv4: boolean, mark: number): number {
  const { AF_INET, AF_INET6, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC } = SOCKET;
  const family = ipv4 ? AF_INET : AF_INET6;
  const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = checked('open a TCP socket', native.socket(family, type, 0));
  try {
    const { SOL_SOCKET, SO_MARK, IPPROTO_TCP, TCP_NOTSENT_LOWAT } = SOCKET;
    const value = block(native, 4);
    const set = (level: number, option: number, to: number): number => {
      value.u32[0] = to;
      return native.setsockopt(fd, level, option, value.address, 4);
    };
    if (mark !== 0)
      checked(
        'mark a TCP socket',
        set(SOL_SOCKET, SO_MARK, mark),
        'the program needs CAP_NET_ADMIN (run it as root or by its unit)',
      );
    // An advice: without it the connection works, only with more in the kernel.
    set(IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_BYTES);
    return fd;
  } catch (error) {
    native.close(fd);
    throw error;
  }
}

/** Node's socket of a descriptor; it reads nothing before it is connected. */
function takeOver(native: Native, fd: number): Socket {
  try {
    const options = { fd, readable: true, writable: true, manualStart: true };
    return new Socket(options);
  } catch (error) {
    native.close(fd);
    throw error;
  }
}

function stopped(where: string): NetError {
  return Object.assign(new NetError(`cannot connect to ${where}: stopped waiting`), {
    code: 'ABORT_ERR',
  });
}

const codeOf = ({ code }: NodeJS.ErrnoException): { code?: string } =>
  code === undefined ? {} : { code };
