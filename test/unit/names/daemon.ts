/**
 * The names as a program, for tests with a kernel: `node daemon.ts JSON`, where JSON has `hosts` (name to
 * addresses), `own`, `search`, `listen`, `run` (its run folder), `manage` and `fallback`. Says `ready` and
 * what changes; SIGUSR2 prints the status as one line of JSON; SIGTERM restores and ends.
 */

import { Health } from '../../../src/base/health.ts';
import { parseIp } from '../../../src/base/ip.ts';
import { lineLog } from '../../../src/base/log.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import { Names } from '../../../src/node/names/names.ts';
import { nodeNetwork } from '../../../src/node/names/node-network.ts';
import { nodeSystem } from '../../../src/node/names/node-system.ts';
import { parseResolver } from '../../../src/protocol/dns/resolver-address.ts';
import { must } from '../../must.ts';

export interface DaemonSetting {
  readonly hosts: Readonly<Record<string, readonly string[]>>;
  readonly own: readonly string[];
  readonly search: readonly string[];
  readonly listen: readonly string[];
  readonly run: string;
  readonly manage: boolean;
  readonly fallback: readonly string[];
  /** Interface index for systemd-resolved. */
  readonly link?: number;
}

if (process.argv[2] !== undefined) await main(JSON.parse(process.argv[2]) as DaemonSetting);

async function main(setting: DaemonSetting): Promise<void> {
  const say = (line: string): void => void process.stdout.write(line);
  const log = lineLog(say, 'debug');
  const env = {
    now: () => millis(performance.now()),
    wall: () => unixMillis(0),
    random: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
    setTimer: (at: number, action: () => void) => {
      const timer = setTimeout(action, at - performance.now());
      return () => clearTimeout(timer);
    },
    log,
  };
  const ip = (text: string): Uint8Array => must(parseIp(text), text);
  const names = new Names(
    env,
    {
      network: nodeNetwork,
      system: nodeSystem,
      health: new Health(log),
      interfaceIndex: () => setting.link ?? 1,
      mayAsk: () => true,
      isOwnAddress: (address) => address[0] === 127,
    },
    { addresses: setting.listen.map(ip), paths: { runFolder: setting.run } },
  );
  process.on('SIGTERM', async () => {
    await names.close();
    process.exit(0);
  });
  process.on('SIGUSR2', () => say(`${JSON.stringify(names.status())}\n`));
  await names.set({
    hosts: new Map(Object.entries(setting.hosts).map(([name, list]) => [name, list.map(ip)])),
    ownDomains: setting.own,
    search: setting.search,
    routes: new Map(),
    resolvers: [],
    fallback: setting.fallback.map((text) => must(parseResolver(text), text)),
    manageSystem: setting.manage,
  });
  say('ready\n');
}
