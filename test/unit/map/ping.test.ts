import t from 'tap';
import { renameNode } from '../../../src/control/registry/nodes.ts';
import { must } from '../../must.ts';
import { Reader, stand } from './stand.ts';

t.test('a ping is a frame of its own, between maps, for those who can take it', async (t) => {
  const { network, open, hub, raised } = stand();
  const alice = network.world.user('alice');
  const [a, b] = [network.join(1, alice), network.join(2, alice)];
  const ask = (id: string): boolean =>
    hub.ping(1, { URL: `https://192.0.2.1:8080/machine/ping-response?id=${id}`, URLIsNoise: true });
  t.equal(ask('a'), false, 'no stream');
  const early = new Reader();
  const old = hub.open(1, { version: 142, compress: true, keepAlive: true }, early);
  t.equal(ask('b'), false, 'before the first map');
  old.close('closed');
  for (const reader of [new Reader(), new Reader(false)]) {
    const { stream } = open(must(a), reader);
    const { reader: other } = open(must(b));
    network.clock.pass(1000);
    const [before, others] = [reader.maps.length, other.maps.length];
    network.make((model, context) => renameNode(model, { node: 2, name: 'nas' }, context));
    t.equal(ask('c'), true);
    t.equal(reader.maps.length, before + 1, 'at once');
    t.same(reader.last, {
      KeepAlive: true,
      PingRequest: {
        URL: 'https://192.0.2.1:8080/machine/ping-response?id=c',
        URLIsNoise: true,
      },
    });
    network.make((model, context) => renameNode(model, { node: 2, name: 'cam' }, context));
    network.clock.pass(1000);
    t.equal(reader.client.peers.get(2)?.['Name'], 'cam.mesh.internal.', 'and maps go on');
    t.ok(other.maps.slice(others).every((map) => map.PingRequest === undefined));
    reader.full = true;
    t.equal(ask('d'), true, 'taken, and now it is full');
    t.equal(ask('e'), false, 'no room');
    reader.full = false;
    stream.drained();
    t.equal(ask('f'), true);
    t.same(reader.faults, []);
  }
  const sent = hub.counters().frames;
  t.equal(hub.ping(1, { URL: 'https://192.0.2.1/', IP: 'no address' }), false);
  t.match(hub.counters(), { frames: sent, faults: 1 }, 'at fault, so it does not leave');
  network.make((model, context) => renameNode(model, { node: 2, name: 'nas' }, context));
  network.clock.pass(1000);
  t.match(raised.get('map-fault'), /PingRequest/);
  t.equal(ask('g'), true);
  network.make((model, context) => renameNode(model, { node: 2, name: 'cam' }, context));
  network.clock.pass(1000);
  t.same([...raised], []);
});
