import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { lineLog } from '../../../src/base/log.ts';
import type { News } from '../../../src/control/coordinator/coordinator.ts';
import { Changes } from '../../../src/control/map/changes.ts';
import { difference, firstMap } from '../../../src/control/map/difference.ts';
import { Sharing } from '../../../src/control/map/pages.ts';
import type { MapFacts, View } from '../../../src/control/map/view.ts';
import { Common, peersIn, revised, view } from '../../../src/control/map/view.ts';
import type { MeshNode } from '../../../src/control/registry/model.ts';
import { mapFault } from '../../../src/protocol/tailcfg/validate.ts';
import { seeded } from '../../seeded.ts';
import { ModelClient } from './client.ts';
import { Life } from './life.ts';
import { MapNetwork } from './network.ts';

const TIME = '2027-01-15T08:00:00.000Z';
const ROUNDS = 3000;
const facts = (region: number): MapFacts => ({
  derpMap: {
    Regions: { [region]: { RegionID: region, RegionCode: 'own', RegionName: 'Own', Nodes: [] } },
  },
});

/** Nothing kept from before: what one view knows must not help another to be right. */
const commonParts = (): Common => new Common(new Sharing(lineLog(() => {}, 'error')));

/** A viewer in a test: what it was told, by views that were revised again and again. */
interface Watcher {
  view: View;
  place: number;
  readonly client: ModelClient;
}

t.test(
  'difference: after any change a client that was told differences is where a new one would be',
  async (t) => {
    const random = seeded(7);
    const network = new MapNetwork({ 'lan:cam': ['bob@'] }, random);
    const { coordinator } = network;
    const changes = new Changes();
    coordinator.subscribe((_, news: readonly News[]) => changes.note(news, () => false));
    const common = commonParts();
    const users = ['alice', 'bob'].map((login) => network.world.user(login));
    const watchers = new Map<number, Watcher>();
    const life = new Life(network, random, users);
    const counts = { revised: 0, differences: 0, patches: 0, whole: 0, removedLast: 0 };
    let known = facts(900);
    for (let round = 0; round < ROUNDS; round++) {
      life.step();
      if (random.below(200) === 0) {
        known = facts(900 + random.below(3));
        changes.noteFacts();
      }
      const now = coordinator.network;
      for (const id of watchers.keys()) if (!now.model.nodes.has(id)) watchers.delete(id);
      for (const node of now.model.nodes.values()) {
        // Some fall behind and catch up by one step over many changes.
        const watcher = watchers.get(node.id);
        if (watcher !== undefined && random.below(3) > 0) continue;
        const fault = look(node, watcher);
        if (fault !== undefined)
          return t.equal(fault, undefined, `round ${round}, node ${node.id}`);
      }
    }
    t.ok(Math.min(...Object.values(counts)) > 0, 'each way of telling was taken');
    return t.pass(JSON.stringify(counts));

    function look(node: MeshNode, watcher: Watcher | undefined): string | undefined {
      const now = coordinator.network;
      const viewer = watcher?.view.viewer ?? {
        id: node.id,
        version: random.pick([113, 119, 142]),
      };
      const whole = view(now, viewer, node, known, commonParts());
      const first = firstMap(whole, TIME).map;
      const fresh = new ModelClient();
      fresh.take(first);
      if (watcher === undefined) {
        const client = new ModelClient();
        client.take(first);
        watchers.set(node.id, { view: whole, place: changes.end, client });
        return mapFault(first);
      }
      const { client, place, view: before } = watcher;
      const next = revised(before, now, node, known, changes.since(place), common);
      counts.revised++;
      if (!isDeepStrictEqual(plain(next), plain(whole))) {
        t.same(plain(next), plain(whole));
        return 'the revised view is not the view';
      }
      const found = difference(before, next, TIME);
      if (found !== undefined) {
        counts.differences++;
        if (found.map.PeersChangedPatch) counts.patches++;
        if (found.whole) counts.whole++;
        if (peersIn(next).length === 0 && peersIn(before).length > 0) counts.removedLast++;
        const fault = mapFault(found.map);
        if (fault !== undefined) return fault;
        client.take(found.map);
      }
      watcher.view = next;
      watcher.place = changes.end;
      if (client.faults.length > 0) return client.faults.join();
      if (!isDeepStrictEqual(client.state(), fresh.state())) {
        t.same(client.state(), fresh.state());
        return `told ${JSON.stringify(found?.map)}`;
      }
      return undefined;
    }
  },
);

/** A view without what is only there to be fast. */
function plain({ pages: _pages, ...seen }: View): unknown {
  return { ...seen, peers: peersIn({ pages: _pages } as View) };
}
