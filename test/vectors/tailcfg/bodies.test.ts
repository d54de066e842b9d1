import { existsSync, readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import type { Read } from '../../../src/protocol/tailcfg/validate.ts';
import {
  mapFault,
  readMapRequest,
  readMapResponse,
  readRegisterRequest,
  readRegisterResponse,
  registerFault,
} from '../../../src/protocol/tailcfg/validate.ts';
import { seeded } from '../../seeded.ts';
import { spoiled } from '../../unit/tailcfg/mutations.ts';

/** Bodies that stock tailscaled 1.102.3 (control/) and headscale (map/) sent, their keys replaced. */
const FOLDER = process.env['POSTERN_VECTORS'] ?? '';
const skip = !existsSync(`${FOLDER}/control`) && 'POSTERN_VECTORS names no folder with control/';
if (skip && process.env['CI'] === 'true') throw new Error(skip);

type Reader = (body: Uint8Array) => Read<unknown>;

function readerOf(file: string): Reader | undefined {
  if (/^control\/register-/.test(file)) return readRegisterRequest;
  if (/^control\/map-/.test(file)) return readMapRequest;
  if (/^map\/register-/.test(file)) return readRegisterResponse;
  return /^map\/(map|delta|keep)-/.test(file) ? readMapResponse : undefined;
}

function bodies(): { readonly file: string; readonly body: object; readonly read: Reader }[] {
  return ['control', 'map']
    .flatMap((folder) => readdirSync(`${FOLDER}/${folder}`).map((name) => `${folder}/${name}`))
    .flatMap((file) => {
      const read = readerOf(file);
      if (read === undefined) return [];
      return [{ file, body: JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')), read }];
    });
}

const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** `value` with only what `like` has: what is read keeps a part of what was sent, and changes nothing of it. */
function within(value: unknown, like: unknown): unknown {
  if (Array.isArray(like))
    return like.map((one, i) => within(Array.isArray(value) ? value[i] : undefined, one));
  if (typeof like !== 'object' || like === null) return value;
  return Object.fromEntries(
    Object.entries(like).map(([name, one]) => [name, within((value as never)?.[name], one)]),
  );
}

t.test('real bodies: each is read, and what is read was sent', { skip }, async (t) => {
  const all = bodies();
  t.equal(all.length, 22);
  for (const { file, body, read } of all) {
    const found = read(bytes(body));
    if ('reason' in found) {
      t.fail(`${file}: ${found.detail}`);
      continue;
    }
    t.strictSame(within(body, found.value), found.value, file);
  }
});

t.test('real bodies: each map and each answer may leave us too', { skip }, async (t) => {
  for (const { file, body } of bodies()) {
    if (!file.startsWith('map/')) continue;
    const fault = file.startsWith('map/register-') ? registerFault : mapFault;
    t.equal(fault(body as never), undefined, file);
  }
});

t.test('real bodies: 50,000 spoiled ones give a value or a reason', { skip }, async (t) => {
  const random = seeded(90);
  const all = bodies();
  let refused = 0;
  for (let round = 0; round < 50_000; round++) {
    const { body, read } = random.pick(all);
    const found = read(bytes(spoiled(random, body)));
    if ('reason' in found) refused++;
  }
  t.ok(refused > 5000 && refused < 45_000, `${refused} of 50,000 were refused`);
});
