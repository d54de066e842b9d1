/**
 * The load program: `node test/load/main.ts --url URL --key AUTHKEY [--nodes N] [--scenario LIST] [--json]`.
 *
 *     --scenario    of join, reconnect, change, idle, with commas, in that order of time; all join first
 *     --at-once     nodes that join, or come back, at once (50)
 *     --repeats     of the change (20)
 *     --seconds     of idling (60)
 *     --witnesses   nodes whose streams are checked throughout (10)
 *     --server-pid  whose CPU time, memory and written bytes are read from /proc
 *
 * The result is JSON on standard output with --json, else the same for a person. Exit: 0 every node came in
 * and was reached and no map was at fault, 1 not, 2 not understood.
 */

import { parseArgs } from 'node:util';
import { Crowd } from './crowd.ts';
import type { LoadReport, Storm } from './reports.ts';

const SCENARIOS = ['join', 'reconnect', 'change', 'idle'] as const;
type Scenario = (typeof SCENARIOS)[number];

/** @throws TypeError saying what is not understood */
function readOptions() {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      key: { type: 'string' },
      nodes: { type: 'string', default: '100' },
      scenario: { type: 'string', default: 'join' },
      'at-once': { type: 'string', default: '50' },
      repeats: { type: 'string', default: '20' },
      seconds: { type: 'string', default: '60' },
      witnesses: { type: 'string', default: '10' },
      'server-pid': { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const { url, key, json } = values;
  if (url === undefined || key === undefined) throw new TypeError('--url and --key are needed');
  const scenarios = values.scenario.split(',').map((name): Scenario => {
    const known = SCENARIOS.find((scenario) => scenario === name);
    if (known === undefined)
      throw new TypeError(`--scenario: wanted some of ${SCENARIOS.join(', ')}, found '${name}'`);
    return known;
  });
  const pid = values['server-pid'];
  return {
    url: new URL(url),
    authKey: key,
    nodes: whole('nodes', values.nodes),
    scenarios,
    atOnce: whole('at-once', values['at-once']),
    repeats: whole('repeats', values.repeats),
    seconds: whole('seconds', values.seconds),
    witnesses: whole('witnesses', values.witnesses),
    serverPid: pid === undefined ? undefined : whole('server-pid', pid),
    json,
  };
}

function whole(name: string, text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text))
    throw new TypeError(`--${name}: wanted a whole number, found '${text}'`);
  return Number(text);
}

async function load(options: ReturnType<typeof readOptions>): Promise<LoadReport> {
  const say = (line: string): void => console.error(`load: ${line}`);
  const crowd = new Crowd({ ...options, say });
  const report: { -readonly [Name in Scenario]?: LoadReport[Name] } = {};
  const wanted = new Set<Scenario>(['join', ...options.scenarios]);
  try {
    for (const scenario of wanted) {
      say(`${scenario}, ${options.nodes} nodes`);
      switch (scenario) {
        case 'join':
          report.join = await crowd.join();
          break;
        case 'reconnect':
          report.reconnect = await crowd.reconnect();
          break;
        case 'change':
          report.change = await crowd.change(options.repeats);
          break;
        case 'idle':
          report.idle = await crowd.idle(options.seconds);
      }
    }
  } finally {
    crowd.close();
  }
  const { user, system } = process.cpuUsage();
  const own = { cpuSeconds: (user + system) / 1e6, rssMb: process.memoryUsage.rss() / 1e6 };
  return { ...report, own };
}

function isWell({ join, reconnect, change, idle }: LoadReport): boolean {
  const storms = [join, reconnect].filter((storm) => storm !== undefined);
  const well = ({ failed, faults, convergedSeconds }: Storm): boolean =>
    failed === 0 && faults.length === 0 && convergedSeconds !== null;
  return storms.every(well) && (change?.missed ?? 0) === 0 && (idle?.streamsEnded ?? 0) === 0;
}

async function main(): Promise<number> {
  let options: ReturnType<typeof readOptions>;
  try {
    options = readOptions();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    console.error(`load: ${error.message}`);
    return 2;
  }
  const report = await load(options);
  if (options.json) console.log(JSON.stringify(report));
  else console.dir(report, { depth: null });
  return isWell(report) ? 0 : 1;
}

process.exitCode = await main();
