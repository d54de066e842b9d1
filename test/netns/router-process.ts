/**
 * A process that is nothing but a router, for the tests of it.
 *
 *     node router-process.ts INTERFACE FOLDER SETTING.json
 *
 * It recovers, applies the setting, says `applied`, and again after SIGHUP reads the file anew; SIGTERM closes it.
 */

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Env } from '../../src/base/env.ts';
import { parseIp } from '../../src/base/ip.ts';
import { lineLog } from '../../src/base/log.ts';
import type { Prefix } from '../../src/base/prefix.ts';
import { parsePrefix } from '../../src/base/prefix.ts';
import { millis, unixMillis } from '../../src/base/time.ts';
import { loadNative } from '../../src/linux/ffi.ts';
import { networkSystem } from '../../src/linux/network-system.ts';
import { OWN_MARK } from '../../src/node/router/constants.ts';
import type { RouterPorts } from '../../src/node/router/ports.ts';
import { Router } from '../../src/node/router/router.ts';
import type { RouterSetting } from '../../src/node/router/setting.ts';
import { watchOf } from '../../src/routing-watch.ts';
import { must } from '../must.ts';

/** The setting in words. */
export interface SettingText {
  readonly addresses?: readonly string[];
  readonly routes?: readonly string[];
  readonly exit?: boolean;
  readonly lanByExit?: boolean;
  readonly advertised?: readonly { readonly prefix: string; readonly snat: boolean }[];
  readonly lan?: readonly { readonly mesh: string; readonly lan: string }[];
}

const [device = '', folder = '', file = ''] = process.argv.slice(2);

const env: Env = {
  now: () => millis(performance.now()),
  wall: () => unixMillis(Date.now()),
  random: (bytes) => new Uint8Array(randomBytes(bytes)),
  setTimer: (at, action) => {
    const timer = setTimeout(action, Math.max(0, at - performance.now()));
    return () => clearTimeout(timer);
  },
  log: lineLog((line) => process.stdout.write(line), 'debug'),
};

const ports: RouterPorts = {
  ...networkSystem(process.pid),
  env,
  watch: watchOf(loadNative(), env),
};

const prefix = (text: string): Prefix => must(parsePrefix(text), text);
const address = (text: string): Uint8Array => must(parseIp(text), text);

function read(): RouterSetting {
  const text = JSON.parse(readFileSync(file, 'utf8')) as SettingText;
  return {
    addresses: (text.addresses ?? []).map(prefix),
    routes: (text.routes ?? []).map(prefix),
    exit: text.exit ?? false,
    lanByExit: text.lanByExit ?? false,
    advertised: (text.advertised ?? []).map((one) => ({ ...one, prefix: prefix(one.prefix) })),
    lan: (text.lan ?? []).map(({ mesh, lan }) => ({ mesh: address(mesh), lan: address(lan) })),
    mtuBytes: 1280,
  };
}

await Router.recover(ports, { stateFolder: folder });
const router = new Router(ports, { interface: device, mark: OWN_MARK, stateFolder: folder });

let times = 0;
async function apply(): Promise<void> {
  const began = performance.now();
  try {
    await router.set(read());
    console.log(`applied ${++times} in ${Math.round(performance.now() - began)} ms`);
  } catch (error) {
    console.log(`failed ${++times}: ${(error as Error).message}`);
  }
  console.log(`health ${JSON.stringify(router.health().map(({ code }) => code))}`);
}

process.on('SIGHUP', () => void apply());
process.on('SIGUSR1', () => void router.check().then(() => console.log('checked')));
process.on('SIGTERM', () => void router.close().then(() => process.exit(0)));
await apply();
