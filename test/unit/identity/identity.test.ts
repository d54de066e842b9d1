import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { controlIdentity } from '../../../src/control/identity.ts';
import { disk } from '../../../src/store/safe-file.ts';
import { seeded } from '../../seeded.ts';

function place(t: { teardown(action: () => void): void }): { folder: string; file: string } {
  const folder = mkdtempSync(join(tmpdir(), 'postern-identity-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return { folder, file: join(folder, 'control-keys.json') };
}

const open = (folder: string, known: boolean, seed: number) => {
  const random = seeded(seed);
  return controlIdentity(folder, disk, (bytes) => random.bytes(bytes), known);
};

t.test('identity: keys are made once, for nobody else to read, and kept', async (t) => {
  const { folder, file } = place(t);
  const made = await open(folder, false, 1);
  t.equal(made.machine.length, 32);
  t.notSame(made.machine, made.relay);
  t.equal(statSync(file).mode & 0o777, 0o600);
  for (const known of [true, false]) t.same(await open(folder, known, 2), made);
});

t.test('identity: a network whose keys are lost or spoilt gets no new ones', async (t) => {
  const { folder, file } = place(t);
  await t.rejects(open(folder, true, 1), {
    name: 'ConfigError',
    message: `control: ${file} is missing, but there is a network, whose clients know the server by it: put it back from a backup; to begin a new network, move ${folder} away`,
  });
  t.same(readdirSync(folder), []);
  await open(folder, false, 1);
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/[0-9a-f]{4}"/, 'beef"'));
  await t.rejects(open(folder, true, 1), {
    name: 'ConfigError',
    message: /^control: state: cannot use .*: its checksum is wrong, but there is a network/,
  });
  t.same(readdirSync(folder), ['control-keys.json.damaged'], 'and the old file is kept');
});
