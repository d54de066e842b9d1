import t from 'tap';
import type { Arena } from '../../../src/node/dataplane/arena.ts';
import {
  createArena,
  KEYPAIR,
  keypairAt,
  PEER,
  peerAt,
} from '../../../src/node/dataplane/arena.ts';
import type { Event } from '../../../src/node/dataplane/commands.ts';
import type { BulkAead } from '../../../src/node/dataplane/ports.ts';
import { Slots } from '../../../src/node/dataplane/slots.ts';
import { must } from '../../must.ts';

/** Keypair slots of the table's letters; X is the new one. */
const LETTERS = 'PCNX';
const FIELDS = [PEER.previous, PEER.current, PEER.next] as const;
const NOW = 5_000_000;

function make() {
  const arena = createArena({ activePeers: 4, flows: 64, rules: 64 });
  const events: Event[] = [];
  const forgotten: number[] = [];
  const aead: BulkAead = {
    name: 'node-crypto',
    seal: () => {},
    open: () => -1,
    settle: () => {},
    forged: () => false,
    startBatch: () => {},
    forget: (keyAt) => forgotten.push(keyAt),
  };
  const slots = new Slots(arena, aead, (event) => events.push(event));
  return { arena, slots, events, forgotten };
}

/** `PCN`: previous, current and next of a slot, `-` for none. */
function show({ u32 }: Arena, at: number): string {
  return FIELDS.map((field) => `-${LETTERS}`[must(u32[(at + field) >> 2])]).join('');
}

function set({ u32 }: Arena, at: number, state: string): void {
  for (const [i, field] of FIELDS.entries())
    u32[(at + field) >> 2] = LETTERS.indexOf(must(state[i])) + 1;
}

// previous, current, next | answered our own: current | we answered: next | used by the peer | dropped
const TABLE: readonly (readonly [string, string, string, string, string])[] = [
  ['---', '-X- free', '--X free', '', '--- free'],
  ['P--', '-X- free P', '--X free P', '', '--- free P'],
  ['-C-', 'CX- free', '-CX free', '', '--- free C'],
  ['PC-', 'CX- free P', '-CX free P', '', '--- free CP'],
  ['--N', 'NX- free', '--X free N', '-N- free', '--- free N'],
  ['P-N', 'NX- free P', '--X free NP', '-N- free P', '--- free NP'],
  // Both ends began at once: theirs stays to be heard under, and the old one goes.
  ['-CN', 'NX- free C', '-CX free N', 'CN- free', '--- free CN'],
  ['PCN', 'NX- free CP', '-CX free NP', 'CN- free P', '--- free CNP'],
];

t.test('slots: keypairs move as the whole truth table says', async (t) => {
  for (const [state, current, next, confirm, drop] of TABLE) {
    const actions = [
      ['installCurrent', current, (slots: Slots, at: number) => slots.installCurrent(at, 3)],
      ['installNext', next, (slots: Slots, at: number) => slots.installNext(at, 3)],
      ['confirm', confirm, (slots: Slots, at: number) => slots.confirm(at)],
      ['dropKeypairs', drop, (slots: Slots, at: number) => slots.dropKeypairs(at)],
    ] as const;
    for (const [name, wanted, act] of actions) {
      if (wanted === '') continue;
      const { arena, slots, events, forgotten } = make();
      const at = peerAt(arena.layout, 1);
      slots.activate(77, 1);
      set(arena, at, state);
      act(slots, at);
      const freed = events.flatMap((event) => (event.type === 'released' ? event.keypairs : []));
      const letters = freed.map((slot) => LETTERS[slot]).sort();
      t.equal(`${show(arena, at)} free ${letters.join('')}`.trim(), wanted, `${state}: ${name}`);
      const places = freed.flatMap((slot) => {
        const place = keypairAt(arena.layout, slot);
        return [place + KEYPAIR.sendKey, place + KEYPAIR.receiveKey];
      });
      t.same(forgotten, places, `${state}: ${name}: whatever was kept for those keys is wiped`);
    }
  }
});

t.test('slots: what is sent under is the current keypair, until it is 180 s old', async (t) => {
  const { arena, slots } = make();
  const at = peerAt(arena.layout, 0);
  slots.activate(7, 0);
  t.equal(slots.sendingKeypair(at, NOW), -1, 'there is none');
  slots.installNext(at, 2);
  t.equal(slots.sendingKeypair(at, NOW), -1, 'one that waits is none');
  const place = keypairAt(arena.layout, 1);
  arena.f64[(place + KEYPAIR.createdAt) >> 3] = NOW;
  slots.installCurrent(at, 1);
  t.equal(slots.sendingKeypair(at, NOW + 179_999), place);
  t.equal(slots.sendingKeypair(at, NOW + 180_000), -1);
});

t.test('slots: a slot given to another peer keeps nothing of the one before', async (t) => {
  const { arena, slots, events } = make();
  const at = peerAt(arena.layout, 2);
  slots.activate(7, 2);
  arena.f64[(at + PEER.checkAt) >> 3] = Number.POSITIVE_INFINITY;
  slots.setEndpoint(at, new Uint8Array(28).fill(9));
  set(arena, at, 'PCN');
  slots.markSent(at, NOW, 1000, true);
  slots.markReceived(at, NOW, 2000, true);
  slots.deactivate(7, 2);
  t.equal(slots.at(7), -1);
  t.match(events.at(-1), { type: 'deactivated', peer: 7, bytesSent: 1000, bytesReceived: 2000 });
  slots.activate(8, 2);
  t.equal(slots.at(8), at);
  t.equal(slots.peerOf(at), 8);
  const { u8, u32, f64 } = arena;
  u32[(at + PEER.number) >> 2] = 0;
  t.ok(
    u8.subarray(at, at + PEER.checkEpoch).every((byte) => byte === 0) &&
      u8.subarray(at + PEER.lastReceived, at + PEER.checkAt).every((byte) => byte === 0),
    'endpoint, keypairs and marks are gone',
  );
  t.equal(f64[(at + PEER.checkAt) >> 3], Number.POSITIVE_INFINITY, 'the main thread’s stay');
});

t.test('slots: the main thread is woken once for each time that it has looked', async (t) => {
  const { arena, slots, events } = make();
  const at = peerAt(arena.layout, 0);
  slots.activate(7, 0);
  const look = (checkAt: number): void => {
    arena.f64[(at + PEER.checkAt) >> 3] = checkAt;
    arena.u32[(at + PEER.checkEpoch) >> 2] = must(arena.u32[(at + PEER.checkEpoch) >> 2]) + 1;
  };
  const wakes = (): number => events.filter(({ type }) => type === 'wake').length;
  look(Number.POSITIVE_INFINITY);
  slots.markReceived(at, NOW, 100, true);
  slots.markReceived(at, NOW + 1, 100, true);
  t.equal(wakes(), 1, 'data received: a keepalive is due in 10 s');
  slots.markSent(at, NOW + 2, 100, true);
  t.equal(wakes(), 1, 'it has not looked since');
  look(NOW + 9000);
  slots.markReceived(at, NOW + 3, 100, true);
  t.equal(wakes(), 1, 'it will look earlier anyhow');
  look(Number.POSITIVE_INFINITY);
  slots.markSent(at, NOW + 4, 100, true);
  t.equal(wakes(), 2, 'data sent: an answer is due in 15 s');
});
