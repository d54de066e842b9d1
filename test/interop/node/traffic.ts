/** Pings that go on while something happens, and what of them was answered. */

import type { Child } from '../../netns/child.ts';
import type { Host } from '../../netns/lab.ts';

/** Pings that go on; what they have said is in its output, one line `icmp_seq=N` for each answer. */
export function pingOn(from: Host, to: string, everyMs = 100): Child {
  const argv = ['ping', '-n', '-D', '-i', String(everyMs / 1000), '-W', '60', to];
  return from.start(argv, { name: 'ping' });
}

/** What a `pingOn` has had answered: sequence number and when, in UnixMillis. */
export function answers({ output }: Child): { readonly sequence: number; readonly at: number }[] {
  const lines = output.matchAll(/^\[(\d+\.\d+)\] \d+ bytes from .* icmp_seq=(\d+) .*$/gm);
  return Array.from(lines, ([, at, sequence]) => ({
    sequence: Number(sequence),
    at: Number(at) * 1000,
  }));
}

/** The longest time without an answer since `since`, up to now, in milliseconds. */
export function longestGap(child: Child, since: number): number {
  const times = answers(child).flatMap(({ at }) => (at >= since ? [at] : []));
  const all = [since, ...times, Date.now()];
  return Math.max(...all.map((at, i) => at - (all[i - 1] ?? at)));
}
