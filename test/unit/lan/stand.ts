/** LAN devices on a held clock, a disk and a server that may refuse. */

import type { Env } from '../../../src/base/env.ts';
import { Health } from '../../../src/base/health.ts';
import { parseIp } from '../../../src/base/ip.ts';
import type { Log } from '../../../src/base/log.ts';
import { parsePrefix } from '../../../src/base/prefix.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import type { Devices } from '../../../src/node/lan/devices.ts';
import { DEVICES_VERSION, readDevices } from '../../../src/node/lan/devices.ts';
import { Lan } from '../../../src/node/lan/lan.ts';
import type { LanSurroundings } from '../../../src/node/lan/ports.ts';
import type { AllottedDevice, ReportedDevice } from '../../../src/protocol/tailcfg/lan.ts';
import type { FilePort } from '../../../src/store/safe-file.ts';
import { disk, SafeFile } from '../../../src/store/safe-file.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export const HOME: LanSurroundings = {
  networks: [must(parsePrefix('192.168.1.0/24')), must(parsePrefix('203.0.113.0/28'))],
  own: [must(parseIp('192.168.1.2')), must(parseIp('100.64.0.1'))],
};

/** A server that gives addresses in order of asking, or fails as it is told. */
export class Stand {
  readonly health: Health = new Health(silent);
  readonly reports: (readonly ReportedDevice[])[] = [];
  readonly timers: { at: number; action: () => void }[] = [];
  readonly #given = new Map<string, AllottedDevice>();
  now = 0;
  changes = 0;
  failing: Error | undefined;
  path: string;
  files: FilePort = disk;

  constructor(path: string) {
    this.path = path;
  }

  async open(): Promise<Lan> {
    const random = seeded(9);
    const env: Env = {
      now: () => millis(this.now),
      wall: () => unixMillis(0),
      random: (bytes) => random.bytes(bytes),
      setTimer: (at, action) => {
        const timer = { at, action };
        this.timers.push(timer);
        return () => {
          const i = this.timers.indexOf(timer);
          if (i >= 0) this.timers.splice(i, 1);
        };
      },
      log: silent,
    };
    const file = await SafeFile.open<Devices>({
      path: this.path,
      version: DEVICES_VERSION,
      read: readDevices,
      files: this.files,
    });
    const ports = {
      report: async (devices: readonly ReportedDevice[]) => {
        this.reports.push(devices);
        if (this.failing !== undefined) throw this.failing;
        return devices.map((device) => this.#allot(device));
      },
      changed: () => {
        this.changes++;
      },
    };
    const lan = new Lan(env, ports, file, this.health);
    lan.setSurroundings(HOME);
    return lan;
  }

  #allot({ id, name }: ReportedDevice): AllottedDevice {
    const number = 9 + this.#given.size;
    const made = {
      id,
      name: `${name}.mesh.internal`,
      ip4: `100.64.0.${number}`,
      ip6: `fd7a:115c:a1e0::${number}`,
    };
    const known = this.#given.get(id) ?? made;
    this.#given.set(id, known);
    return known;
  }

  /** Fires the one timer that is due next. */
  fire(): number {
    const timer = must(this.timers.shift(), 'a timer');
    const waited = timer.at - this.now;
    this.now = timer.at;
    timer.action();
    return waited;
  }
}
