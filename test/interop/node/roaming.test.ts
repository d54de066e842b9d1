/**
 * A member moves to another network in the middle of an ssh session, and no line of it is lost (A21).
 *
 *     a ── router ──┐                      a is behind one NAT, and then behind another one, with another
 *     a ── router ──┴── hub ── b           address inside and outside
 */

import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../netns/child.ts';
import { UNDER_TEST as CONTROL } from '../control/server.ts';
import { NatNetwork } from './nat-network.ts';
import { Ssh, unbrokenLines } from './ssh.ts';
import { membersTest, PAIRS } from './suite.ts';

/** headscale tells a member seconds later of one that has just joined: two stock ones need more than 5 s, too. */
const FIRST_MS = CONTROL === 'headscale' ? 15_000 : 5000;
/** From the move to the next line; the terminal pauses, and goes on. */
const PAUSE_MS = 5000;
const AFTERWARDS_MS = 2000;

for (const who of ['who speaks', 'who listens'] as const)
  membersTest(
    `roaming: ${who} moves to another network in mid-session, and no line is lost`,
    PAIRS,
    {},
    async (t, members, kinds) => {
      const nats = await NatNetwork.create(members.network);
      const home = await nats.site('port-restricted', 'roamer');
      const move = await nats.otherUplink(home, 'port-restricted', 'mobile');
      const roams = who === 'who speaks' ? 0 : 1;
      const roamer = await members.joined(kinds[roams], 'roamer', home);
      const still = await members.joined(kinds[1 - roams] ?? 'stock', 'still');
      const [from, to] = roams === 0 ? [roamer, still] : [still, roamer];
      const ssh = await Ssh.serve(members.network, to.host);
      const session = ssh.lines(from.host, await to.ip4());
      await until('lines come', () => unbrokenLines(session) > 10, FIRST_MS);
      const isDirect = async (): Promise<boolean> => (await from.ping(await to.ip4())) === 'direct';
      await until('it goes directly', isDirect, 15_000);

      const before = unbrokenLines(session);
      await move();
      const moved = performance.now();
      await until('lines come again', () => unbrokenLines(session) > before + 5, 20_000);
      const took = performance.now() - moved;
      t.ok(took < PAUSE_MS, `after ${Math.round(took)} ms`);
      await pause(AFTERWARDS_MS);
      t.equal(await from.ping(await to.ip4()), 'direct', 'and directly');
      await session.stop();
      t.ok(
        unbrokenLines(session) > before + 20,
        `${unbrokenLines(session)} lines, each in its place`,
      );
    },
  );
