import t from 'tap';
import type { Prefix } from '../../../src/base/prefix.ts';
import { formatPrefix, parsePrefix, prefixOf } from '../../../src/base/prefix.ts';
import { AllowedIps } from '../../../src/protocol/wireguard/allowed-ips.ts';
import { IndexTable } from '../../../src/protocol/wireguard/index-table.ts';
import { must } from '../../must.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';
import { AllowedIpsList } from '../../twins/allowed-ips.ts';

const prefix = (text: string): Prefix => must(parsePrefix(text));
const texts = (prefixes: readonly Prefix[]): string[] => prefixes.map(formatPrefix);

function lookup(table: AllowedIps, address: string): number {
  const bytes = prefix(address).address;
  const packet = Uint8Array.of(1, 2, 3, ...bytes, 9);
  return table.lookup(packet, 3, bytes.length as 4 | 16);
}

t.test('allowed IPs: the longest prefix wins, in either family', async (t) => {
  const table = new AllowedIps();
  for (const [text, peer] of [
    ['0.0.0.0/0', 1],
    ['10.0.0.0/8', 2],
    ['10.1.0.0/16', 3],
    ['10.1.2.3', 4],
    ['::/0', 5],
    ['fd00::/8', 6],
    ['fd00::1', 7],
  ] as const)
    t.equal(table.insert(prefix(text), peer), -1, text);
  for (const [address, peer] of [
    ['11.0.0.0', 1],
    ['10.255.255.255', 2],
    ['10.1.2.2', 3],
    ['10.1.2.3', 4],
    ['255.255.255.255', 1],
    ['fe80::1', 5],
    ['fd00::2', 6],
    ['fd00::1', 7],
  ] as const)
    t.equal(lookup(table, address), peer, address);
});

t.test('allowed IPs: an empty table and an unowned address give -1', async (t) => {
  const table = new AllowedIps();
  t.equal(lookup(table, '192.0.2.1'), -1);
  t.equal(lookup(table, '2001:db8::1'), -1);
  table.insert(prefix('192.0.2.0/25'), 1);
  t.equal(lookup(table, '192.0.2.128'), -1);
});

t.test('allowed IPs: a prefix moves from its owner, and only the owner can drop it', async (t) => {
  const table = new AllowedIps();
  table.insert(prefix('10.0.0.0/8'), 1);
  t.equal(table.insert(prefix('10.0.0.0/8'), 2), 1);
  t.strictSame(texts(table.entries(1)), []);
  t.equal(table.remove(prefix('10.0.0.0/8'), 1), false);
  t.equal(table.remove(prefix('10.0.0.0/9'), 2), false);
  t.equal(lookup(table, '10.0.0.1'), 2);
  t.equal(table.remove(prefix('10.0.0.0/8'), 2), true);
  t.equal(lookup(table, '10.0.0.1'), -1);
});

t.test('allowed IPs: a peer is listed in order, and goes whole', async (t) => {
  const table = new AllowedIps();
  const mine = ['0.0.0.0/0', '10.0.0.0/8', '10.0.0.0/9', '10.0.0.1/32', '::/0', 'fd00::/8'];
  for (const text of [...mine].reverse()) table.insert(prefix(text), 7);
  table.insert(prefix('10.128.0.0/9'), 8);
  t.strictSame(texts(table.entries(7)), mine);
  table.removePeer(7);
  t.strictSame(texts(table.entries(7)), []);
  t.equal(lookup(table, '10.0.0.1'), -1);
  t.equal(lookup(table, '10.200.0.1'), 8);
});

t.test('allowed IPs: 30,000 changes and 60,000 lookups as the list has them', async (t) => {
  for (const seed of [50, 51, 52]) {
    const random = seeded(seed);
    const [table, list] = [new AllowedIps(), new AllowedIpsList()];
    for (let round = 0; round < 10_000; round++) {
      const where = `seed ${seed}, round ${round}`;
      const peer = random.below(6);
      const some = anyPrefix(random);
      switch (random.below(20)) {
        case 0:
          if (random.below(20) > 0) break;
          table.removePeer(peer);
          list.removePeer(peer);
          break;
        case 1:
        case 2:
        case 3:
        case 4:
        case 5: {
          const owned = list.entries(peer);
          const { prefix } = owned[random.below(owned.length + 1)] ?? { prefix: some };
          if (table.remove(prefix, peer) !== list.remove(prefix, peer)) return t.fail(where);
          break;
        }
        default:
          if (table.insert(some, peer) !== list.insert(some, peer)) return t.fail(where);
      }
      for (let i = 0; i < 2; i++) {
        const address = anyPrefix(random).address;
        if (table.lookup(address, 0, address.length as 4 | 16) !== list.lookup(address))
          return t.fail(`${where}: ${address}`);
      }
      if (round % 500 !== 0) continue;
      const wanted = list.entries(peer).map(({ prefix }) => prefix);
      if (texts(table.entries(peer)).join() !== texts(wanted).join()) return t.fail(where);
    }
  }
  return t.pass('agrees');
});

t.test('allowed IPs: what comes and goes leaves no node behind', async (t) => {
  const random = seeded(53);
  const table = new AllowedIps();
  const empty = table.nodes;
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < 100; i++) table.insert(anyPrefix(random), 1 + random.below(3));
    const prefixes = [1, 2, 3].flatMap((peer) => table.entries(peer)).length;
    if (table.nodes > 2 * prefixes + empty) return t.fail(`round ${round}: ${table.nodes} nodes`);
    for (const peer of [2, 1, 3]) table.removePeer(peer);
    if (table.nodes !== empty) return t.fail(`round ${round}: ${table.nodes} nodes for nothing`);
  }
  return t.pass('200 rounds');
});

/** Few bits vary, so that prefixes meet, nest and part often. */
function anyPrefix(random: Seeded): Prefix {
  const length = random.pick([4, 16]);
  const address = new Uint8Array(length).fill(random.pick([0, 0xff]));
  for (let i = 0; i < 3; i++)
    address[random.pick([0, 1, length - 1])] = random.pick([0, 1, 0x80, 0xff]);
  return prefixOf(address, random.pick([0, 1, 7, 8, 9, 16, 8 * length - 1, 8 * length]));
}

t.test('index table: the slot is in the low bits, and only a living index is found', async (t) => {
  const random = seeded(54);
  const table = new IndexTable(4096);
  for (let round = 0; round < 10_000; round++) {
    const slot = random.below(4096);
    const former = table.indexOf(slot);
    table.release(slot);
    const index = table.allot(slot, random.bytes(4));
    const fits =
      (index & table.mask) === slot &&
      index >>> 12 !== 0 &&
      index !== former &&
      table.find(index) === slot &&
      (former === undefined || table.find(former) === -1);
    if (!fits) return t.fail(`round ${round}`);
  }
  return t.equal(table.find(0), -1, 'zero is never an index');
});

t.test('index table: chance that repeats itself still gives another index', async (t) => {
  const table = new IndexTable(4);
  const same = new Uint8Array(4).fill(0xff);
  const first = table.allot(3, same);
  t.equal(first, 0xffffffff);
  t.throws(() => table.allot(3, same), /has an index already/);
  table.release(3);
  table.release(3);
  t.not(table.allot(3, same), first);
  t.throws(() => table.allot(4, same), /does not exist/);
  t.throws(() => new IndexTable(6), /power of two/);
  t.equal(table.allot(2, new Uint8Array(4)) >>> 2, 1, 'the random part is never zero');
});
