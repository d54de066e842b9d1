/**
 * A board without a clock battery wakes up in the past. Its handshake time stamps must not go back with it,
 * or every peer that remembers a later one stays silent until the time is right again.
 *
 * The clock of a namespace cannot be set, so the past is made the other way round: a state file from an hour
 * ahead first makes the peer remember that hour.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { disk, SafeFile } from '../../src/store/safe-file.ts';
import { until } from './child.ts';
import { isMissing, UNDER_TEST, uniqueInterface } from './implementations.ts';
import type { Lab } from './lab.ts';
import type { Pair, Side } from './pair.ts';
import { answers, endpointOf, introduce, makePair, ping, restart } from './pair.ts';
import { labTest } from './suite.ts';

const HOUR_MS = 3_600_000;
const RETRY_MS = 8000;

const subject = {
  skip:
    isMissing(UNDER_TEST) ||
    (UNDER_TEST !== 'ours' && 'only ours keeps a bound of its time stamps in a file'),
};

interface Scene extends Pair {
  readonly stateFolder: string;
}

/** 12 bytes in hex: TAI seconds from 2^62 on, 10 of them before 1970, then nanoseconds. */
function tai64n(unixMs: number): string {
  const seconds = 2n ** 62n + 10n + BigInt(Math.floor(unixMs / 1000));
  return `${seconds.toString(16)}00000000`;
}

/** A pair whose `a` has met `b` an hour ahead of the clock, and has been killed. */
async function anHourAhead(t: Test, lab: Lab): Promise<Scene> {
  const stateFolder = mkdtempSync(join(tmpdir(), 'postern-clock-'));
  lab.onClose(() => rmSync(stateFolder, { recursive: true, force: true }));
  const iface = uniqueInterface();
  const bound = await SafeFile.open<string>({
    path: `${stateFolder}/wireguard/${iface}`,
    version: 1,
    read: String,
    files: disk,
  });
  await bound.write(tai64n(Date.now() + HOUR_MS));
  const env = { POSTERN_STATE: stateFolder };
  const pair = await makePair(lab, [UNDER_TEST, UNDER_TEST], {
    initiator: 'a',
    a: { env, interface: iface },
  });
  await until('the first handshake', () => answers(pair.a, pair.b.inner[0]), RETRY_MS);
  t.equal((await ping(pair.a, pair.b.inner[0])).received, 3);
  pair.a.tunnel.child.signal('SIGKILL');
  await pair.a.tunnel.child.exited;
  return { ...pair, stateFolder };
}

async function comeBack(a: Side, b: Side): Promise<void> {
  await restart(a);
  await introduce(a, b, endpointOf(b));
}

labTest('clock: time stamps do not go back with it', subject, async (t, lab) => {
  const { a, b } = await anHourAhead(t, lab);
  await comeBack(a, b);
  await until('a ping comes back', () => answers(a, b.inner[0]), 2000);
  t.equal((await ping(a, b.inner[0])).received, 3, 'the peer takes the new handshake');
});

labTest('clock: without the state file the peer stays silent', subject, async (t, lab) => {
  const { a, b, stateFolder } = await anHourAhead(t, lab);
  rmSync(join(stateFolder, 'wireguard'), { recursive: true });
  const answered = await b.host.count('output', `udp sport ${b.port} udp length 100`);
  await comeBack(a, b);
  const pings = await ping(a, b.inner[0], { count: 10, intervalMs: 100 });
  t.equal(pings.received, 0, 'which shows that the file is what helps');
  t.equal(await answered.packets(), 0, 'no response to a time stamp of the past');
});
