/**
 * Who is at the other end of a unix socket, as the kernel noted it when that end connected: no later change of
 * its uid counts, and nothing that it says.
 *
 *     struct ucred    pid 4 | uid 4 | gid 4        getsockopt SOL_SOCKET SO_PEERCRED, unix(7)
 *
 * Node keeps a socket's descriptor in its handle and gives it to nobody; the handle's `fd` has been there since
 * 0.10, and where it is not, nobody is known.
 */

import type { Socket } from 'node:net';
import { SOCKET, STRUCT } from './abi.ts';
import type { Native } from './ffi.ts';
import { block } from './memory.ts';

export interface PeerCredentials {
  /** 0: of another pid namespace. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** A port for one thread; undefined for a socket that is closed or no unix socket. */
export function peerCredentials(native: Native): (socket: Socket) => PeerCredentials | undefined {
  const { bytes, pid, uid, gid } = STRUCT.ucred;
  const credentials = block(native, bytes);
  const length = block(native, 4);
  return (socket) => {
    const fd = descriptorOf(socket);
    if (fd === undefined) return undefined;
    length.u32[0] = bytes;
    const { SOL_SOCKET, SO_PEERCRED } = SOCKET;
    const result = native.getsockopt(
      fd,
      SOL_SOCKET,
      SO_PEERCRED,
      credentials.address,
      length.address,
    );
    if (result < 0 || length.u32[0] !== bytes) return undefined;
    const word = (at: number): number => credentials.u32[at >> 2] as number;
    // What is no unix socket answers with nobody: pid 0 and the uid and gid -1.
    const nobody = word(uid) === 0xffff_ffff;
    return nobody ? undefined : { pid: word(pid), uid: word(uid), gid: word(gid) };
  };
}

function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as unknown as { _handle?: { fd?: unknown } | null };
  const fd = handle?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}
