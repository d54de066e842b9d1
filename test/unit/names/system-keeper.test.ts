import { mkdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { nodeSystem } from '../../../src/node/names/node-system.ts';
import type { SystemPaths, SystemPort } from '../../../src/node/names/ports.ts';
import { isOurs } from '../../../src/node/names/resolv-conf.ts';
import { SystemKeeper } from '../../../src/node/names/system-keeper.ts';
import { formatResolver } from '../../../src/protocol/dns/resolver-address.ts';
import { BEFORE, machine, US, WANTED } from './machine.ts';
import { World } from './world.ts';

interface Kept {
  readonly world: World;
  readonly keeper: SystemKeeper;
  /** What fs.watch would say. */
  readonly touched: () => void;
  readonly upstreams: () => string;
}

function kept(paths: SystemPaths): Kept {
  const world = new World();
  const watchers = new Set<() => void>();
  const system: SystemPort = {
    ...nodeSystem,
    watch: (_path, changed) => {
      watchers.add(changed);
      return { close: () => watchers.delete(changed) };
    },
  };
  const keeper = new SystemKeeper({
    env: world.env,
    context: { system, paths, interfaceIndex: () => 7, addresses: US },
    health: world.ports.health,
    upstreamsChanged: () => {},
  });
  return {
    world,
    keeper,
    touched: () => {
      for (const changed of watchers) changed();
    },
    upstreams: () => keeper.upstreams.map(formatResolver).join(' '),
  };
}

/** The keeper's work is real files, which a held clock does not wait for: asked for the same again, it does. */
async function goesOn({ world, keeper }: Kept, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 10_000) {
    world.clock.runTo(world.clock.now() + Math.min(left, 10_000));
    await keeper.want(WANTED);
  }
}

t.test('keeper: a rewrite by another is taken over, and ours written again', async (t) => {
  const { paths, read } = machine(t);
  writeFileSync(paths.resolvConf, BEFORE);
  const scene = kept(paths);
  const { keeper, touched, upstreams } = scene;
  await keeper.want(WANTED);
  t.equal(upstreams(), '192.0.2.1');
  writeFileSync(paths.resolvConf, 'nameserver 192.0.2.7\n');
  touched();
  await goesOn(scene, 400);
  t.ok(isOurs(read()));
  t.equal(upstreams(), '192.0.2.7');
  await keeper.close();
  t.equal(read(), 'nameserver 192.0.2.7\n', 'and theirs is what is put back');
});

t.test('keeper: what no watch has seen is seen within a minute', async (t) => {
  const { paths, read } = machine(t);
  writeFileSync(paths.resolvConf, BEFORE);
  const scene = kept(paths);
  const { keeper } = scene;
  await keeper.want(WANTED);
  writeFileSync(paths.resolvConf, 'nameserver 192.0.2.7\n');
  await goesOn(scene, 61_000);
  t.ok(isOurs(read()));
  await keeper.close();
});

t.test('keeper: a program that never gives up is left alone for five minutes', async (t) => {
  const { paths, read } = machine(t);
  writeFileSync(paths.resolvConf, BEFORE);
  const scene = kept(paths);
  const { world, keeper, touched } = scene;
  await keeper.want(WANTED);
  let written = 0;
  for (let i = 0; i < 12; i++) {
    writeFileSync(paths.resolvConf, `nameserver 192.0.2.${i + 10}\n`);
    touched();
    await goesOn(scene, 1000);
    if (isOurs(read())) written++;
  }
  t.equal(written, 5);
  t.ok(world.health.has('names-overwritten'));
  await goesOn(scene, 360_000);
  t.ok(isOurs(read()), 'and then tried again');
  t.notOk(world.health.has('names-overwritten'));
  await keeper.close();
  t.equal(read(), 'nameserver 192.0.2.21\n');
});

t.test('keeper: what an earlier run left is put back, wanted or not', async (t) => {
  const { paths, read } = machine(t);
  writeFileSync(paths.resolvConf, BEFORE);
  await kept(paths).keeper.want(WANTED);
  t.ok(isOurs(read()), 'killed here');
  const second = kept(paths);
  await second.keeper.want(undefined);
  t.equal(read(), BEFORE);
  t.equal(second.upstreams(), '192.0.2.1');
  await second.keeper.close();
});

t.test('keeper: a disk that refuses is a health item until it gives way', async (t) => {
  const { paths, read } = machine(t);
  rmSync(join(paths.resolvConf, '..'), { recursive: true });
  writeFileSync(join(paths.resolvConf, '..'), 'no folder');
  const scene = kept(paths);
  const { world, keeper } = scene;
  await keeper.want(WANTED);
  t.ok(world.health.has('names-system'));
  t.equal(keeper.managed, false);
  unlinkSync(join(paths.resolvConf, '..'));
  mkdirSync(join(paths.resolvConf, '..'));
  await goesOn(scene, 61_000);
  t.notOk(world.health.has('names-system'));
  t.ok(isOurs(read()));
  await keeper.close();
});
