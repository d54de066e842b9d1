/**
 * What the network's policy lets through: by port, by protocol, and in one direction alone. Our server has no
 * language for a policy yet, so the network is headscale's (POSTERN_CONTROL_UNDER_TEST=headscale).
 *
 *     alice's  -- tcp 7001, udp and tcp 7003 -->  bob's
 *     alice's  <-- nothing -------------------   bob's
 */

import { until } from '../../netns/child.ts';
import { UNDER_TEST } from '../control/server.ts';
import { membersTest, PAIRS } from './suite.ts';

const POLICY = {
  acls: [
    { action: 'accept', proto: 'tcp', src: ['alice@'], dst: ['bob@:7001'] },
    { action: 'accept', src: ['alice@'], dst: ['bob@:7003'] },
  ],
};
const PORTS = [7001, 7002, 7003] as const;
const SOME_BYTES = 100_000;

membersTest(
  'policy: a port, a protocol and a direction are let in, and nothing else',
  PAIRS,
  {
    policy: POLICY,
    skip: UNDER_TEST !== 'headscale' && 'our server has no policy language yet',
  },
  async (t, members, kinds) => {
    const { mesh } = members;
    const a = await members.joined(kinds[0], 'a');
    await mesh.server.createUser('bob');
    const b = await members.member(kinds[1], 'b');
    await b.up(await mesh.server.createKey({ user: 'bob' }));
    await Promise.all([mesh.serve(a.host, ...PORTS), mesh.serve(b.host, ...PORTS)]);
    const [toA, toB] = [await a.ip4(), await b.ip4()];
    const talk = async (port: number): Promise<string> => mesh.talk(a.host, toB, SOME_BYTES, port);
    await until('a reaches b', async () => (await talk(7001)) === 'whole', 15_000);
    t.equal(await talk(7003), 'whole', 'a port of any protocol');
    t.not(await talk(7002), 'whole', 'a port that no rule names');
    for (const port of PORTS)
      t.not(await mesh.talk(b.host, toA, SOME_BYTES, port), 'whole', `b to a, port ${port}`);
    t.equal(await talk(7001), 'whole', 'and what is let in still is');
  },
);
