import {
  existsSync,
  lstatSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { nodeSystem } from '../../../src/node/names/node-system.ts';
import type { SystemPort } from '../../../src/node/names/ports.ts';
import {
  carriedAlong,
  isOurs,
  ourResolvConf,
  parseResolvConf,
} from '../../../src/node/names/resolv-conf.ts';
import { formatResolver } from '../../../src/protocol/dns/resolver-address.ts';
import { BEFORE, machine, US, WANTED } from './machine.ts';

t.test('resolv.conf: ours says who we are, keeps options, and carries the old one', async (t) => {
  const text = ourResolvConf(US, ['mesh.example'], BEFORE);
  t.ok(isOurs(text));
  t.equal(carriedAlong(text), BEFORE);
  const { nameservers, search, others } = parseResolvConf(text);
  t.same(nameservers.map(formatResolver), ['100.100.100.100', 'fd7a:115c:a1e0::53']);
  t.same(search, ['mesh.example', 'lan']);
  t.same(others, ['options edns0 timeout:1']);
});

t.test('resolv.conf: odd lines are passed over', async (t) => {
  const odd =
    'nameserver\nnameserver x\n  nameserver\t192.0.2.1 # a\n;nameserver 192.0.2.2\nnameserver fe80::1%eth0\ndomain a.test\nsearch b.test BAD!\n';
  const { nameservers, search } = parseResolvConf(odd);
  t.same(nameservers.map(formatResolver), ['192.0.2.1', 'fe80::1%eth0']);
  t.same(search, ['b.test']);
});

t.test('file: a plain file is replaced, and put back to the letter', async (t) => {
  const { paths, read, file } = machine(t);
  writeFileSync(paths.resolvConf, BEFORE);
  t.equal(await file().apply(WANTED), true);
  t.equal(await file().apply(WANTED), false, 'nothing to do the second time');
  t.ok(isOurs(read()));
  t.same((await file().upstreams()).map(formatResolver), ['192.0.2.1']);
  await file().restore();
  t.equal(read(), BEFORE);
  t.notOk(existsSync(`${paths.resolvConf}.before-postern`));
  t.notOk(existsSync(join(paths.runFolder, 'resolv.conf.before')));
});

t.test('file: a link is put back as a link, and what it leads to is read anew', async (t) => {
  const { paths, file } = machine(t);
  const target = join(paths.runFolder, '../managed.conf');
  writeFileSync(target, BEFORE);
  symlinkSync('../run/managed.conf', paths.resolvConf);
  await file().apply(WANTED);
  t.ok(lstatSync(paths.resolvConf).isFile());
  writeFileSync(target, 'nameserver 192.0.2.2\n');
  t.same((await file().upstreams()).map(formatResolver), ['192.0.2.2']);
  await file().restore();
  t.equal(readlinkSync(paths.resolvConf), '../run/managed.conf');
  t.equal(readFileSync(target, 'utf8'), 'nameserver 192.0.2.2\n');
});

t.test('file: where there was none there is none again', async (t) => {
  const { paths, read, file } = machine(t);
  await file().apply(WANTED);
  t.ok(isOurs(read()));
  await file().restore();
  t.notOk(existsSync(paths.resolvConf));
});

t.test('file: after a crash any one of the three copies will do', async (t) => {
  const { paths, read, file } = machine(t);
  const copies = [
    `${paths.resolvConf}.before-postern`,
    join(paths.runFolder, 'resolv.conf.before'),
  ];
  for (const lost of [[], [copies[0]], [copies[1]], copies]) {
    writeFileSync(paths.resolvConf, BEFORE);
    await file().apply(WANTED);
    for (const copy of lost) unlinkSync(copy ?? '');
    t.same((await file().upstreams()).map(formatResolver), ['192.0.2.1']);
    await file().restore();
    t.equal(read(), BEFORE, `without ${lost.length} of the copies`);
  }
});

t.test('file: what cannot be replaced is written in its place', async (t) => {
  for (const code of ['EBUSY', 'EROFS', 'EACCES']) {
    const { paths, read, file } = machine(t);
    writeFileSync(paths.resolvConf, BEFORE);
    const inode = lstatSync(paths.resolvConf).ino;
    const refuse = () => Promise.reject(Object.assign(new Error(code), { code }));
    const system = { ...nodeSystem, rename: refuse };
    await file(system).apply(WANTED);
    t.ok(isOurs(read()), code);
    await file(system).restore();
    t.equal(read(), BEFORE, code);
    t.equal(lstatSync(paths.resolvConf).ino, inode, code);
  }
});

t.test('file: through a link in a folder that cannot be written, and back', async (t) => {
  const { paths, file } = machine(t);
  const target = join(paths.runFolder, '../managed.conf');
  writeFileSync(target, BEFORE);
  symlinkSync(target, paths.resolvConf);
  const refuse = () => Promise.reject(Object.assign(new Error('read-only'), { code: 'EROFS' }));
  const system: SystemPort = {
    ...nodeSystem,
    create: (path, text) => (path.includes('/etc/') ? refuse() : nodeSystem.create(path, text)),
    createLink: refuse,
    rename: refuse,
    remove: (path) => (path.includes('/etc/') ? refuse() : nodeSystem.remove(path)),
  };
  await file(system).apply(WANTED);
  t.ok(isOurs(readFileSync(target, 'utf8')));
  t.same((await file(system).upstreams()).map(formatResolver), ['192.0.2.1']);
  await file(system).restore();
  t.equal(readFileSync(target, 'utf8'), BEFORE);
});

t.test('file: ours with a line added by hand does not become what is put back', async (t) => {
  const { paths, read, file } = machine(t);
  writeFileSync(paths.resolvConf, BEFORE);
  await file().apply(WANTED);
  writeFileSync(paths.resolvConf, 'nameserver 100.100.100.100\noptions rotate\n');
  t.same((await file().upstreams()).map(formatResolver), ['192.0.2.1']);
  await file().restore();
  t.equal(read(), BEFORE);
});

t.test('file: what another has written since is his, and stays', async (t) => {
  const { paths, read, file } = machine(t);
  writeFileSync(paths.resolvConf, BEFORE);
  await file().apply(WANTED);
  writeFileSync(paths.resolvConf, 'nameserver 192.0.2.7\n');
  await file().restore();
  t.equal(read(), 'nameserver 192.0.2.7\n');
  t.notOk(existsSync(`${paths.resolvConf}.before-postern`));
});

t.test('watch: a file replaced, rewritten, and replaced behind a link is noticed', async (t) => {
  const { paths } = machine(t);
  const target = join(paths.runFolder, '../managed.conf');
  writeFileSync(target, 'one');
  symlinkSync('../run/managed.conf', paths.resolvConf);
  let noticed = Promise.withResolvers<void>();
  const watch = nodeSystem.watch(paths.resolvConf, () => noticed.resolve());
  // Node's watchers do not hold the process, and nothing else here does.
  const hold = setInterval(() => {}, 1000);
  const replace = (path: string): void => {
    writeFileSync(`${path}.new`, 'text');
    renameSync(`${path}.new`, path);
  };
  const steps: readonly [what: string, step: () => void][] = [
    ['the text behind the link', () => writeFileSync(target, 'two')],
    ['another file behind the link', () => replace(target)],
    ['and once more', () => replace(target)],
    ['a file in place of the link', () => replace(paths.resolvConf)],
    ['its text', () => writeFileSync(paths.resolvConf, 'three')],
  ];
  for (const [what, step] of steps) {
    noticed = Promise.withResolvers<void>();
    step();
    await noticed.promise;
    t.pass(what);
  }
  watch.close();
  clearInterval(hold);
});
