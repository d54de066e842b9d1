import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { ConfigError } from '../../../src/base/errors.ts';
import { renameNode } from '../../../src/control/registry/nodes.ts';
import type { FilePort } from '../../../src/store/safe-file.ts';
import { disk } from '../../../src/store/safe-file.ts';
import { seeded } from '../../seeded.ts';
import { Board, joined, Network, Time } from './stand.ts';

const MINUTE = 60_000;

/** A disk that counts, and fails when it is told to. */
class CountedDisk implements FilePort {
  readonly written: { readonly path: string; readonly bytes: number }[] = [];
  /** Throws before the operation of this number. */
  cutAt = Number.POSITIVE_INFINITY;
  readOnly = false;
  #operation = 0;

  get bytes(): number {
    return this.written.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async create(path: string, text: string): Promise<void> {
    this.#next();
    if (this.readOnly) throw new Error('EROFS: read-only file system');
    this.written.push({ path, bytes: text.length });
    await disk.create(path, text);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#next();
    await disk.rename(from, to);
  }

  async syncFolder(path: string): Promise<void> {
    this.#next();
    await disk.syncFolder(path);
  }

  makeFolder = (path: string): Promise<void> => disk.makeFolder(path);
  read = (path: string, most: number): Promise<Uint8Array | undefined> => disk.read(path, most);

  #next(): void {
    if (++this.#operation >= this.cutAt) throw new Error('power cut');
  }
}

t.test('cache: after a reboot without a server everything is as it was, at once', async (t) => {
  const network = await Network.open(t);
  const authKey = await network.authKey(await network.user('alice'));
  const board = await joined(t, network, authKey);
  await joined(t, network, authKey, { seed: 300, hostname: 'cam' });
  const { time } = network;
  const online = (): boolean => [...board.session.netmap.peers.values()].some((p) => p.Online);
  await time.until('cam, and that it is online', online);
  const { netmap } = board.session;
  await board.session.close();
  const again = new Board(t, time, { folder: board.folder, seed: 301 });
  again.online = false;
  const heard: unknown[] = [];
  again.session.onChange((map, { peers }) => heard.push([map.peers.size, peers]));
  await again.session.start();
  t.equal(again.session.state, 'Running');
  t.same(heard, [[1, 'all']]);
  const { controlTime: _, ...kept } = netmap;
  const { controlTime: __, ...found } = again.session.netmap;
  t.same(found, kept);
  t.equal(again.session.fromCache, true);
  await time.pass(5 * MINUTE, 300);
  t.equal(again.session.state, 'Running');
  t.ok(again.item('control-unreachable'));
  again.online = true;
  await time.until('connected', () => again.session.connected);
  t.equal(again.session.fromCache, false);
  t.same(heard.slice(1), [[1, new Set()]], 'of us the disco key is new, of peers nothing');
});

t.test(
  'cache: an hour of a network in which all come and go writes little, ten idle minutes nothing',
  async (t) => {
    const network = await Network.open(t);
    const authKey = await network.authKey(await network.user('alice'));
    const files = new CountedDisk();
    const board = await joined(t, network, authKey, { files });
    const { time } = network;
    const other = await joined(t, network, authKey, { seed: 302, hostname: 'cam' });
    await time.until('cam', () => board.session.netmap.peers.size === 1);
    await time.pass(11 * MINUTE, 660);
    const before = files.written.length;
    const random = seeded(81);
    for (let i = 0; i < 60; i++) {
      const address = Uint8Array.of(192, 0, 2, random.below(250));
      other.session.setEndpoints([{ endpoint: { address, port: 41_641, scope: 0 }, kind: 2 }]);
      if (i % 10 === 5) await other.session.edit({ wantRunning: i % 20 !== 5 });
      await time.pass(MINUTE, 60);
    }
    t.equal(files.written.length, before, 'endpoints and who is online are not kept');
    for (let i = 0; i < 20; i++) {
      await network.change((model, context) =>
        renameNode(model, { node: 2, name: `cam${i}` }, context),
      );
      await time.pass(MINUTE, 60);
    }
    const names = files.written.slice(before);
    t.ok(
      names.length >= 2 && names.length <= 3,
      `${names.length} writes in 20 minutes of new names`,
    );
    t.ok(
      names.every(({ bytes }) => bytes < 4096),
      `${names.map(({ bytes }) => bytes)} bytes`,
    );
  },
);

t.test(
  'files: a power cut before any operation leaves one identity, and the board joins by itself',
  async (t) => {
    const network = await Network.open(t);
    const authKey = await network.authKey(await network.user('alice'));
    const { time } = network;
    const machines = (): number =>
      new Set([...network.coordinator.network.model.nodes.values()].map(({ machine }) => machine))
        .size;
    const fresh = new Board(t, time, { seed: 400 });
    await fresh.session.start();
    await fresh.session.close();
    for (let cutAt = 1; cutAt <= 24; cutAt++) {
      const files = new CountedDisk();
      files.cutAt = cutAt;
      const board = new Board(t, time, { folder: fresh.folder, files, seed: 400 + cutAt });
      await board.session.start();
      await board.session.edit({ controlUrl: network.url });
      const login = board.session.login({ authKey, force: cutAt % 2 === 0 });
      login.catch(() => {});
      for (let i = 0; i < 300; i++) await time.turn(1);
      await board.session.close();
    }
    const last = new Board(t, time, { folder: fresh.folder, seed: 500 });
    await last.session.start();
    t.same(
      last.health.items().map(({ code }) => code),
      [],
      'nothing is damaged',
    );
    await time.until('connected', () => last.session.connected);
    t.equal(machines(), 1, 'one machine to the server, whenever the power went');
    t.equal(network.coordinator.network.model.nodes.size, 1);
  },
);

t.test('files: a read-only disk is said, and the node runs on', async (t) => {
  const network = await Network.open(t);
  const authKey = await network.authKey(await network.user('alice'));
  const files = new CountedDisk();
  files.readOnly = true;
  const board = await joined(t, network, authKey, { files });
  t.equal(board.session.state, 'Running');
  t.match(board.item('state-not-writable'), { severity: 'warning', text: /EROFS/ });
  files.readOnly = false;
  await board.session.edit({ hostname: 'x' });
  await board.session.setLanDevices([]);
  await network.time.pass(11 * MINUTE, 660);
  t.ok(files.written.some(({ path }) => path.endsWith('/prefs.new')));
});

t.test(
  'lock: a second node on the folder refuses, and after a kill -9 there is none',
  async (t) => {
    const time = new Time();
    const board = new Board(t, time);
    await board.session.start();
    const second = new Board(t, time, { folder: board.folder });
    await t.rejects(second.session.start(), ConfigError);
    await board.session.close();
    await second.session.start();
    await second.session.close();
    const script = `
    const { lockFolder } = await import(process.argv[1]);
    await lockFolder(process.argv[2]);
    setInterval(() => {}, 1000);
    console.log('locked');`;
    const module = new URL('../../../src/node/session/folder-lock.ts', import.meta.url).href;
    const child = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      script,
      module,
      board.folder,
    ]);
    await once(child.stdout, 'data');
    const third = new Board(t, time, { folder: board.folder });
    await t.rejects(third.session.start(), /another postern node/);
    child.kill('SIGKILL');
    await once(child, 'exit');
    t.ok(readdirSync(board.folder).includes('lock'), 'its file is still there');
    await third.session.start();
    await third.session.close();
    // Of another network namespace: the file alone tells.
    const stat = readFileSync('/proc/1/stat', 'latin1');
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    writeFileSync(`${board.folder}/lock`, `1 ${start}`);
    const fourth = new Board(t, time, { folder: board.folder });
    await t.rejects(fourth.session.start(), /process 1/);
  },
);
