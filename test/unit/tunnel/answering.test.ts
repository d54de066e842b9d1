/** An initiation that came by several ways is answered once, and nothing that nobody waits for comes before the answer. */

import t from 'tap';
import { parseEndpoint, sockaddr } from '../../../src/base/endpoint.ts';
import { NodePrivate, nodePublic } from '../../../src/base/keys.ts';
import type { X25519 } from '../../../src/crypto/x25519.ts';
import { ownKey, peerKey } from '../../../src/crypto/x25519.ts';
import { createArena } from '../../../src/node/dataplane/arena.ts';
import type { Command, Report } from '../../../src/node/dataplane/commands.ts';
import { RingWriter } from '../../../src/node/dataplane/ring.ts';
import type { OpenSockets, SocketsPort } from '../../../src/node/tunnel/ports.ts';
import { INITIATION_BYTES, RESPONSE_BYTES } from '../../../src/protocol/wireguard/messages.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { Clock } from '../../sim/clock.ts';
import { meshTunnel } from './mesh-tunnel.ts';

const BY_IPV4 = sockaddr(must(parseEndpoint('192.0.2.7:41641')));
const BY_IPV6 = sockaddr(must(parseEndpoint('[2001:db8::7]:41641')));

/** X25519 of node:crypto, whose calls are counted. */
function counting(): X25519 & { readonly calls: () => number } {
  let calls = 0;
  return {
    publicKey: (secret) => ownKey(secret).publicKey,
    sharedSecret: (secret, peer) => {
      calls++;
      return ownKey(secret).agree(peerKey(peer));
    },
    calls: () => calls,
  };
}

function socketsSaying(sent: (datagram: Uint8Array) => void): SocketsPort {
  const opened: OpenSockets = {
    port: 41641,
    udp4: 1,
    udp6: 2,
    gso: true,
    sendTo: (_to, datagram) => sent(datagram),
    setMark: () => {},
    close: () => {},
  };
  return { open: () => opened };
}

t.test(
  'answering: the keypair, the answer, and only then the rest; a copy is not computed',
  async (t) => {
    const clock = new Clock();
    clock.runTo(1000);
    const random = seeded(11);
    const [ours, theirs] = [new NodePrivate(random.bytes(32)), new NodePrivate(random.bytes(32))];
    const publicOf = (key: NodePrivate) => nodePublic(ownKey(key.expose()).publicKey);
    const initiations: Uint8Array[] = [];
    const them = meshTunnel(clock, random, {
      send: (_, datagram) => initiations.push(datagram.slice()) === 0,
    });
    const events: string[] = [];
    let waiting: Command[] = [];
    const x25519 = counting();
    const arena = createArena({ activePeers: 4, flows: 64, rules: 64 });
    const us = meshTunnel(
      clock,
      random,
      { heard: () => events.push('heard') },
      {
        arena,
        x25519,
        link: {
          send: (command) => void waiting.push(command),
          flush: () => {
            events.push(...waiting.map(({ type }) => type));
            waiting = [];
          },
        },
        sockets: socketsSaying(({ length }) => events.push(`${length} bytes`)),
      },
    );
    us.configure({ privateKey: ours, peers: [{ publicKey: publicOf(theirs), allowedIps: [] }] });
    them.configure({ privateKey: theirs, peers: [{ publicKey: publicOf(ours), allowedIps: [] }] });
    us.up();
    them.up();
    them.onEvent({ type: 'handshake-wanted', peer: 1 });
    const initiation = must(initiations[0]);
    t.equal(initiation.length, INITIATION_BYTES);
    waiting = [];
    const before = x25519.calls();
    const ring = new RingWriter(arena, () => {});
    for (const source of [BY_IPV4, BY_IPV6]) {
      arena.u8.set(initiation, arena.layout.rxIn);
      arena.u8.set(source, arena.layout.sourceAt);
      t.ok(ring.write(arena.layout.rxIn, initiation.length, arena.layout.sourceAt));
    }
    us.onEvent({ type: 'datagrams' });
    t.same(events, ['activate', 'keypair', `${RESPONSE_BYTES} bytes`, 'heard']);
    t.equal(x25519.calls() - before, 3, 'secrets of one answer');
    const reporting = us.report();
    us.onEvent({ type: 'report', report: {} as Report });
    const { handshakes } = await reporting;
    t.equal(handshakes['initiation answered'], 1);
    t.equal(handshakes['handshake: replayed initiation'], 1);
    us.close();
    them.close();
  },
);
