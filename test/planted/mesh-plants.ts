/** Planted faults of a node as a member of a mesh. */

import type { Plant } from './plant.ts';

const dataplane = (file: string): string => `src/node/dataplane/${file}`;
const MESH = 'test/unit/dataplane/mesh.test.ts';
const APPLY = 'test/unit/node/apply.test.ts';
const PATHS = 'test/unit/paths/peers.test.ts';
const REBIND = 'paths: after a change of link the path is doubted, asked and proven again';

export const MESH_PLANTS: readonly Plant[] = [
  {
    name: 'a member lets everybody in before its map says whom',
    file: dataplane('plane.ts'),
    text: 'this.#rules(ports.mesh ? [] : [ALLOW_ALL]);',
    replacement: 'this.#rules([ALLOW_ALL]);',
    judge: MESH,
    sees: 'mesh: before the map has rules nobody gets in, and the refused packet can be shown',
  },
  {
    name: 'a member takes a peer to be where it was last heard',
    file: dataplane('receive.ts'),
    text: 'if (this.#shared.relay === null) this.#roam(at);',
    replacement: 'this.#roam(at);',
    judge: MESH,
    sees: 'mesh: what came by the relay is opened like any other, and moves no endpoint',
  },
  {
    name: 'a way that is doubted is relied on alone',
    file: dataplane('sealed-runs.ts'),
    text: '(nowhere || (arena.f64[(this.#runPeer + PEER.trustedUntil) >> 3] as number) <= this.#now)',
    replacement: 'nowhere',
    judge: MESH,
    sees: 'mesh: by a way that is doubted both carry it, and a path is asked for once a second',
  },
  {
    name: 'the filter’s word does not count',
    file: dataplane('deliver.ts'),
    text: 'if (verdict !== 0)',
    replacement: 'if (verdict < 0)',
    judge: MESH,
    sees: 'mesh: before the map has rules nobody gets in, and the refused packet can be shown',
  },
  {
    name: 'a peer’s map entry with a new key leaves the old key in the tunnel',
    file: 'src/node-apply.ts',
    text: 'if (now === undefined || now.Key !== peer.node.Key) leave(peer);',
    replacement: 'if (now === undefined) leave(peer);',
    judge: APPLY,
    sees: 'apply: who goes, or comes with another key, is removed before the new one is there',
  },
  {
    name: 'after a change of network no path is doubted',
    file: 'src/node/paths/paths.ts',
    text: 'use.path.doubt();',
    replacement: '',
    judge: PATHS,
    sees: REBIND,
  },
  {
    name: 'a router’s answer may lead to any host',
    file: 'src/protocol/disco/upnp/gateway-url.ts',
    text: ' || url.hostname !== formatIp(gateway)',
    replacement: '',
    judge: 'test/unit/disco/upnp.test.ts',
    sees: 'upnp: an answer leads to the gateway itself, or nowhere',
  },
  {
    name: 'a port that a router has opened stays open after the end',
    file: 'src/node/paths/upnp.ts',
    text: 'await standing?.device.remove(standing.service, standing.externalPort, CLOSING_PATIENCE);',
    replacement: '',
    judge: 'test/unit/paths/upnp-mapping.test.ts',
    sees: 'upnp: where nothing else gives a port, it is mapped, renewed and given back',
  },
];
