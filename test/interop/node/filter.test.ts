/** What a member does not let in: by its own setting, by the policy, and whatever bears another's address. */

import { must } from '../../must.ts';
import { until } from '../../netns/child.ts';
import type { Host } from '../../netns/lab.ts';
import { Members } from './members.ts';
import { TUN } from './ours.ts';
import { nodeTest, OTHER_WAY, PAIRS } from './suite.ts';

/** Bytes of payload that nothing else in these tests has. */
const ODD_BYTES = 937;

nodeTest(
  'filter: with shields up nobody comes in, and answers do',
  PAIRS,
  {},
  async (t, { a, b, mesh }) => {
    await Promise.all([mesh.serve(a.host), mesh.serve(b.host)]);
    const [toA, toB] = [await a.ip4(), await b.ip4()];
    t.equal(await mesh.talk(a.host, toB), 'whole');
    t.equal((await icmp(a.host, toB)).received, 1);
    await b.cli(['set', '--shields-up']);
    await until('b is shut', async () => (await mesh.talk(a.host, toB)) === 'no answer', 15_000);
    t.equal((await icmp(a.host, toB)).received, 0, 'ICMP too');
    t.equal(await mesh.talk(b.host, toA), 'whole', 'what b begins is answered');
    t.equal((await icmp(b.host, toA)).received, 1);
    await b.cli(['set', '--shields-up=false']);
    await until('b is open', async () => (await mesh.talk(a.host, toB)) === 'whole', 15_000);
  },
);

nodeTest(
  'filter: another user’s member is not seen, and what it sends is not taken',
  OTHER_WAY,
  {},
  async (t, { a, b, kinds, mesh }) => {
    await mesh.server.createUser('bob');
    const members = new Members(mesh);
    const stranger = await members.member(kinds[1], 'stranger');
    await stranger.up(await mesh.server.createKey({ user: 'bob' }));
    await mesh.serve(b.host);
    t.equal(await mesh.talk(a.host, await b.ip4()), 'whole');
    t.same((await stranger.status()).Peer ?? {}, {});
    t.not(await mesh.talk(stranger.host, await b.ip4()), 'whole');
    t.equal((await icmp(stranger.host, await b.ip4())).received, 0);
  },
);

nodeTest(
  'filter: a peer that sends in another one’s name is not heard',
  OTHER_WAY,
  {},
  async (t, { a, b, kinds, members }) => {
    const c = await members.joined('stock', 'c');
    t.equal(await a.ping('b'), 'direct');
    const to = await b.ip4();
    for (const [whose, source] of [
      ['its own', await a.ip4()],
      ['another member’s', await c.ip4()],
      ['nobody’s', '100.99.99.99'],
    ] as const) {
      const wire = await b.host.count(
        'input',
        `iifname "${b.station.cable.a.interface}" udp length > ${ODD_BYTES}`,
      );
      const inside = await b.host.count(
        'input',
        `iifname "${TUN[kinds[1]]}" icmp type echo-request ip saddr ${source}`,
      );
      await a.host.ip(`addr replace ${source}/32 dev lo`);
      await icmp(a.host, to, ['-I', source, '-s', String(ODD_BYTES)]);
      t.ok((await wire.packets()) > 0, `from ${whose} address: it was sent`);
      const heard = await inside.packets();
      t.equal(heard > 0, whose === 'its own', `and ${heard} came out of the tunnel`);
    }
  },
);

async function icmp(
  from: Host,
  to: string,
  more: readonly string[] = [],
): Promise<{ received: number }> {
  const { stdout } = await from.run(['ping', '-n', '-c', '1', '-W', '2', ...more, to], {
    check: false,
  });
  const received = must(/(\d+) received/.exec(stdout), `figures in ${stdout}`)[1];
  return { received: Number(received) };
}
