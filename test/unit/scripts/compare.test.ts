import t from 'tap';
import type { CommonWork, Compared, SingleWork } from '../../../scripts/bench/compare.ts';
import { compare } from '../../../scripts/bench/compare.ts';
import { judge } from '../../../scripts/bench/control/judge.ts';
import type { Figures, RowSpec } from '../../../scripts/bench/control/rows.ts';
import { ROWS } from '../../../scripts/bench/node/rows.ts';

type Name = 'ours' | 'theirs';

const SPEED: RowSpec<Name, 'work'> = {
  work: 'work',
  figure: { name: 'speed', unit: 'Gbit/s', digits: 1 },
  beside: {},
  bounds: [{ against: 'theirs', atLeast: 2 }],
};

/** Each contender's figures in the order of its runs; undefined fails. */
type Script = Readonly<Record<Name, readonly (number | undefined)[]>>;

interface Played {
  readonly compared: Compared<Name, 'work', 'speed'>;
  readonly order: readonly Name[];
}

async function play(script: Script, rounds: number, there: readonly Name[]): Promise<Played> {
  const order: Name[] = [];
  const work: SingleWork<Name, { rounds: number }> = {
    contenders: ['ours', 'theirs'],
    measure: async (name) => {
      const speed = script[name][order.filter((done) => done === name).length];
      order.push(name);
      if (speed === undefined) throw new Error('no route\nand all that it said');
      return { speed };
    },
  };
  const compared = await compare({
    works: { work },
    specs: { speed: SPEED },
    wanted: ['speed'] as const,
    sizes: { rounds },
    isThere: (name) => there.includes(name),
    say: () => {},
  });
  return { compared, order };
}

const BOTH: readonly Name[] = ['ours', 'theirs'];

t.test('compare: contenders take turns, and medians are compared', async (t) => {
  const { compared, order } = await play({ ours: [9, 4, 5], theirs: [2, 2.1, 2] }, 3, BOTH);
  t.same(order, ['ours', 'theirs', 'ours', 'theirs', 'ours', 'theirs']);
  t.match(compared, { ok: true, rows: { speed: { values: { ours: 5, theirs: 2 } } } });
  t.equal(compared.rows.speed.ratios.theirs, 2.5);
});

t.test('compare: a failed run is kept with its reason, and its row is not ok', async (t) => {
  const { compared, order } = await play({ ours: [5, undefined], theirs: [1, 1] }, 2, BOTH);
  t.equal(order.length, 4, 'the others go on');
  t.match(compared.rows.speed, { ok: false, reasons: ['ours: no route | and all that it said'] });
});

t.test('compare: what says nothing is measured once more, and no third time', async (t) => {
  const shaken = { ours: [4, 4, 9, 9], theirs: [1.5, 3, 2, 2] };
  const first = await play(shaken, 2, BOTH);
  t.equal(first.order.length, 8);
  t.match(first.compared, { ok: true, rows: { speed: { void: null, values: { ours: 9 } } } });
  const twice = await play({ ours: [4, 4, 4, 4], theirs: [1.5, 3, 1.5, 3] }, 2, BOTH);
  t.equal(twice.order.length, 8);
  t.match(twice.compared, { ok: false, rows: { speed: { void: /theirs differ by 67 %/ } } });
});

t.test('compare: who is not there is not measured, and takes its bound along', async (t) => {
  const { compared, order } = await play({ ours: [1], theirs: [] }, 1, ['ours']);
  t.same(order, ['ours']);
  t.match(compared.rows.speed, { ok: true, ratios: {} });
});

t.test('compare: a work for all at once is one run of each', async (t) => {
  let times = 0;
  const work: CommonWork<Name, { rounds: number }> = {
    contenders: BOTH,
    once: true,
    together: async (names): Promise<Record<Name, Figures>> => {
      times++;
      t.same(names, BOTH);
      return { ours: { speed: 6 }, theirs: { speed: 2 } };
    },
  };
  const compared = await compare({
    works: { work },
    specs: { speed: SPEED },
    wanted: ['speed'] as const,
    sizes: { rounds: 3 },
    isThere: () => true,
    say: () => {},
  });
  t.equal(times, 1);
  t.match(compared.rows.speed, { ok: true, ratios: { theirs: 3 } });
});

t.test('rows: a mixed pair is the subject of its own row', async (t) => {
  const all = ['ours', 'stock', 'to-stock', 'from-stock'] as const;
  const of = (gbps1: number) => [{ load: 0, figures: { gbps1 } }];
  const runs = { ours: of(9), stock: of(2), 'to-stock': of(1.9), 'from-stock': of(3) };
  t.match(judge(ROWS['to-stock'], all, runs), { ok: false, ratios: { stock: 0.95 } });
  t.match(judge(ROWS['from-stock'], all, runs), { ok: true, ratios: { stock: 1.5 } });
  t.match(judge(ROWS['from-stock'], all, { ...runs, 'to-stock': [] }), { ok: true }, 'alone');
  t.match(judge(ROWS.tcp1, all, runs), { ok: true, must: '>= 1.6x stock' });
  t.match(judge(ROWS.cpu, all, runs), { ok: false, must: 'shown' }, 'a missing figure');
});
