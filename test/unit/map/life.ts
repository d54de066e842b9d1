/** What can happen to a network, one thing after another, by chance. */

import { unixMillis } from '../../../src/base/time.ts';
import { addRecord, changeSettings } from '../../../src/control/registry/dns.ts';
import { putNode } from '../../../src/control/registry/edit.ts';
import { shareDevices } from '../../../src/control/registry/lan.ts';
import type { MeshNode } from '../../../src/control/registry/model.ts';
import { deleteNode, renameNode, setExpiry, tagNode } from '../../../src/control/registry/nodes.ts';
import { announceRoutes, approveRoutes } from '../../../src/control/registry/routes.ts';
import { renameUser } from '../../../src/control/registry/users.ts';
import { ownersOnly } from '../../../src/control/registry/visibility.ts';
import { must } from '../../must.ts';
import type { Seeded } from '../../seeded.ts';
import { lan, nodeKey } from '../control/world.ts';
import type { MapNetwork } from './network.ts';
import { saidBy } from './network.ts';

const PREFIXES = ['192.168.1.0/24', '192.168.2.0/24', '0.0.0.0/0', '::/0'];

export class Life {
  readonly #network: MapNetwork;
  readonly #random: Seeded;
  readonly #users: ReturnType<MapNetwork['world']['user']>[];
  readonly #sessions = new Map<number, number>();
  #joined = 0;

  constructor(
    network: MapNetwork,
    random: Seeded,
    users: ReturnType<MapNetwork['world']['user']>[],
  ) {
    this.#network = network;
    this.#random = random;
    this.#users = users;
  }

  step(): void {
    const random = this.#random;
    const network = this.#network;
    const { coordinator, world } = network;
    const nodes = [...world.model.nodes.values()];
    // Now many, now hardly any, so that last peers come and go.
    const most = this.#joined % 120 < 60 ? 40 : 4;
    if (nodes.length === 0 || (nodes.length < most && random.below(4) === 0)) {
      this.#joined++;
      const tagged = random.below(8) === 0;
      const user = tagged ? null : must(this.#users[random.below(4) > 0 ? 0 : 1]);
      network.join(this.#joined + 1000, user, tagged ? ['tag:srv'] : []);
      return;
    }
    const node = random.pick(nodes);
    const id = node.id;
    if (nodes.length > most) {
      network.make((model, context) => deleteNode(model, { node: id }, context));
      return;
    }
    const make: MapNetwork['make'] = (change) => network.make(change);
    const deeds: (() => unknown)[] = [
      () => coordinator.said(id, saidBy(random)),
      () => coordinator.said(id, saidBy(random)),
      () => this.#sessions.set(id, coordinator.connect(id)),
      () => coordinator.disconnect(id, this.#sessions.get(id) ?? 0, 'silent'),
      () => coordinator.disconnect(id, this.#sessions.get(id) ?? 0, 'closed'),
      () => coordinator.probed(id, random.below(2) === 0),
      () => network.clock.pass(random.below(60_000)),
      () => make((m, c) => deleteNode(m, { node: id }, c)),
      () => make((m, c) => renameNode(m, { node: id, name: `n${random.below(90)}` }, c)),
      () => make((m, c) => setExpiry(m, { node: id, at: this.#expiry() }, c)),
      () => random.below(4) === 0 && make((m, c) => tagNode(m, { node: id, tags: ['tag:a'] }, c)),
      () => make((m, c) => announceRoutes(m, { node: id, prefixes: this.#prefixes() }, c)),
      () => make((m, c) => approveRoutes(m, { node: id, prefixes: this.#prefixes() }, c)),
      () => make((m, c) => shareDevices(m, { node: id, devices: this.#devices() }, c)),
      () => this.#changeKey(node),
      () => random.below(9) === 0 && this.#changeAll(),
    ];
    random.pick(deeds)();
  }

  #changeAll(): void {
    const random = this.#random;
    const network = this.#network;
    const name = `r${random.below(5)}.example.org`;
    const deeds: (() => unknown)[] = [
      () => network.make((m, c) => addRecord(m, { name, type: 'A', value: '192.0.2.1' }, c)),
      () =>
        network.make((m, c) =>
          changeSettings(m, { baseDomain: random.pick(['mesh.internal', 'home.internal']) }, c),
        ),
      () => {
        const policy = ownersOnly(
          random.below(2) === 0 ? { 'lan:cam': ['bob@'] } : { 'lan:nas': ['alice@'] },
        );
        network.world.policy = policy;
        network.coordinator.setPolicy(policy);
      },
      () => {
        const user = must(this.#users[1]).id;
        const login = random.pick(['bob', 'bobby']);
        network.make((m, c) => renameUser(m, { user, login }, c));
      },
    ];
    random.pick(deeds)();
  }

  /** As an approved rotation does it. */
  #changeKey({ id }: MeshNode): void {
    this.#network.make((model) => {
      const node = must(model.nodes.get(id));
      const key = nodeKey(1_000_000 + this.#random.below(1_000_000));
      return {
        ok: true,
        model: putNode(model, { ...node, nodeKey: key }),
        events: [{ type: 'node changed', node: id }],
        audit: null,
        result: null,
      };
    });
  }

  #expiry(): ReturnType<typeof unixMillis> | null {
    const { now } = this.#network.coordinator.network;
    return this.#random.below(3) === 0
      ? null
      : unixMillis(now + this.#random.below(600_000) - 60_000);
  }

  #prefixes(): string[] {
    return PREFIXES.filter(() => this.#random.below(2) === 0);
  }

  #devices(): ReturnType<typeof lan>[] {
    const devices = [
      lan('cam'),
      lan('nas', { name: this.#random.pick(['nas', 'store']) }),
      lan('phone', { kind: 'wireguard', publicKey: nodeKey(77) }),
    ];
    return devices.filter(() => this.#random.below(2) === 0);
  }
}
