/**
 * Tells systemd how the service is: READY=1, STATUS=, WATCHDOG=1, STOPPING=1, as datagrams to the unix socket
 * that NOTIFY_SOCKET names. Node has no datagram sockets of that kind, hence the system calls.
 *
 * Source: sd_notify(3), sd_watchdog_enabled(3), unix(7).
 */

import { SOCKET, STRUCT } from './abi.ts';
import type { Native } from './ffi.ts';
import { block } from './memory.ts';

export interface ServiceManager {
  /** Lines of `KEY=value`. Nobody needs to hear a state that cannot be told. */
  tell(state: string): void;
  /** How often it wants to hear WATCHDOG=1, in milliseconds; undefined: not at all. */
  readonly watchdogMillis: number | undefined;
}

/** Speaks to nobody where nothing in `environment` names a listener. */
export function serviceManager(
  native: Native,
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): ServiceManager {
  const path = environment['NOTIFY_SOCKET'] ?? '';
  const forUs = (environment['WATCHDOG_PID'] ?? String(pid)) === String(pid);
  const micros = forUs ? Number(environment['WATCHDOG_USEC']) : Number.NaN;
  const name = nameOf(path);
  return {
    watchdogMillis: micros > 0 ? micros / 1000 / 2 : undefined,
    tell: (state) => {
      if (name !== undefined) send(native, name, Buffer.from(state));
    },
  };
}

/** The socket's name as the kernel has it; `@` stands for the zero of an abstract one. */
function nameOf(path: string): Uint8Array | undefined {
  const { bytes, sun_family, sun_path } = STRUCT.sockaddr_un;
  const text = Buffer.from(path);
  if (!/^[/@]./.test(path) || text.length >= bytes - sun_path) return undefined;
  const name = new Uint8Array(sun_path + text.length);
  name[sun_family] = SOCKET.AF_UNIX;
  name.set(text, sun_path);
  if (path.startsWith('@')) name[sun_path] = 0;
  return name;
}

function send(native: Native, name: Uint8Array, text: Uint8Array): void {
  const fd = native.socket(SOCKET.AF_UNIX, SOCKET.SOCK_DGRAM | SOCKET.SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const memory = block(native, name.length + text.length);
  memory.u8.set(name);
  memory.u8.set(text, name.length);
  native.sendto(fd, memory.address + name.length, text.length, 0, memory.address, name.length);
  native.close(fd);
}
