/**
 * How one member reaches another, by what goes over the wire and not by what either says of itself.
 *
 *     ping through the mesh, ten a second, 700 bytes      first answer                  -> connected
 *     tcpdump of what comes in from outside, over UDP     first WireGuard packet of
 *                                                         that size from another        -> direct
 *
 * A relay's packets come by TCP. Disco is no WireGuard, and keep-alives and handshakes are shorter.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from '../control/client.ts';

export interface Reach {
  /** From the first ping to the first answer; undefined: none came. */
  readonly connectedMs: number | undefined;
  /** To the first that came by a direct path; undefined: none did. */
  readonly directMs: number | undefined;
}

const BYTES = 700;
const EVERY_SECONDS = 0.1;
const TRANSPORT = `(udp[8:4] = 0x04000000 or (ip6 and udp and ip6[48:4] = 0x04000000)) and greater ${BYTES}`;
const LOOK_MS = 100;
/** Direct is where it stays so. */
const AFTERWARDS_MS = 500;

/** @param mostMs a pair that is not direct by then is said not to be */
export async function reach(from: Client, to: string, mostMs: number): Promise<Reach> {
  const { interface: outside } = from.station.cable.a;
  const capture = from.host.start(
    ['tcpdump', '-n', '-tt', '-l', '-Q', 'in', '-i', outside, TRANSPORT],
    { name: 'tcpdump' },
  );
  await capture.says(/listening on/);
  const began = Date.now();
  const ping = from.host.start(
    ['ping', '-n', '-D', '-i', String(EVERY_SECONDS), '-s', String(BYTES), to],
    { name: 'ping' },
  );
  const first = (output: string, wanted: RegExp): number | undefined => {
    const seconds = wanted.exec(output)?.[1];
    return seconds === undefined ? undefined : Math.max(0, Number(seconds) * 1000 - began);
  };
  const answered = (): number | undefined => first(ping.output, /^\[(\d+\.\d+)\] \d+ bytes from/m);
  const direct = (): number | undefined => first(capture.output, /^(\d+\.\d+) IP6? /m);
  while (Date.now() < began + mostMs && direct() === undefined) await pause(LOOK_MS);
  if (direct() !== undefined) await pause(AFTERWARDS_MS);
  await Promise.all([ping.stop('SIGKILL'), capture.stop('SIGKILL')]);
  return { connectedMs: answered(), directMs: direct() };
}
