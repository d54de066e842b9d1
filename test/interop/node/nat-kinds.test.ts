/** The laboratory itself: each place is asked which kind of NAT it lies behind, before anything is judged by it. */

import { join } from 'node:path';
import type { Test } from 'tap';
import type { Lab } from '../../netns/lab.ts';
import { labTest } from '../../netns/suite.ts';
import { NODE } from '../control/mesh.ts';
import type { Station } from '../control/network.ts';
import { HUB, Network } from '../control/network.ts';

import { HUB2, NatNetwork, SITES } from './nat-network.ts';
import type { Dependence, NatFacts } from './nat-probe.ts';

const PROBE = join(import.meta.dirname, 'nat-probe.ts');

const EXPECTED = {
  open: ['endpoint', 'endpoint'],
  firewall: ['endpoint', 'port'],
  easy: ['endpoint', 'endpoint'],
  'address-restricted': ['endpoint', 'address'],
  'port-restricted': ['endpoint', 'port'],
  'address-dependent': ['address', 'port'],
  hard: ['port', 'port'],
  mapped: ['port', 'port'],
  double: ['endpoint', 'port'],
  blocked: ['nothing comes through', 'nothing comes through'],
  ipv6: ['nothing comes through', 'nothing comes through'],
} as const satisfies Record<(typeof SITES)[number], readonly [Dependence, Dependence]>;

natTest('nat: every place maps and filters as its name says', async (t, nats) => {
  for (const kind of SITES) {
    const station = await nats.site(kind, kind);
    const { mapping, filtering } = await ask(station);
    t.same([mapping, filtering], EXPECTED[kind], kind);
  }
});

natTest('nat: two members behind one carrier have one address', async (t, nats) => {
  for (const hairpin of [true, false]) {
    const stations = await nats.carrier(hairpin, `one-${hairpin}`, `other-${hairpin}`);
    const facts = await Promise.all(stations.map(ask));
    t.same(
      facts.map(({ mapping }) => mapping),
      ['endpoint', 'endpoint'],
    );
    t.equal(new Set(facts.map(({ seen }) => seen.split(':')[0])).size, 1, 'of both');
    t.equal(new Set(facts.map(({ seen }) => seen)).size, 2, 'by different ports');
  }
});

async function ask({ host }: Station): Promise<NatFacts> {
  const { stdout } = await host.run([NODE, PROBE, 'ask', HUB, HUB2]);
  return JSON.parse(stdout) as NatFacts;
}

function natTest(name: string, body: (t: Test, nats: NatNetwork) => Promise<void>): void {
  labTest(name, { timeoutMs: 60_000 }, async (t, lab: Lab) => {
    const network = await Network.create(lab);
    try {
      const nats = await NatNetwork.create(network);
      const server = network.hub.start([NODE, PROBE, 'serve', HUB, HUB2]);
      await server.says(/serving/);
      await body(t, nats);
    } finally {
      await lab.close();
      network.close();
    }
  });
}
