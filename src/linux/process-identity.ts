/**
 * Who a process is, so that what it left can be told from what it still uses: its pid with the moment at which it
 * was started, since a pid comes again; and the network namespace that it lives in.
 *
 * Source: proc_pid_stat(5), field 22; namespaces(7).
 */

import { readFileSync, readlinkSync } from 'node:fs';

export interface ProcessIdentity {
  /** Unique while the machine is up. */
  readonly id: string;
  readonly network: string;
  isAlive(id: string): boolean;
}

export function processIdentity(pid: number): ProcessIdentity {
  return {
    id: identityOf(pid) ?? `${pid}:0`,
    network: readlinkSync('/proc/self/ns/net'),
    isAlive: (id) => identityOf(Number(id.split(':')[0])) === id,
  };
}

/** Undefined where there is no such process, or it is a zombie. */
function identityOf(pid: number): string | undefined {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is a name in brackets, with any character in it.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : `${pid}:${fields[19]}`;
  } catch {
    return undefined;
  }
}
