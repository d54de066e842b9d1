/** Memory of a process that is its own alone: RSS also counts the program's file, shared by all. */

import { readFileSync } from 'node:fs';

/** Bytes of anonymous memory, from /proc/PID/smaps_rollup. */
export function privateBytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const found = /^Pss_Anon:\s+(\d+) kB$/m.exec(text);
  if (!found) throw new Error(`smaps_rollup: no Pss_Anon in ${text}`);
  return Number(found[1]) * 1024;
}
