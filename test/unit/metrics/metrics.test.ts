import { request } from 'node:http';
import t from 'tap';
import { freePort } from '../../../scripts/bench/control/free-port.ts';
import type { HealthItem } from '../../../src/base/health.ts';
import type { Metric } from '../../../src/control/metrics/metrics.ts';
import { exposition } from '../../../src/control/metrics/metrics.ts';
import { serveWatchers } from '../../../src/control/metrics/server.ts';

const METRICS: readonly Metric[] = [
  { name: 'users', help: 'Users.', type: 'gauge', read: () => 3 },
  {
    name: 'refused_total',
    help: 'What came to nothing.',
    type: 'counter',
    label: 'reason',
    read: async () => ({ 'derp: not admitted': 2, 'a "quoted"\\one\nin two': 1 }),
  },
];

/** The format of prometheus.io/docs/instrumenting/exposition_formats, as far as gauges and counters go. */
function parse(text: string): { types: Record<string, string>; values: Record<string, number> } {
  const types: Record<string, string> = {};
  const values: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\w+) (gauge|counter)$/.exec(line);
    if (type !== null) types[type[1] as string] = type[2] as string;
    if (line === '' || line.startsWith('#')) continue;
    const sample = /^(\w+)(?:\{(\w+)="((?:[^"\\]|\\["\\n])*)"\})? (-?[0-9.e+]+)$/.exec(line);
    if (sample === null) throw new Error(`no sample: ${line}`);
    const [, name, label, value, number] = sample;
    values[label === undefined ? `${name}` : `${name} ${label}=${value}`] = Number(number);
  }
  return { types, values };
}

t.test('metrics: a scrape is the values of that moment in the Prometheus format', async (t) => {
  let users = 3;
  const expose = exposition([
    { ...(METRICS[0] as Metric), read: () => users },
    METRICS[1] as Metric,
  ]);
  t.match((await expose()).contentType, /^text\/plain; version=0\.0\.4/);
  users = 4;
  for (let scrape = 0; scrape < 2; scrape++) {
    const { types, values } = parse((await expose()).text);
    t.same(types, { postern_users: 'gauge', postern_refused_total: 'counter' });
    t.same(values, {
      postern_users: 4,
      'postern_refused_total reason=derp: not admitted': 2,
      'postern_refused_total reason=a \\"quoted\\"\\\\one\\nin two': 1,
    });
  }
});

t.test('watchers: programs of this machine alone are answered, by path and method', async (t) => {
  let items: readonly HealthItem[] = [];
  let broken = false;
  const port = await freePort();
  const listen = { host: '127.0.0.1', port };
  const read = () => {
    if (broken) throw new Error('no such room');
    return 1;
  };
  const metrics = exposition([{ name: 'one', help: 'One.', type: 'gauge', read }]);
  const watchers = await serveWatchers({ listen, items: () => items, metrics });
  const ask = (path: string, host = `127.0.0.1:${port}`, method = 'GET') =>
    new Promise<string>((done, fail) => {
      const options = { ...listen, path, method, headers: { host }, agent: false };
      request(options, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        answer.on('end', () => done(`${answer.statusCode} ${text}`));
      })
        .on('error', fail)
        .end();
    });
  t.equal(await ask('/health'), '200 ok\n');
  t.match(await ask('/metrics?from=prometheus'), /^200 # HELP postern_one One\./);
  t.equal(await ask('/metrics', undefined, 'HEAD'), '200 ');
  t.match(await ask('/'), /^404 /);
  t.match(await ask('/health', undefined, 'POST'), /^405 /);
  for (const host of ['127.0.0.1', 'localhost:1', '[::1]:9580', '127.9.9.9'])
    t.match(await ask('/health', host), /^200 /, host);
  for (const host of [
    'evil.example',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    '10.0.0.1',
  ])
    t.match(await ask('/health', host), /^403 /, host);

  const item = { code: 'clock', text: 'it is late', remedy: 'set it' };
  items = [{ ...item, severity: 'warning' }];
  t.equal(await ask('/health'), '200 ok\nwarning clock: it is late\n');
  items = [{ ...item, severity: 'error' }];
  t.equal(await ask('/health'), '503 ill\nerror clock: it is late\n');
  broken = true;
  t.equal(await ask('/metrics'), '500 no such room\n', 'and the server is still there');
  broken = false;
  t.match(await ask('/metrics'), /^200 /);
  await t.rejects(serveWatchers({ listen, items: () => items, metrics }), {
    name: 'NetError',
    message: new RegExp(`^metrics: cannot listen on 127.0.0.1 port ${port}: .*EADDRINUSE`),
  });
  await watchers.close();
  await t.rejects(ask('/health'), { code: 'ECONNREFUSED' });
});
