import { nodeTest } from '/work/main/test/interop/node/suite.ts';
nodeTest('pings', [['ours','ours'],['ours','stock']], {}, async (t, { a, b }) => {
  for (let i = 0; i < 6; i++) {
    const r = await a.tried(['ping', '--c', '5', '--until-direct', i % 2 ? 'b' : await b.ip4()], 30_000);
    t.comment(JSON.stringify([r.code, r.stdout, r.stderr.slice(-200)]));
  }
  t.comment((await a.tried(['debug','paths'])).stdout.slice(0,1500));
  t.pass('x');
});
