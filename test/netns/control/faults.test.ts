/** A coordination server whose power is cut, whose disk is full, and whose clients do not read. */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { SimulatedNode } from '../../load/client.ts';
import { seeded } from '../../seeded.ts';
import { until } from '../child.ts';
import { Server } from './server.ts';

const NODES = 1000;
const AT_ONCE = 20;

t.test(
  'kill: 1,000 registrations, killed again and again, and none that was acknowledged is lost',
  async (t) => {
    await using server = await Server.start();
    const key = await server.key('alice');
    const random = seeded(3);
    const acknowledged = new Map<string, SimulatedNode>();
    let next = 0;
    let kills = 0;
    while (acknowledged.size < NODES) {
      const stop = { is: false };
      const workers = Array.from({ length: AT_ONCE }, async () => {
        while (!stop.is && acknowledged.size < NODES) {
          const node = new SimulatedNode(server.url, next++);
          try {
            await node.connect();
            await node.register(key);
            acknowledged.set(node.hostname, node);
          } catch {
            // Not acknowledged: it may be there or not.
          }
          node.close();
        }
      });
      await Promise.race([Promise.all(workers), pause(300 + random.below(900))]);
      stop.is = true;
      if (acknowledged.size < NODES || kills === 0) {
        await server.kill();
        kills++;
        await Promise.all(workers);
        await server.again();
      } else await Promise.all(workers);
    }
    const there = new Set((await server.nodes()).map(({ name }) => name));
    const lost = [...acknowledged.keys()].filter((name) => !there.has(name));
    t.same(lost, [], `${acknowledged.size} of ${acknowledged.size} after ${kills} kills`);
    t.ok(kills >= 3, `${kills} kills`);
    t.equal(
      new Set((await server.nodes()).flatMap(({ addresses }) => addresses)).size,
      2 * there.size,
    );
  },
);

t.test(
  'disk: full, streams go on and changes are refused with the reason; with room again all is well',
  async (t) => {
    // A file system of its own, in a mount namespace of its own.
    const script =
      'd=$1; shift; mkdir -p "$d" && mount -t tmpfs -o size=1m tmpfs "$d" && exec "$@"';
    await using server = await Server.start({
      around: (state) => ['unshare', '--mount', 'sh', '-c', script, 'sh', state],
    });
    const key = await server.key('alice');
    const [a, b] = [new SimulatedNode(server.url, 1), new SimulatedNode(server.url, 2)];
    for (const node of [a, b]) {
      await node.connect();
      await node.register(key);
      await node.openStream();
    }
    const inside = `/proc/${server.child.pid}/root${server.state}`;
    mkdirSync(inside, { recursive: true });
    const filler = `${inside}/filler`;
    for (let bytes = 1 << 20; bytes >= 1; bytes >>= 1)
      try {
        writeFileSync(filler, Buffer.alloc(bytes), { flag: 'a' });
      } catch {}
    const refused = await until('a change is refused', async () => {
      const result = await server.tried('users', 'create', `user${Math.round(performance.now())}`);
      return result.code === 0 ? undefined : result;
    });
    t.match(refused.stderr, /full|no space/i);
    const frames = b.frames;
    t.equal(await a.update({ endpoints: ['192.0.2.9:1'], region: 900 }), 200);
    await until('the other hears of it', () => b.frames > frames);
    t.ok(a.isConnected && b.isConnected);
    t.match(await server.health(), ['store-refuses']);
    t.equal((await server.nodes()).length, 2, 'and what is stored can be read');
    rmSync(filler);
    await until('it recovers by itself', async () => (await server.health()).length === 0, 20_000);
    t.equal((await server.tried('users', 'create', 'bob')).code, 0);
    for (const node of [a, b]) node.close();
  },
);

t.test(
  'crowd: 200 clients are back within 30 s of a restart, by the keys and until when they had',
  async (t) => {
    await using server = await Server.start();
    const key = await server.key('alice');
    const nodes = Array.from({ length: 200 }, (_, i) => new SimulatedNode(server.url, i));
    await inTens(nodes, async (node) => {
      await node.connect();
      await node.register(key);
      await node.openStream();
      node.onEnded = () => void comeBack(node);
    });
    const before = await server.nodes();
    await server.verb('keys', 'revoke', '1');
    await server.child.stop();
    await server.again();
    const started = performance.now();
    await until(
      'all are online',
      async () => (await server.nodes()).filter(({ online }) => online).length === 200,
      30_000,
    );
    t.comment(`all back after ${Math.round(performance.now() - started)} ms`);
    const facts = (list: typeof before) =>
      list.map(({ name, addresses, keyExpires }) => ({ name, addresses, keyExpires }));
    t.same(facts(await server.nodes()), facts(before));
    for (const node of nodes) {
      node.onEnded = undefined;
      node.close();
    }
  },
);

t.test(
  'readers: 100 that read nothing hold nobody back, and cost no more memory than they may',
  async (t) => {
    await using server = await Server.start();
    const key = await server.key('alice');
    const nodes = Array.from({ length: 110 }, (_, i) => new SimulatedNode(server.url, i));
    await inTens(nodes, async (node) => {
      await node.connect();
      await node.register(key);
      await node.openStream();
    });
    const [teller, ...others] = nodes as [SimulatedNode, ...SimulatedNode[]];
    const [readers, deaf] = [others.slice(0, 9), others.slice(9)];
    for (const node of deaf) node.pause();
    const times: number[] = [];
    for (let round = 0; round < 80; round++) {
      const heard = readers.map(({ frames }) => frames);
      const at = performance.now();
      // Long lists of endpoints, so that what is not read would be some tens of megabytes.
      const endpoints = Array.from({ length: 40 }, (_, i) => `203.0.113.${i}:${1024 + round}`);
      await teller.update({ endpoints });
      await until('all who read have heard', () =>
        readers.every(({ frames }, i) => frames > (heard[i] as number)),
      );
      times.push(performance.now() - at);
    }
    const median = times.toSorted((a, b) => a - b)[40] as number;
    t.ok(median < 500, `a change is heard after ${Math.round(median)} ms`);
    const frames = deaf.map((node) => node.frames);
    for (const node of deaf) node.resume();
    await teller.update({ endpoints: ['192.0.2.77:7'] });
    await until(
      'the deaf hear again',
      () => deaf.every((node, i) => node.frames > (frames[i] as number)),
      20_000,
    );
    t.equal(deaf.filter(({ endings }) => endings > 0).length, 0, 'nobody was cut off');
    for (const node of nodes) node.close();
  },
);

async function inTens(
  nodes: readonly SimulatedNode[],
  action: (node: SimulatedNode) => Promise<void>,
): Promise<void> {
  for (let i = 0; i < nodes.length; i += 10) await Promise.all(nodes.slice(i, i + 10).map(action));
}

/** As a client does: again and again, without a word to its user. */
async function comeBack(node: SimulatedNode): Promise<void> {
  for (let tries = 0; tries < 100; tries++)
    try {
      await node.connect();
      await node.register();
      await node.openStream();
      return;
    } catch {
      await pause(300);
    }
}
