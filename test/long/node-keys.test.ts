/** A node key that changes every minute, by its setting, under an ssh session of five minutes (A6). */

import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { UNDER_TEST } from '../interop/node/ours.ts';
import { Ssh, unbrokenLines } from '../interop/node/ssh.ts';
import { nodeTest, ONE_WAY, OTHER_WAY } from '../interop/node/suite.ts';
import { until } from '../netns/child.ts';

const SESSION_MS = 5 * 60_000;
const LEAST_KEYS = 4;
const LOOK_MS = 1000;
const MOST_MS = 20 * 60_000;

t.setTimeout(MOST_MS);

nodeTest(
  'keys: renewed every minute under an open ssh, at least four of them and no line lost',
  [...ONE_WAY, ...OTHER_WAY],
  {
    timeoutMs: MOST_MS / 2,
    skip: UNDER_TEST !== 'ours' && 'a stock client asks for a login each time',
  },
  async (t, { a, b, kinds, mesh }) => {
    const mine = kinds[0] === 'ours' ? a : b;
    const before = (await mine.status()).Self;
    await mine.cli(['set', '--key-rotation=60s']);
    const ssh = await Ssh.serve(mesh.network, b.host);
    const session = ssh.lines(a.host, await b.ip4());
    await until('lines come', () => unbrokenLines(session) > 10);
    const keys = new Set<string>();
    for (const end = performance.now() + SESSION_MS; performance.now() < end; await pause(LOOK_MS))
      keys.add((await mine.status()).Self.PublicKey);
    await session.stop();
    t.ok(keys.size >= LEAST_KEYS, `${keys.size} keys`);
    // The output keeps its last 64 Ki characters; five minutes of lines are fewer.
    const lines = unbrokenLines(session);
    t.ok(lines > (SESSION_MS / 100) * 0.7, `${lines} lines, each in its place`);
    const after = (await mine.status()).Self;
    t.same([after.ID, after.TailscaleIPs], [before.ID, before.TailscaleIPs], 'it is the same node');
  },
);
