import t from 'tap';
import { BugError } from '../../../src/base/errors.ts';
import { parseIp } from '../../../src/base/ip.ts';
import { MachinePrivate } from '../../../src/base/keys.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import { isServed, tooOld } from '../../../src/protocol/tailcfg/capver.ts';
import {
  isAddress,
  isBase64,
  isEndpoint,
  isFilterAddress,
  isFullName,
  isPrefix,
} from '../../../src/protocol/tailcfg/formats.ts';
import {
  formatChallengePublic,
  formatDiscoPublic,
  formatMachinePublic,
  formatNodePublic,
  formatPrivate,
  isNoKey,
  NO_NODE_KEY,
  parseChallengePublic,
  parseDiscoPublic,
  parseMachinePublic,
  parseNodePublic,
  parsePrivate,
} from '../../../src/protocol/tailcfg/keys.ts';
import {
  formatTime,
  nanoseconds,
  parseTime,
  UNSET_TIME,
} from '../../../src/protocol/tailcfg/time.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

const hex = '0123456789abcdef'.repeat(4);

t.test('keys: each kind has one text, and no other kind takes it', async (t) => {
  const kinds = {
    'mkey:': (text: string) =>
      parseMachinePublic(text) && formatMachinePublic(must(parseMachinePublic(text))),
    'nodekey:': (text: string) =>
      parseNodePublic(text) && formatNodePublic(must(parseNodePublic(text))),
    'discokey:': (text: string) =>
      parseDiscoPublic(text) && formatDiscoPublic(must(parseDiscoPublic(text))),
    'chalpub:': (text: string) =>
      parseChallengePublic(text) && formatChallengePublic(must(parseChallengePublic(text))),
    'privkey:': (text: string) =>
      parsePrivate(text) && formatPrivate(new MachinePrivate(must(parsePrivate(text)))),
  };
  for (const [prefix, again] of Object.entries(kinds)) {
    for (const other of Object.keys(kinds))
      t.equal(again(other + hex), other === prefix ? prefix + hex : undefined, other + prefix);
    for (const wrong of [
      hex,
      `${prefix}${hex}0`,
      prefix + hex.slice(1),
      prefix + hex.toUpperCase(),
      `${prefix}${hex.slice(1)}g`,
      prefix,
    ])
      t.equal(again(wrong), undefined, wrong);
  }
  t.ok(isNoKey(NO_NODE_KEY) && !isNoKey(`nodekey:${hex}`));
  t.equal(String(new MachinePrivate(new Uint8Array(32))), '[machine private key]');
});

t.test('time: any millisecond of 9,999 years is written and read as Date does', async (t) => {
  const random = seeded(80);
  const [first, last] = [
    Date.UTC(2000, 0) - 1998 * 31_556_952_000,
    Date.UTC(9999, 11, 31, 23, 59, 59, 999),
  ];
  for (let round = 0; round < 20_000; round++) {
    const at = unixMillis(
      first + Math.floor(((last - first) / 2 ** 32) * random.below(2 ** 32)) + random.below(1000),
    );
    const text = new Date(at).toISOString();
    if (formatTime(at) !== text) return t.equal(formatTime(at), text, `round ${round}: ${at}`);
    if (parseTime(text) !== at) return t.equal(parseTime(text), at, `round ${round}: ${text}`);
  }
  t.throws(() => formatTime(unixMillis(last + 1)), BugError);
  t.throws(() => formatTime(unixMillis(Number.NaN)), BugError);
  return t.equal(formatTime(unixMillis(-62_135_596_800_000)), '0001-01-01T00:00:00.000Z');
});

t.test('time: unset is none, an offset counts, and what Go refuses is refused', async (t) => {
  t.equal(parseTime(UNSET_TIME), 'unset');
  t.equal(parseTime('0001-06-01T00:00:00Z'), 'unset');
  t.equal(parseTime('1970-01-01T00:02:03Z'), 123_000, 'the logout of a stock client');
  t.equal(parseTime('1970-01-01T01:00:00.1239+01:00'), 123);
  t.equal(parseTime('1969-12-31T19:00:00-05:00'), 0);
  t.equal(parseTime('2024-02-29T00:00:00Z'), Date.UTC(2024, 1, 29));
  for (const wrong of [
    '',
    '2026-02-29T00:00:00Z',
    '2100-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-01-01T00:00:60Z',
    '2026-01-01T0:00:00Z',
    '2026-01-01T00:00:00,5Z',
    '2026-01-01T00:00:00.Z',
    '2026-01-01T00:00:00+24:00',
    '2026-01-01T00:00:00',
    '+02026-01-01T00:00:00Z',
    '2026-01-01 00:00:00Z',
  ])
    t.equal(parseTime(wrong), undefined, wrong);
  t.equal(nanoseconds(millis(1.5)), 1_500_000);
});

t.test('formats: addresses are those that the reader of base/ takes', async (t) => {
  const random = seeded(81);
  const parts = [
    '0',
    '1',
    '00',
    '255',
    '256',
    'f',
    'ffff',
    '12345',
    'g',
    '',
    ':',
    '::',
    '.',
    '1.2.3.4',
    '::ffff:1.2.3.4',
    ' ',
    '-1',
    '1.2.3',
  ];
  let taken = 0;
  for (let round = 0; round < 100_000; round++) {
    const separator = random.pick([':', ':', '.', '']);
    let text = Array.from({ length: 1 + random.below(9) }, () =>
      random.pick(parts.slice(0, 5 + random.below(13))),
    ).join(separator);
    if (random.below(4) === 0) text = text.replace(/:[^:]*:/, '::');
    const wanted = parseIp(text) !== undefined;
    taken += wanted ? 1 : 0;
    if (isAddress(text) !== wanted)
      return t.equal(isAddress(text), wanted, `round ${round}: ${text}`);
    const bits = random.pick(['0', '32', '33', '128', '129', '08', '', '+1', '1e1']);
    const fits = /^(0|[1-9]\d*)$/.test(bits) && Number(bits) <= (text.includes(':') ? 128 : 32);
    if (isPrefix(`${text}/${bits}`) !== (wanted && fits))
      return t.fail(`round ${round}: ${text}/${bits}`);
  }
  return t.ok(taken > 4000, `${taken} of 100,000 were addresses`);
});

t.test('formats: endpoints, filter addresses, names and bytes', async (t) => {
  const table: readonly [judge: (text: string) => boolean, good: string[], bad: string[]][] = [
    [
      isEndpoint,
      ['10.0.0.1:0', '10.0.0.1:65535', '[::1]:5', '[fe80::1%eth0.1]:41641'],
      [
        '10.0.0.1',
        '10.0.0.1:',
        '10.0.0.1:65536',
        '10.0.0.1:01',
        '::1:5',
        '[10.0.0.1]:5',
        '[::1]5',
        '[::1%]:5',
        ':5',
        '',
      ],
    ],
    [
      isFilterAddress,
      ['*', '10.0.0.1', '10.0.0.0/8', 'fd00::/8', '10.0.0.1-10.0.0.9', 'fd00::1-fd00::9', 'cap:x'],
      ['', '**', '10.0.0.1-', '-10.0.0.1', '10.0.0.1-10.0.0.2-10.0.0.3', 'cam', '10.0.0.0/33'],
    ],
    [
      isFullName,
      ['cam.mesh.internal.', 'a.', `${'a'.repeat(63)}.b.`, '_x.Y-1.'],
      [
        '',
        '.',
        'cam',
        'cam..b.',
        `${'a'.repeat(64)}.b.`,
        'ä.b.',
        'a b.',
        '.a.',
        `${'a.'.repeat(128)}`,
      ],
    ],
    [isBase64, ['', 'AA==', 'AAA=', 'AAAA'], ['A', 'AA', 'AAA', 'A===', 'AA=A', 'AA--']],
  ];
  for (const [judge, good, bad] of table) {
    for (const text of good) t.ok(judge(text), `${judge.name}: ${text}`);
    for (const text of bad) t.notOk(judge(text), `${judge.name}: ${text}`);
  }
});

t.test('capability versions: 1.80 is served, 1.78 is told what is needed', async (t) => {
  t.ok(isServed(113) && isServed(9999) && !isServed(112));
  t.match(tooOld(109), /capability version 109.*1\.80/);
});
