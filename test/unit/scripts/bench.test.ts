import t from 'tap';
import type { Row } from '../../../scripts/bench/judge.ts';
import { judge, notRun } from '../../../scripts/bench/judge.ts';
import type { Tcp } from '../../../scripts/bench/measure.ts';
import { median, spread } from '../../../scripts/bench/median.ts';
import { ROWS } from '../../../scripts/bench/rows.ts';
import type { Run, Runs } from '../../../scripts/bench/runs.ts';

const SUPER = { tunPacketBytes: 50_000, cablePacketBytes: 50_000 };
const PLAIN = { tunPacketBytes: 1350, cablePacketBytes: 1400 };

const tcpRun = (gbps: number, sizes: Pick<Tcp, 'tunPacketBytes' | 'cablePacketBytes'>): Run => ({
  load: 0,
  asked: ['bytes', 'tcp1'],
  bytes: true,
  tcp1: { gbps, retransmits: 0, senderCpuPerGb: 1, receiverCpuPerGb: 1, ...sizes },
  failures: [],
});

const tcpRuns = (ours: number[], current: number[], debian: number[]): Runs => ({
  ours: ours.map((gbps) => tcpRun(gbps, SUPER)),
  current: current.map((gbps) => tcpRun(gbps, SUPER)),
  debian: debian.map((gbps) => tcpRun(gbps, PLAIN)),
});

const tcp1 = (runs: Runs): Row => judge(ROWS.tcp1, ['ours', 'current', 'debian'], runs);

t.test('median, spread: of few values', async (t) => {
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 2, 3]), 2.5);
  t.throws(() => median([]));
  t.equal(spread([9, 10, 12]), 0.3);
});

t.test('judge: ratios are of medians, and every bound counts', async (t) => {
  const good = tcp1(tcpRuns([5, 4.8, 1], [2.8, 2.7, 2.9], [0.8, 0.8, 0.85]));
  t.match(good, { ok: true, void: null, reasons: [], ours: 4.8 });
  t.equal(good.ratio?.toFixed(3), (4.8 / 2.8).toFixed(3));
  t.match(tcp1(tcpRuns([4.4, 4.4, 4.4], [2.8, 2.8, 2.8], [0.8, 0.8, 0.8])), { ok: false });
  t.match(tcp1(tcpRuns([4.8, 4.8, 4.8], [2.8, 2.8, 2.8], [1, 1, 1])), { ok: false });
});

t.test('judge: a peer that differs from itself by more than 15 % makes the row void', async (t) => {
  const shaken = tcp1(tcpRuns([9, 9, 9], [2.5, 2.8, 3], [0.8, 0.8, 0.8]));
  t.match(shaken, { ok: false, void: /current differ by 18 %/ });
  t.equal(tcp1(tcpRuns([9, 4, 9], [2.8, 2.8, 3], [0.8, 0.8, 0.8])).void, null, 'ours may');
});

t.test('judge: a peer without its offloads makes the row void, so does a blind look', async (t) => {
  const runs = tcpRuns([9, 9, 9], [2.8, 2.8, 2.8], [0.8, 0.8, 0.8]);
  const off = { ...runs, current: [2.8, 2.8, 2.8].map((gbps) => tcpRun(gbps, PLAIN)) };
  t.match(tcp1(off), { ok: false, void: /offloads of today's wireguard-go are off/ });
  const blind = { ...runs, debian: [0.8, 0.8, 0.8].map((gbps) => tcpRun(gbps, SUPER)) };
  t.match(tcp1(blind), { ok: false, void: /cannot make any/ });
});

t.test('judge: a run that failed fails its row, and says why', async (t) => {
  const runs = tcpRuns([9, 9], [2.8, 2.8, 2.8], [0.8, 0.8, 0.8]);
  const failed: Run = { load: 0, asked: ['bytes', 'tcp1'], failures: ['tcp1: no route'] };
  const row = tcp1({ ...runs, ours: [...(runs.ours ?? []), failed] });
  t.match(row, { ok: false, reasons: ['ours: tcp1: no route'] });
  t.match(tcp1({ ...runs, debian: [] }), { ok: false, reasons: ['debian: no run'] });
  t.match(notRun(ROWS.filter, 'no such switch'), {
    ok: false,
    reasons: ['not run: no such switch'],
  });
});

t.test('judge: one broken transfer among many is one too many, whoever made it', async (t) => {
  const runs = tcpRuns([9, 9, 9], [2.8, 2.8, 2.8], [0.8, 0.8, 0.8]);
  const broken = [...(runs.debian ?? []), { ...tcpRun(0.8, PLAIN), bytes: false }];
  const contenders = ['ours', 'current', 'debian'] as const;
  t.match(judge(ROWS.bytes, contenders, runs), { ok: true });
  t.match(judge(ROWS.bytes, contenders, { ...runs, debian: broken }), { ok: false });
});

t.test('judge: a load that was not offered is no load', async (t) => {
  const udpRun = (offeredPerSecond: number): Run => ({
    load: 0,
    asked: ['udp'],
    udp: { lossPercent: 0, offeredPerSecond, senderCpuSeconds: 0.5, receiverCpuSeconds: 0.5 },
    failures: [],
  });
  const peer: Run = {
    ...udpRun(110_000),
    udp: {
      lossPercent: 18,
      offeredPerSecond: 110_000,
      senderCpuSeconds: 2,
      receiverCpuSeconds: 2,
    },
  };
  const row = (offered: number): Row =>
    judge(ROWS.udp200, ['ours', 'current'], { ours: [udpRun(offered)], current: [peer] });
  t.match(row(125_000), { ok: true, void: null });
  t.match(row(100_000), { ok: false, void: /100000 packets\/s to ours/ });
});
