/** What the kernel counts of a process: proc(5). Linux only. */

import { readFileSync } from 'node:fs';

/** USER_HZ, the same on all machines that we know. */
const TICKS_PER_SECOND = 100;

export interface Usage {
  /** utime + stime of all threads. */
  readonly cpuSeconds: number;
  /** Units of 10^6 bytes; Pss_Anon is what budgets are on. */
  readonly anonymousMb: number;
  readonly pssMb: number;
  readonly rssMb: number;
  /** Bytes sent to the disk, or waiting to be. */
  readonly writtenBytes: number;
}

export function usage(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the program's name in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const io = readFileSync(`/proc/${pid}/io`, 'utf8');
  const memory = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const megabytes = (name: string): number => (number(memory, name) * 1024) / 1e6;
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    anonymousMb: megabytes('Pss_Anon'),
    pssMb: megabytes('Pss'),
    rssMb: megabytes('Rss'),
    writtenBytes: number(io, 'write_bytes') - number(io, 'cancelled_write_bytes'),
  };
}

function number(text: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text);
  if (found === null) throw new Error(`proc: no ${name}`);
  return Number(found[1]);
}
