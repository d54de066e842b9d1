/** A board that is the server of its network and a node of it, as the appliance is. */

import { must } from '../../must.ts';
import { until } from '../../netns/child.ts';
import { HUB } from '../control/network.ts';
import { meshTest } from '../control/suite.ts';
import { Members } from './members.ts';
import { UNDER_TEST } from './ours.ts';

const UP_MS = 40_000;

meshTest(
  'own server: server and node of one board come up from power-on, in either order, with no Internet',
  { timeoutMs: 150_000 },
  async (t, mesh) => {
    const members = new Members(mesh);
    const { network, server } = mesh;
    const laptop = await members.joined('stock', 'laptop');
    // Only the host and its address are of use here: nobody cuts this cable.
    const hub = { ...laptop.station, host: network.hub, address: HUB };
    const box = await members.joined(UNDER_TEST, 'box', hub);
    const address = await box.ip4();
    t.equal(await laptop.ping('box'), 'direct');

    for (const first of ['node', 'server'] as const) {
      await Promise.all([box.stop('killed'), server.child.stop('SIGKILL')]);
      const start = { node: () => box.start(), server: () => server.again() };
      await start[first]();
      await start[first === 'node' ? 'server' : 'node']();
      const running = await until(
        `the ${first} first: Running`,
        async () => {
          const status = await box.status();
          return status.BackendState === 'Running' && status.Self.Online ? status : undefined;
        },
        UP_MS,
      );
      t.equal(must(running).Self.TailscaleIPs[0], address, `the ${first} first: the same address`);
      await until(
        `the ${first} first: reached`,
        async () => (await laptop.ping(address)) === 'direct',
        UP_MS,
      );
      await mesh.serve(network.hub);
      t.equal(await mesh.talk(laptop.host, address), 'whole');
    }
  },
);
