/**
 * The planted faults: each takes one check away, in one piece of text, and names the test that must see it.
 * A fault that no test sees is a check that could be lost unseen.
 */

import { MESH_PLANTS } from './mesh-plants.ts';
import type { Plant } from './plant.ts';

const dataplane = (file: string): string => `src/node/dataplane/${file}`;
const tunnel = (file: string): string => `src/node/tunnel/${file}`;
const HOSTILE = 'test/sim/hostile.test.ts';
const CROWD = 'test/sim/crowd.test.ts';
const TIMES = 'test/sim/tunnel.test.ts';
const RECEIVE = 'test/unit/dataplane/receive.test.ts';
const TRANSMIT = 'test/unit/dataplane/transmit.test.ts';
const KEYPAIRS = 'test/unit/dataplane/keypairs.test.ts';
const KERNELS = 'test/unit/dataplane/kernels.test.ts';
const GRO = 'test/unit/dataplane/gro.test.ts';
/** Its cases run one by one, by name (planted.test.ts). */
export const ESSENTIALS = 'test/netns/essentials.test.ts';

export const PLANTS: readonly Plant[] = [
  {
    name: 'the replay window lets a seen counter pass',
    file: dataplane('replay.as.ts'),
    text: 'return (seen & bit) == 0;',
    replacement: 'return true;',
    judge: HOSTILE,
    sees: 'hostile: a replayed transport datagram is refused, and moves no endpoint',
  },
  {
    name: 'the replay window keeps words that should have been cleared',
    file: dataplane('replay.as.ts'),
    text: 'if (next != 0) clearBetween(windowAt + 16, (next - 1) >> 5, counter >> 5);',
    replacement: '',
    judge: KERNELS,
    sees: 'replay: each counter is accepted once, whatever the order',
  },
  {
    name: 'the replay window takes what is too old for it',
    file: dataplane('replay.as.ts'),
    text: 'else if (next - 1 - counter > BEHIND) return false;',
    replacement: '',
    judge: KERNELS,
    sees: 'replay: exactly 16,352 counters behind the greatest are told apart',
  },
  {
    name: 'an inner source is not compared with the peer',
    file: dataplane('deliver.ts'),
    text: "if (owner !== peer) return this.#refuse('in: source not allowed', peer, text, length, now);",
    replacement: 'void owner;',
    judge: HOSTILE,
    sees: 'hostile: an inner source that is nobody’s is dropped',
  },
  {
    name: 'an inner source may be any peer’s',
    file: dataplane('deliver.ts'),
    text: "if (owner !== peer) return this.#refuse('in: source not allowed', peer, text, length, now);",
    replacement:
      "if (owner < 0) return this.#refuse('in: source not allowed', peer, text, length, now);",
    judge: CROWD,
    sees: 'slots: a peer that speaks in the name of another is not heard',
  },
  {
    name: 'an inner source is not compared with the peer, judged on a real kernel',
    file: dataplane('deliver.ts'),
    text: "if (owner !== peer) return this.#refuse('in: source not allowed', peer, text, length, now);",
    replacement: 'void owner;',
    judge: ESSENTIALS,
    sees: 'ours to ours: a source address outside the allowed IPs is dropped',
  },
  {
    name: 'MAC1 is not looked at',
    file: tunnel('handshakes.ts'),
    text: "if (!checker.mac1Fits(datagram)) return 'handshake: wrong MAC1';",
    replacement: '',
    judge: HOSTILE,
    sees: 'hostile: an initiation with a wrong MAC1 is not answered',
  },
  {
    name: 'under load nobody is asked for a cookie',
    file: tunnel('handshakes.ts'),
    text: 'if (now >= this.#loadUntil) return undefined;',
    replacement: 'if (now >= 0) return undefined;',
    judge: 'test/sim/fuzz.test.ts',
    sees: 'fuzz: under load a right MAC1 gets a cookie, which is shorter, and no more',
  },
  {
    name: 'an initiation of the same or an older time is answered',
    file: tunnel('responder.ts'),
    text: 'if (!isLater(timestamp, peer.latestTimestamp)) return REPLAYED;',
    replacement: '',
    judge: HOSTILE,
    sees: 'hostile: an initiation again, or an older one, is not answered',
  },
  {
    name: 'a keypair is not renewed at 120 s',
    file: dataplane('sealed-runs.ts'),
    text: 'this.#now >= (f64[(keypair + KEYPAIR.rekeyAt) >> 3] as number) ||',
    replacement: '',
    judge: TIMES,
    sees: 'tunnel: under traffic the initiator makes a new keypair every 120 s',
  },
  {
    name: 'who only receives does not renew its keypair',
    file: dataplane('receive.ts'),
    text: "notify({ type: 'rekey', slot: slots.slotAt(at) });",
    replacement: '',
    judge: TIMES,
    sees: 'tunnel: an initiator that receives in the last 15 s renews its keypair at once',
  },
  {
    name: 'the tag is not verified',
    file: 'src/crypto/aead-node.ts',
    text: '      decipher.final();\n',
    replacement: '',
    judge: HOSTILE,
    sees: 'hostile: with any one bit changed a transport datagram is refused',
  },
  {
    name: 'a forged datagram moves the endpoint',
    file: dataplane('receive.ts'),
    text: "const drop = aead.forged(i) ? 'in: forged' : this.#opened(slot, length, text);",
    replacement: `
      const index = this.#shared.arena.u32[(slot + 4) >> 2] as number;
      const at = this.#named(keypairAt(this.#shared.arena.layout, index & this.#mask), index);
      if (aead.forged(i)) this.#roam(at);
      const drop = aead.forged(i) ? 'in: forged' : this.#opened(slot, length, text);`,
    judge: HOSTILE,
    sees: 'hostile: with any one bit changed a transport datagram is refused',
  },
  {
    name: 'what proves forged in the end is taken',
    file: dataplane('receive.ts'),
    text: "const drop = aead.forged(i) ? 'in: forged' : this.#opened(slot, length, text);",
    replacement: 'const drop = this.#opened(slot, length, text);',
    judge: HOSTILE,
    sees: 'hostile: with any one bit changed a transport datagram is refused',
  },
  {
    name: 'a run leaves before it is sealed',
    file: dataplane('sealed-runs.ts'),
    text: 'aead.settle();',
    replacement: '',
    judge: TRANSMIT,
    sees: 'transmit: a super-packet leaves as sealed segments in runs within bounds',
  },
  {
    name: 'an answered keypair is sent under at once',
    file: dataplane('plane.ts'),
    text: "if (command.as === 'next') {",
    replacement: "if (command.as === 'next' && slots.peerOf(at) < 0) {",
    judge: HOSTILE,
    sees: 'hostile: an answered keypair carries nothing before the peer has used it',
  },
  {
    name: 'an answered keypair never becomes current',
    file: dataplane('receive.ts'),
    text: 'slots.confirm(at);',
    replacement: '',
    judge: KEYPAIRS,
    sees: 'keypairs: previous, current and next are heard; only what is current is sent under',
  },
  {
    name: 'a keypair of 180 s is heard',
    file: dataplane('receive.ts'),
    text: "if (age >= REJECT_AFTER_TIME) return 'in: keypair expired';",
    replacement: '',
    judge: HOSTILE,
    sees: 'hostile: what was sealed under a keypair is refused 180 s after its birth',
  },
  {
    name: 'a keypair of 180 s is sent under',
    file: dataplane('slots.ts'),
    text: 'return age < REJECT_AFTER_TIME ? keypair : -1;',
    replacement: 'return age >= 0 ? keypair : -1;',
    judge: HOSTILE,
    sees: 'hostile: nothing is sent under a keypair of 180 s',
  },
  {
    name: 'a sending counter stands still',
    file: dataplane('sealed-runs.ts'),
    text: 'f64[(keypair + KEYPAIR.counter) >> 3] = counter + 1;',
    replacement: 'f64[(keypair + KEYPAIR.counter) >> 3] = counter;',
    judge: TRANSMIT,
    sees: 'transmit: a super-packet leaves as sealed segments in runs within bounds',
  },
  {
    name: 'padding carries what stood there before',
    file: dataplane('sealed-runs.ts'),
    text: 'for (let i = text + length, end = text + padded; i < end; i++) u8[i] = 0;',
    replacement: '',
    judge: TRANSMIT,
    sees: 'transmit: any mix of packets goes to its peers whole, once and in order',
  },
  {
    name: 'waiting packets of a peer have no bound',
    file: dataplane('waiting.ts'),
    text: 'queue.packets.length > MOST_PACKETS_PER_PEER || ',
    replacement: '',
    judge: TRANSMIT,
    sees: 'transmit: packets wait for a keypair, so many, and the oldest goes first',
  },
  {
    name: 'the filter’s verdict is not heeded',
    file: dataplane('deliver.ts'),
    text: 'if (verdict !== 0)',
    replacement: 'if (verdict < 0)',
    judge: RECEIVE,
    sees: 'receive: each datagram that is refused has its reason, and moves nothing',
  },
  {
    name: 'a congestion mark is lost on the way in',
    file: dataplane('deliver.ts'),
    text: 'if (ecn !== 0 && !ecnDecapsulate(u8, text, ecn))',
    replacement: 'if (ecn > 3 && !ecnDecapsulate(u8, text, ecn))',
    judge: RECEIVE,
    sees: 'receive: ECN comes out as RFC 6040 has it, in both families',
  },
  {
    name: 'a packet with a bad checksum is joined',
    file: dataplane('gro.as.ts'),
    text: 'if (!intact(at, length)) return false;',
    replacement: '',
    judge: GRO,
    sees: 'gro: a packet with a bad checksum passes alone and as it came',
  },
  {
    name: 'a slot’s next peer inherits the keypairs of the one before',
    file: dataplane('slots.ts'),
    text: '    this.dropKeypairs(at);\n    this.#slotOf.delete(peer);',
    replacement: '    this.#slotOf.delete(peer);',
    judge: KEYPAIRS,
    sees: 'keypairs: a forgotten peer is not heard, whatever is under way',
  },
  {
    name: 'of an index only the low bits count',
    file: dataplane('receive.ts'),
    text: 'if (u32[(keypair + KEYPAIR.ownIndex) >> 2] !== index) return -1;',
    replacement: 'void index;',
    judge: HOSTILE,
    sees: 'hostile: with any one bit changed a transport datagram is refused',
  },
  {
    name: 'whoever was heard last loses its slot first',
    file: tunnel('active.ts'),
    text: 'if (use >= oldestUse) continue;',
    replacement: 'if (oldest !== undefined && use <= oldestUse) continue;',
    judge: CROWD,
    sees: 'slots: who has been silent longest goes, and bytes outlive the slot',
  },
  {
    name: 'who initiated does not confirm the keypair',
    file: dataplane('transmit.ts'),
    text: 'if (confirm && at >= 0 && packets.length === 0) this.keepalive(at, now);',
    replacement: 'void confirm;',
    judge: TRANSMIT,
    sees: 'transmit: waiting packets are bounded in bytes over all peers',
  },
  {
    name: 'packets wait on for a handshake that has ended',
    file: tunnel('tunnel.ts'),
    text: "    this.#ports.link.send({ type: 'give-up', peer: peer.number });\n",
    replacement: '',
    judge: TIMES,
    sees: 'tunnel: a peer that was away for long is called as before, once it is back',
  },
  ...MESH_PLANTS,
];
